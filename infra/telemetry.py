"""Logs, correlation ids and metrics.

A correlation id is made where a request enters (or taken from its ``X-Correlation-ID``), bound to the
context, sent along with every Serve call, and written on every log line, to the last replica's.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import structlog

_correlation_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("correlation_id", default=None)
_ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,64}")


# Until a process configures its logs (a notebook never does): plain lines. structlog's own default prints the local
# variables of every frame with a traceback, and those would be scans and reports.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
)


def configure_logging(*, level: str = "info", stream: TextIO | None = None, component: str | None = None) -> None:
    """JSON lines on ``stream`` (standard error by default), for structlog's loggers and the standard library's."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_correlation_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if component:
        # Of the process, not of a context: threads and tasks that began elsewhere are the same component.
        shared.append(lambda _, __, event: {"component": component, **event})
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "urllib3", "matplotlib", "alembic.runtime.migration"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def log_to_folder(folder: Path, *, level: str = "info", component: str) -> None:
    """:func:`configure_logging`, into ``folder/component.log``; on a machine where the folder cannot be, on standard error."""
    stream = None
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stream = open(folder / f"{component}.log", "a", buffering=1)  # noqa: SIM115 (for the life of the process)
    configure_logging(level=level, stream=stream, component=component)


def logger(name: str) -> Any:
    """A structured logger: ``log.info("stage finished", stage="see", seconds=1.2)``."""
    return structlog.get_logger(name)


def correlation_id() -> str | None:
    """The id of the request that this code works for, if there is one."""
    return _correlation_id.get()


def new_correlation_id(proposed: str | None = None) -> str:
    """``proposed`` where it is a plain token (it goes into logs and headers), else a new one."""
    return proposed if proposed and _ALLOWED.fullmatch(proposed) else uuid.uuid4().hex


@contextlib.contextmanager
def correlated(value: str | None) -> Iterator[str]:
    """Bind a correlation id while the block runs; None makes a new one."""
    bound = new_correlation_id(value)
    token = _correlation_id.set(bound)
    try:
        yield bound
    finally:
        _correlation_id.reset(token)


def _add_correlation_id(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    value = _correlation_id.get()
    if value:
        event.setdefault("correlation_id", value)
    return event
