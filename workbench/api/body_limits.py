"""A limit on every request body, held while the body arrives, with or without ``Content-Length``.

Three sizes (settings ``gateway.*``): ``max_form_kb`` below ``/auth/``, where strangers may send; ``max_upload_mb`` where
a route takes files (its OpenAPI says so) or hands bodies on piece by piece; ``max_json_mb`` everywhere else, since those
bodies are held in memory and take several times their size there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.errors import TooLarge
from infra.settings import Gateway
from workbench.api.problems import send_problem

FORM_PATHS = ("/auth/",)
# Not routes of ours: Gradio's own upload, and what goes on to MLflow as it arrives.
STREAMED_PATHS = ("/gradio_api/upload", "/mlflow/")
FILE_TYPES = ("multipart/form-data", "application/octet-stream")
AROUND_A_FILE = 100_000
"""Bytes that a form may add to the file in it."""


class BodyLimits:
    """The layer. It refuses with 413 and closes the connection; the route is stopped where it reads beyond the limit.

    Args:
        routes: the application's; which of them take files is found at the first request, when all are there.
    """

    def __init__(self, app: ASGIApp, *, limits: Gateway, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        self._limits = limits
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit, setting = self.limit(scope["method"], scope["path"], headers.get("content-type", ""))
        refusal = TooLarge(f"The request exceeds the limit of {_size(limit)} (gateway.{setting}).")
        allowed = limit + (AROUND_A_FILE if setting == "max_upload_mb" else 0)
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > allowed:
            await send_problem(refusal, _closing(send))
            return
        received, too_large, started = 0, False, False

        async def counted() -> Message:
            nonlocal received, too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > allowed:
                too_large = True
                raise refusal
            return message

        async def unless_too_large(message: Message) -> None:
            nonlocal started
            if too_large and not started:
                return  # what the route says of its broken body; the refusal follows
            started = True
            await send(message)

        try:
            await self.app(scope, counted, unless_too_large)
        except Exception:
            if not too_large or started:
                raise
        if too_large and not started:
            await send_problem(refusal, _closing(send))

    def limit(self, method: str, path: str, content_type: str) -> tuple[int, str]:
        """The most bytes for a request, and the name of the setting that says so."""
        if path.startswith(FORM_PATHS):
            return self._limits.max_form_kb * 1000, "max_form_kb"
        if path.startswith(STREAMED_PATHS) or any(
            method in route.methods and route.path_regex.match(path) and content_type.startswith(("multipart/", *taken))
            for route, taken in self._file_routes
        ):
            return self._limits.max_upload_mb * 1_000_000, "max_upload_mb"
        return self._limits.max_json_mb * 1_000_000, "max_json_mb"

    @cached_property
    def _file_routes(self) -> list[tuple[APIRoute, tuple[str, ...]]]:
        """Routes that take files, and the content types they take beside forms: of a file's bytes alone, any (``""``)."""
        found = []
        for route in self._routes:
            content = (getattr(route, "openapi_extra", None) or {}).get("requestBody", {}).get("content", {})
            if isinstance(route, APIRoute) and any(kind in FILE_TYPES for kind in content):
                found.append((route, ("",) if "application/octet-stream" in content else ()))
        return found


def _size(count: int) -> str:
    return f"{count // 1_000_000} MB" if count >= 1_000_000 else f"{count // 1000} kB"


def _closing(send: Send) -> Send:
    """The connection ends with the answer: what is still to come of the body is not read."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return closing
