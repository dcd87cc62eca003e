"""MLflow's pages and API for people who are signed in; its server itself listens on the loopback alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response, StreamingResponse

from infra.errors import Unavailable
from workbench.api.uploads import Someone, body_pieces
from workbench.services.context import Services

PREFIX = "/mlflow"
# What concerns one connection only, and what is ours and not MLflow's to see.
NOT_SENT_ON = {
    "host", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
    "cookie", "authorization", "origin", "referer",
}  # fmt: skip
NOT_SENT_BACK = {"connection", "keep-alive", "transfer-encoding", "server", "date", "x-frame-options"}


class MlflowProxy:
    """Everything below ``/mlflow``, and the connections it keeps to MLflow's server."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # trust_env: a proxy in the environment must not see what goes to the loopback.
        self._client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(300, connect=5), follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    def routes(self) -> APIRouter:
        routes = APIRouter(prefix=PREFIX, include_in_schema=False)

        @routes.get("")
        async def to_slash() -> Response:
            return RedirectResponse(f"{PREFIX}/", status_code=307)

        @routes.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        async def forward(path: str, request: Request, user: Someone) -> Response:
            return await self._forward(request)

        return routes

    async def _forward(self, request: Request) -> Response:
        running = await asyncio.to_thread(self._services.folder.running)
        if running is None or running.mlflow_url is None:
            raise Unavailable("MLflow's server is not running. It starts a little after the models do.")
        headers = [(name, value) for name, value in request.headers.items() if name not in NOT_SENT_ON]
        target = httpx.URL(running.mlflow_url).copy_with(raw_path=_raw_path(request))
        content = body_pieces(request) if request.method not in ("GET", "HEAD") else None
        asked = self._client.build_request(request.method, target, headers=headers, content=content)
        try:
            answer = await self._client.send(asked, stream=True)
        except httpx.ConnectError as error:
            raise Unavailable("MLflow's server does not answer yet. Try again in a few seconds.") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"MLflow's server did not answer: {type(error).__name__}.") from error
        kept = {name: value for name, value in answer.headers.items() if name not in NOT_SENT_BACK}
        return StreamingResponse(_raw(answer), status_code=answer.status_code, headers=kept, background=BackgroundTask(answer.aclose))


def _raw_path(request: Request) -> bytes:
    query: bytes = request.scope["query_string"]
    return request.scope["raw_path"].partition(b"?")[0] + (b"?" + query if query else b"")


async def _raw(answer: httpx.Response) -> AsyncIterator[bytes]:
    # As it came, compressed or not: its headers say how.
    async for piece in answer.aiter_raw():
        yield piece
