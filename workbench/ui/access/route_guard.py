"""What of Gradio's routes can be reached, and as whom: a layer around the mounted Gradio application.

Gradio has some eighty routes. Pages use the few that stand here; a route that an update adds stays closed. Pages
and their events are held to the person who opened them (:mod:`workbench.ui.access.page_sessions`), files to the one who uploaded
them (:mod:`workbench.ui.access.page_files`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import gradio as gr
import orjson
from gradio.route_utils import upload_fn
from gradio.routes import file_upload_statuses
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.database.tables import User
from infra.errors import InvalidInput, NotFound, NotSignedIn, TooLarge, WorkbenchError
from workbench.api.identity import user_of
from workbench.api.problems import send_problem
from workbench.ui.access.page_files import PageFiles
from workbench.ui.access.page_sessions import PageSessions

API = "/gradio_api/"
# What every page loads: the program's own files, and Gradio's description of its pages and events.
LOADED = {
    *("/config", "/theme.css", "/manifest.json", "/robots.txt"),
    *(API + name for name in ("theme.css", "info", "app_id", "startup-events")),
}
FOR_STRANGERS = {"/favicon.ico"}  # the sign-in page asks for it
LOADED_BELOW = ("/assets/", "/static/", "/svelte/")
MOST_IN_AN_EVENT = 4 << 20

Handler = Callable[[Scope, Receive, Send, User], Awaitable[None]]


class RouteGuard:
    """ASGI middleware around the mounted Gradio application.

    Args:
        app: the mounted Gradio application.
        blocks: its pages.
        files: where uploads lie.
        sessions: whose the open pages are.
        cookie: the name of the session cookie.
    """

    def __init__(self, app: ASGIApp, *, blocks: gr.Blocks, files: PageFiles, sessions: PageSessions, cookie: str) -> None:
        self.app = app
        self.blocks = blocks
        self.files = files
        self.sessions = sessions
        self.cookie = cookie
        self.pages = {f"/{page[0]}" for page in blocks.pages}
        self.handlers: dict[tuple[str, str], Handler] = {
            ("POST", "upload"): self._upload,
            ("GET", "upload_progress"): self._progress,
            ("POST", "queue/join"): self._join,
            ("GET", "queue/data"): self._messages,
            ("POST", "cancel"): self._cancel,
            ("POST", "reset"): self._pass,  # does nothing, and Gradio's client calls it
            ("POST", "closed"): self._closed,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # Gradio's pages use no WebSocket
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["path"] in FOR_STRANGERS and scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        try:
            await self._handler(scope)(scope, receive, send, _person(scope))
        except WorkbenchError as error:
            await send_problem(error, send, scope)

    def _handler(self, scope: Scope) -> Handler:
        path, method = scope["path"], scope["method"]
        reads = method in ("GET", "HEAD")
        # A deep link shows the values of another person's page.
        if reads and (path in LOADED or path in self.pages or path.startswith(LOADED_BELOW)) and not _asks_for(scope, "deep_link"):
            return self._pass
        if path.startswith(API):
            called = path.removeprefix(API).rstrip("/")
            if reads and called.startswith("file="):
                return self._file
            if found := self.handlers.get((method, called)):
                return found
        raise NotFound("Nothing exists at this address. Check it, or go back.")

    async def _pass(self, scope: Scope, receive: Receive, send: Send, user: User) -> None:
        await self.app(scope, receive, send)

    async def _join(self, scope: Scope, receive: Receive, send: Send, user: User) -> None:
        body = await _json_body(receive)
        await self.sessions.enter(user, body.get("session_hash"))
        self.files.check(self._folder(scope, user), body.get("data"))
        await self.app(*_with_body(scope, receive, orjson.dumps(body)), send)

    async def _messages(self, scope: Scope, receive: Receive, send: Send, user: User) -> None:
        self.sessions.require(user, dict(_query(scope)).get("session_hash"))
        await self.app(scope, receive, send)

    async def _cancel(self, scope: Scope, receive: Receive, send: Send, user: User) -> None:
        body = await _json_body(receive)
        self.sessions.require(user, body.get("session_hash"), body.get("event_id"))
        await self.app(*_with_body(scope, receive, orjson.dumps(body)), send)

    async def _closed(self, scope: Scope, receive: Receive, send: Send, user: User) -> None:
        # Ours, not Gradio's: sent by a page as it is left (pages.js).
        await self.sessions.close(self.sessions.require(user, dict(_query(scope)).get("session_hash")))
        await Response(status_code=204)(scope, receive, send)

    async def _file(self, scope: Scope, receive: Receive, send: Send, user: User) -> None:
        # What the person uploaded a moment ago, which the upload field links to. No event of ours gives out a file by this route.
        self.files.find(self._folder(scope, user), scope["path"].removeprefix(f"{API}file="))
        await self.app(scope, receive, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send, user: User) -> None:
        request = Request(scope, receive)
        limit = self.blocks.max_file_size or math.inf
        named = request.query_params.get("upload_id")
        upload_id = _own(user, named) if named else None
        progress = file_upload_statuses if named else None
        try:
            found, _, _ = await upload_fn(request, str(self._folder(scope, user)), limit, upload_id, upload_progress=progress)
            response: Response = JSONResponse(found)
        except MultiPartException as error:
            kind = TooLarge if "size" in error.message else InvalidInput
            raise kind(error.message) from error
        except HTTPException as error:
            raise InvalidInput(str(error.detail)) from error
        await response(scope, receive, send)

    async def _progress(self, scope: Scope, receive: Receive, send: Send, user: User) -> None:
        query = [(name, _own(user, value) if name == "upload_id" else value) for name, value in _query(scope)]
        await self.app({**scope, "query_string": urlencode(query).encode()}, receive, send)

    def _folder(self, scope: Scope, user: User) -> Path:
        return self.files.folder(user.id, _sign_in(scope, self.cookie))


def _person(scope: Scope) -> User:
    user = user_of(Request(scope))
    if user is None:
        raise NotSignedIn("Sign in first.")
    return user


def _own(user: User, name: str) -> str:
    """A name that a browser made up, made this person's: another's is never the same."""
    return f"{user.id}:{name}"


def _sign_in(scope: Scope, cookie: str) -> str:
    """A digest that names the sign-in behind a request: of its token, or of its session cookie."""
    headers = Request(scope).headers
    credential = headers.get("authorization")
    if credential is None:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(cookie)
        except CookieError:
            morsel = None
        credential = morsel.value if morsel else ""
    return hashlib.sha256(credential.encode()).hexdigest()[:32]


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _asks_for(scope: Scope, name: str) -> bool:
    return any(found == name for found, _ in _query(scope))


async def _json_body(receive: Receive) -> dict[str, Any]:
    """The JSON object that a request carries.

    Raises:
        TooLarge: more than an event of a page sends.
        InvalidInput: it is no JSON object.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("The request was interrupted.")
        body += message.get("body", b"")
        if len(body) > MOST_IN_AN_EVENT:
            raise TooLarge(f"A page event can send at most {MOST_IN_AN_EVENT >> 20} MB. Send long texts as a file.")
        if not message.get("more_body"):
            break
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The request is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise InvalidInput("The request is not a JSON object.")
    return found


def _with_body(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    """The same request with another body."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    sent = False

    async def given() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}, given
