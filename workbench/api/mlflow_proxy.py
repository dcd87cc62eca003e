"""MLflow's pages and API for people who are signed in, as far as their rights go (:mod:`workbench.services.mlflow_access`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from infra.database.tables import User
from infra.errors import InvalidInput, NotFound, TooLarge, Unavailable, WorkbenchError
from serving.mlflow_server import PREFIX, MlflowServer, find_server
from workbench.api.problems import body_of, problem_of
from workbench.api.uploads import Someone, body_pieces
from workbench.services.context import Services
from workbench.services.mlflow_access import Asked, Sent, decide

SENT_ON = {"accept", "content-type", "content-length", "range", "if-none-match", "if-modified-since", "user-agent"}
SENT_BACK = {
    *("content-type", "content-length", "content-encoding", "content-disposition", "content-range", "accept-ranges"),
    *("etag", "last-modified", "cache-control", "vary", "location", "x-content-type-options"),
}
LARGEST_BODY = 16_000_000  # of what is read whole: a batch of metrics is far smaller
LARGEST_ANSWER = 200_000_000  # of what is filtered
# Above MLflow's own page: the way back, and what it sends to its makers. The app below it takes the height that is left.
BAR = """<style>
body{{display:flex;flex-direction:column;height:100vh}}#root{{flex:1;min-height:0;overflow:auto}}
.workbench-bar{{display:flex;gap:1rem;align-items:center;padding:0 1rem;min-height:40px;background:#1d2b3a;color:#c9d4de;
font:14px/1.4 system-ui,sans-serif}}.workbench-bar a{{color:#fff;padding:10px 0}}.workbench-bar span{{margin-left:auto}}
</style><nav class="workbench-bar" aria-label="Workbench"><a href="/">← Workbench</a>{note}</nav>"""
TELEMETRY_OFF = "<span>MLflow telemetry is off</span>"
# What MLflow's client looks for in an error.
CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST", 503: "TEMPORARILY_UNAVAILABLE"}


class MlflowProxy:
    """Everything below ``/mlflow``, and the connections it keeps to MLflow's server."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._server: MlflowServer | None = None
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def routes(self) -> APIRouter:
        routes = APIRouter(prefix=PREFIX, include_in_schema=False)

        @routes.get("")
        async def to_slash() -> Response:
            return RedirectResponse(f"{PREFIX}/", status_code=307)

        @routes.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        async def forward(path: str, request: Request, user: Someone) -> Response:
            try:
                return await self._forward(f"/{path}", request, user)
            except WorkbenchError as error:
                return _refusal(error)

        return routes

    async def _connect(self) -> tuple[MlflowServer, httpx.AsyncClient]:
        server = await asyncio.to_thread(find_server, self._services.settings)
        if server is None:
            raise Unavailable("MLflow is not running. It starts shortly after the models.")
        if self._client is None or server != self._server:
            await self.close()
            self._server, self._client = server, server.client(seconds=300)
        return server, self._client

    async def _forward(self, path: str, request: Request, user: User) -> Response:
        server, client = await self._connect()

        async def fetch(address: str, query: list[tuple[str, str]]) -> dict[str, Any]:
            return await _fetch(server, client, address, query)

        asked = Asked(
            method=request.method,
            path=path,
            query=list(request.query_params.multi_items()),
            user=user,
            read=lambda: _whole(body_pieces(request), LARGEST_BODY),
            fetch=fetch,
            artifacts=self._services.settings.mlflow_artifacts_path if server.own else None,
        )
        sent = await decide(asked)
        answer = await _send(client, _request(server, client, request, asked, sent))
        if path == "/" and answer.status_code == 200 and answer.headers.get("content-type", "").startswith("text/html"):
            async with contextlib.aclosing(answer):
                page = await _whole(answer.aiter_bytes(), LARGEST_BODY)
            return Response(with_bar(page, own=server.own), media_type="text/html; charset=utf-8", headers={"cache-control": "no-cache"})
        if sent.keep is not None:
            return await _filtered(answer, sent)
        kept = {name: value for name, value in answer.headers.items() if name in SENT_BACK} | sent.headers
        return StreamingResponse(_raw(answer), status_code=answer.status_code, headers=kept, background=BackgroundTask(answer.aclose))


def with_bar(page: bytes, *, own: bool) -> bytes:
    """MLflow's page with a bar that leads back to the workbench; of its ``own`` server it says that telemetry is off."""
    head, tag, rest = page.partition(b"<body>")
    return head + tag + BAR.format(note=TELEMETRY_OFF if own else "").encode() + rest if tag else page


def _request(server: MlflowServer, client: httpx.AsyncClient, request: Request, asked: Asked, sent: Sent) -> httpx.Request:
    """The request that is sent on: what was checked, in one spelling, and nothing else of what came."""
    headers = {name: value for name, value in request.headers.items() if name in SENT_ON}
    if not sent.streams:
        headers.pop("content-length", None)
        headers.pop("content-type", None)
    if asked.path == "/":  # its page is changed on the way: an answer "not modified" would be about another one
        for name in ("if-none-match", "if-modified-since", "range"):
            headers.pop(name, None)
    read_here = sent.keep is not None or asked.path == "/"
    headers["accept-encoding"] = "identity" if read_here else request.headers.get("accept-encoding", "identity")
    target = _address(server, sent.path or asked.path, asked.query if sent.query is None else sent.query)
    if sent.streams:
        return client.build_request(asked.method, target, headers=headers, content=body_pieces(request))
    if sent.body is not None:
        headers["content-type"] = "application/json"
        return client.build_request(asked.method, target, headers=headers, content=json.dumps(sent.body).encode())
    return client.build_request(asked.method, target, headers=headers)


def _address(server: MlflowServer, path: str, query: list[tuple[str, str]]) -> httpx.URL:
    """The address on the server; it serves files as a stream beside its prefix."""
    base = httpx.URL(server.url)
    prefix = b"" if server.own and path.startswith("/api/2.0/mlflow-artifacts/artifacts/") else base.raw_path.rstrip(b"/")
    raw = prefix + quote(path, safe="/~:@!$&'()*+,;=-._").encode()
    return base.copy_with(raw_path=raw + (b"?" + urlencode(query).encode() if query else b""))


async def _send(client: httpx.AsyncClient, asked: httpx.Request) -> httpx.Response:
    try:
        return await client.send(asked, stream=True)
    except httpx.ConnectError as error:
        raise Unavailable("MLflow is not responding yet. Try again in a few seconds.") from error
    except httpx.HTTPError as error:
        raise Unavailable(f"MLflow's server did not answer: {type(error).__name__}.") from error


async def _fetch(server: MlflowServer, client: httpx.AsyncClient, path: str, query: list[tuple[str, str]]) -> dict[str, Any]:
    answer = await _send(client, client.build_request("GET", _address(server, path, query)))
    async with contextlib.aclosing(answer):
        said = json.loads(await answer.aread() or b"{}") if "json" in answer.headers.get("content-type", "") else {}
    if answer.status_code == 404:
        raise NotFound("MLflow record not found.")
    if answer.status_code >= 500:
        raise Unavailable(f"MLflow's server answered with status {answer.status_code}.")
    if answer.status_code >= 400:
        raise InvalidInput(str(said.get("message", "Invalid MLflow request."))[:300])
    return said


async def _whole(pieces: AsyncIterator[bytes], most: int) -> bytes:
    found = bytearray()
    async for piece in pieces:
        found += piece
        if len(found) > most:
            raise TooLarge(f"Requests to MLflow are limited to {most // 1_000_000} MB.")
    return bytes(found)


async def _filtered(answer: httpx.Response, sent: Sent) -> Response:
    """The answer without what the person may not see; errors say nothing of records and pass."""
    assert sent.keep is not None
    async with contextlib.aclosing(answer):
        content = await _whole(answer.aiter_bytes(), LARGEST_ANSWER)
    if answer.status_code != 200:
        return Response(content, status_code=answer.status_code, media_type=answer.headers.get("content-type"))
    said = json.loads(content)
    return JSONResponse(sent.keep(said) if isinstance(said, dict) else {}, headers=sent.headers)


def _refusal(error: WorkbenchError) -> Response:
    """A problem document that MLflow's client and pages understand, too."""
    problem = problem_of(error)
    code = CODES.get(problem.status, "INVALID_PARAMETER_VALUE")
    return JSONResponse({**body_of(problem), "error_code": code, "message": problem.message}, status_code=problem.status)


async def _raw(answer: httpx.Response) -> AsyncIterator[bytes]:
    # As it came, compressed or not: its headers say how.
    async for piece in answer.aiter_raw():
        yield piece
