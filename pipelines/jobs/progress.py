"""From a stage that tells its progress a thousand times a second to a few rows that people watch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from infra.telemetry import logger
from pipelines.jobs.definition import Progress

log = logger(__name__)

INTERVAL_SECONDS = 0.4  # between two rows
LEAST_CHANGE = 0.01  # of a stage, where the message stays the same

Write = Callable[[float, str], Awaitable[None]]


@contextlib.asynccontextmanager
async def reporting(write: Write) -> AsyncIterator[Progress]:
    """A progress function, callable from any thread, whose latest word is handed to ``write`` now and then.

    What ``write`` raises is logged and does not reach the stage: progress is for people, the work goes on.
    """
    latest: tuple[float, str] | None = None

    def progress(fraction: float, message: str) -> None:
        nonlocal latest
        latest = (min(max(float(fraction), 0.0), 1.0), str(message)[:500])

    async def pump() -> None:
        written: tuple[float, str] = (0.0, "")
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            now = latest
            if now is None or (now[1] == written[1] and abs(now[0] - written[0]) < LEAST_CHANGE):
                continue
            try:
                await write(*now)
            except Exception as error:
                log.warning("progress could not be written", error=str(error)[:300])
            written = now

    pumping = asyncio.create_task(pump())
    try:
        yield progress
    finally:
        pumping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pumping
