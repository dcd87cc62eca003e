"""What runs in a Serve replica: a local role, with logs that carry the request's correlation id and an honest health check.

Imported in every replica: nothing heavy here. Errors of :mod:`infra.errors` cross to the caller as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from infra.datafolder import DataFolder
from infra.errors import Unavailable, WorkbenchError
from infra.settings import Settings
from infra.telemetry import configure_logging, correlated, logger
from serving.cluster.head import keep_replica_private
from serving.local import local_role
from serving.roles import known_roles

log = logger("serving.replica")


class Replica:
    """One role's replica: ready when the champion is loaded and has passed its smoke test."""

    async def __init__(self, settings: Settings, role: str) -> None:  # type: ignore[misc]  # Serve awaits it
        _log_to_file(settings, role)
        self.role, self.local = known_roles()[role], local_role(settings, role)
        await self.local.cache.refresh()

    async def refresh(self) -> dict[str, str]:
        """Take the champion that the registry's snapshot names now; requests go on with the old one meanwhile."""
        return (await self.local.cache.refresh()).as_dict()

    async def loaded(self) -> list[dict[str, str]]:
        """The versions this replica holds."""
        return [ref.as_dict() for ref in self.local.cache.loaded]

    async def pid(self) -> int:
        """This replica's process, for those who look after it (and for tests that kill it)."""
        return os.getpid()

    async def check_health(self) -> None:
        """Serve restarts the replica where this raises: a model's thread died and no call has replaced it yet."""
        if not self.local.cache.healthy():
            raise Unavailable(f"A model of the role {self.role.name} has stopped.")

    @contextlib.contextmanager
    def request(self, correlation_id: str | None, **facts: Any) -> Iterator[dict[str, Any]]:
        """Log one request's end with its correlation id; what the block adds to the dictionary is logged too."""
        with correlated(correlation_id):
            started, outcome, said = time.perf_counter(), "ok", dict(facts)
            try:
                yield said
            except WorkbenchError as error:
                outcome = error.code
                raise
            except (GeneratorExit, asyncio.CancelledError):
                outcome = "cancelled"
                raise
            except BaseException as error:
                outcome = type(error).__name__
                log.exception("request failed", role=self.role.name)
                raise
            finally:
                log.info("request", role=self.role.name, outcome=outcome, seconds=round(time.perf_counter() - started, 4), **said)

    async def call(self, version: str | None, correlation_id: str | None, *arguments: Any) -> Any:
        """The answer of a role that answers at once."""
        with self.request(correlation_id, **self.role.log_call(*arguments)) as said:
            answer = await getattr(self.local, self.role.method)(*arguments, version=version)
            said.update(version=answer.model.version, **self.role.log_answer(answer))
            return answer

    async def stream(self, version: str | None, correlation_id: str | None, *arguments: Any) -> AsyncIterator[Any]:
        """The pieces of a role that streams."""
        with self.request(correlation_id, **self.role.log_call(*arguments)) as said:
            async with contextlib.aclosing(getattr(self.local, self.role.method)(*arguments, version=version)) as pieces:
                async for piece in pieces:
                    said.update(version=piece.model.version, **self.role.log_answer(piece))
                    yield piece


def _log_to_file(settings: Settings, role: str) -> None:
    """JSON lines in the data folder's ``logs``; on another machine of a cluster, where there is none, standard error."""
    keep_replica_private()
    stream = None
    with contextlib.suppress(OSError):
        folder = DataFolder(settings.home).logs
        folder.mkdir(parents=True, exist_ok=True)
        stream = open(folder / f"serving-{role}.log", "a", buffering=1)  # noqa: SIM115 - open as long as the replica lives
    configure_logging(level=settings.telemetry.level, stream=stream, component=f"serving.{role}")
