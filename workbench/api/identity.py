"""Who asks. One layer decides it for every request and turns strangers away before any route or page is reached.

So a new route is closed unless it is named in ``PUBLIC`` here. State-changing requests that a cookie signs in must
come from the workbench's own pages (``Sec-Fetch-Site``, else ``Origin``): a foreign site cannot act for a person.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.database.tables import User
from infra.errors import NotAllowed, NotSignedIn
from workbench.accounts import Accounts
from workbench.api.open_connections import OpenConnections
from workbench.api.problems import send_problem

KEY = "workbench_user"
# The one list of what a stranger may reach. /objects/ carries its own signed permission.
PUBLIC = ("/auth/link", "/auth/sign-in", "/health/", "/metrics", "/docs", "/openapi.json", "/objects/", "/favicon.ico")
# Below these a program asks, and wants a problem document; elsewhere a person does, and wants the sign-in page.
PROGRAMS = (
    *("/jobs", "/notifications", "/models", "/uploads", "/imaging/anal", "/imaging/cohorts", "/mlops/", "/auth/"),
    *("/gradio_api/", "/assets/", "/mlflow/api/", "/mlflow/ajax-api/"),
)
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def user_of(connection: HTTPConnection | Any) -> User | None:
    """The person behind a request or WebSocket; None for a stranger (on public addresses only)."""
    return connection.scope.get(KEY)


async def require_user(connection: HTTPConnection) -> User:
    """FastAPI dependency: the person behind the request. Async, since FastAPI runs others in a thread (0.4 ms a call).

    Raises:
        NotSignedIn: a stranger.
    """
    user = user_of(connection)
    if user is None:
        raise NotSignedIn("Sign in first: open the workbench in a browser, or send a token as 'Authorization: Bearer ...'.")
    return user


async def identify(accounts: Accounts, token: str | None, cookies: str | None) -> User | None:
    """The person of a token, else of a ``Cookie`` header; the database is asked in a thread, where it must be."""
    known, user = accounts.cached_user(token=token, cookies=cookies)
    if known:
        return user
    if token:
        return await asyncio.to_thread(accounts.user_of_token, token)
    return await asyncio.to_thread(accounts.user_of_cookies, cookies)


class Guard:
    """The layer itself."""

    def __init__(
        self, app: ASGIApp, *, accounts: Accounts, connections: OpenConnections | None = None, public_url: str | None = None
    ) -> None:
        self.app = app
        self.accounts = accounts
        self.connections = connections or OpenConnections(accounts)
        self.own_host = urlsplit(public_url).netloc.lower() if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        token = _bearer(headers)
        user = scope[KEY] = await identify(self.accounts, token, headers.get("cookie"))
        refusal: Exception | None = None
        path: str = scope["path"]
        if user is None and not path.startswith(PUBLIC):
            if scope["type"] == "http" and wants_page(scope["method"], path, headers.get("accept", "")):
                target = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
                where = "/auth/sign-in" + (f"?next={quote(target)}" if target != "/" else "")
                await RedirectResponse(where, status_code=303)(scope, receive, send)
                return
            refusal = NotSignedIn("Sign in first: open the workbench in a browser, or send a token as 'Authorization: Bearer ...'.")
        elif token is None and self._changes(scope) and not self.same_site(headers):
            refusal = NotAllowed("Cross-site request refused. Use the workbench's own pages or an API token.")
        if refusal is None and user is not None and not path.startswith("/auth/"):
            await self._answer(token, headers.get("cookie"), scope, receive, send)
        elif refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await send_problem(refusal, send)
        else:
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1008, "reason": str(refusal)[:120]})

    def same_site(self, headers: Headers) -> bool:
        """Whether a browser says that one of our own pages sent this; programs say nothing, and have no cookie to steal."""
        site = headers.get("sec-fetch-site")
        if site in ("same-origin", "none"):
            return True
        origin = headers.get("origin")
        if origin is None:
            return site is None
        host = urlsplit(origin).netloc.lower()
        return bool(host) and host in (headers.get("host", "").lower(), self.own_host)

    async def _answer(self, token: str | None, cookies: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a person's request; it ends early where their session or token does."""
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        with self.connections.track(token, cookies) as connection:
            try:
                await self.app(scope, receive, noted)
            except asyncio.CancelledError:
                if not connection.ended:
                    raise
                if connection.task:
                    connection.task.uncancel()
        if connection.ended and scope["type"] == "websocket":
            with contextlib.suppress(RuntimeError):  # it may be closed already
                await send({"type": "websocket.close", "code": 1008, "reason": "You are signed out."})
        elif connection.ended and not started:
            await send_problem(NotSignedIn("You were signed out while this request was running."), send)

    @staticmethod
    def _changes(scope: Scope) -> bool:
        # A WebSocket is not held to the same origin by browsers, and reads what the person may read.
        return scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS


def wants_page(method: str, path: str, accept: str) -> bool:
    """Whether a person in a browser asks (and is better served by the sign-in page than by a problem document)."""
    if method not in ("GET", "HEAD"):
        return False
    return "text/html" in accept or (accept in ("", "*/*") and not path.startswith(PROGRAMS) and "." not in path.rpartition("/")[2])


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
