"""The outermost layer: a correlation id for every request, safe headers, and no exception that leaves unanswered."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.telemetry import correlated
from workbench.api.headers import add_safe_headers
from workbench.api.problems import send_problem

HEADER = b"x-correlation-id"


class Correlation:
    """Binds the correlation id (the caller's ``X-Correlation-ID`` where it is a plain token) and returns it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        proposed = next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), None)
        with correlated(proposed) as identifier:
            started = False

            async def with_headers(message: Message) -> None:
                nonlocal started
                if message["type"] in ("http.response.start", "websocket.accept"):
                    started = True
                    headers = MutableHeaders(scope=message)
                    headers["x-correlation-id"] = identifier
                    add_safe_headers(headers, scope["path"])
                await send(message)

            try:
                await self.app(scope, receive, with_headers)
            except Exception as error:
                if started or scope["type"] != "http":
                    raise
                await send_problem(error, with_headers)
