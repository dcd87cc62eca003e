"""Requests and WebSockets that are open for long: they end when the session or token that opened them does.

Who asks is decided when a request begins; a queue of a page, a stream of events or a written answer goes on for minutes
after that. So whenever a person, session or token has changed, and every ``CHECK_SECONDS`` (for what another process
changed, and for what expired), each open connection is looked at again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from infra.database.tables import User
from infra.errors import WorkbenchError
from infra.telemetry import logger
from workbench.accounts import Accounts

CHECK_SECONDS = 15.0

log = logger(__name__)


@dataclass(eq=False)
class Connection:
    """One open request: the task that answers it, what it was signed in by, and whether it was ended here."""

    task: asyncio.Task[None] | None
    token: str | None
    cookies: str | None
    ended: bool = field(default=False)


class OpenConnections:
    """All connections of signed-in people that are open now."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._open: set[Connection] = set()

    @contextlib.contextmanager
    def track(self, token: str | None, cookies: str | None) -> Iterator[Connection]:
        """Count the current task among the open connections while the block runs."""
        connection = Connection(asyncio.current_task(), token, cookies)
        self._open.add(connection)
        try:
            yield connection
        finally:
            self._open.discard(connection)

    async def run(self, identify: Callable[[str | None, str | None], Awaitable[User | None]]) -> None:
        """Look at them again after each change, until cancelled."""
        changed, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(changed.set)

        self._accounts.on_change.append(tell)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), CHECK_SECONDS)
                changed.clear()
                with contextlib.suppress(WorkbenchError):  # the database is busy: looked at again later
                    await self._end_invalid(identify)
        finally:
            self._accounts.on_change.remove(tell)

    async def _end_invalid(self, identify: Callable[[str | None, str | None], Awaitable[User | None]]) -> None:
        for connection in list(self._open):
            if await identify(connection.token, connection.cookies) is None and connection in self._open and connection.task:
                connection.ended = True
                connection.task.cancel()
                log.info("connection ended: its session or token is no longer valid")
