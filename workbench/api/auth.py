"""Signing in and out, and passwords."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from infra.database.tables import User
from infra.errors import InvalidInput, NotSignedIn, WorkbenchError
from workbench.accounts import Accounts
from workbench.accounts.page import password_page, replace_session_page, safe_next, sign_in_page
from workbench.api.contract import GOES_ON
from workbench.api.identity import require_user, user_of
from workbench.api.problems import headers_of


def auth_routes(accounts: Accounts) -> APIRouter:
    """Routes below ``/auth``."""
    routes = APIRouter(prefix="/auth", tags=["accounts"])
    sessions = accounts.sessions

    @routes.get("/sign-in", response_class=HTMLResponse, summary="The sign-in page", responses=GOES_ON)
    async def show_sign_in(request: Request, next: str = "/", notice: str = "") -> Response:
        if user_of(request) is not None:
            return RedirectResponse(safe_next(next), status_code=303)
        said = {"out": "You are signed out.", "password": "The password is set. Sign in with it."}.get(notice, "")
        return HTMLResponse(sign_in_page(next_path=safe_next(next), notice=said))

    @routes.post("/sign-in", status_code=303, summary="Sign in with name and password")
    async def sign_in(
        request: Request,
        name: Annotated[str, Form(max_length=200)],
        password: Annotated[str, Form(max_length=2000)],
        next: Annotated[str, Form(max_length=2000)] = "/",
    ) -> Response:
        address = request.client.host if request.client else ""
        device = accounts.devices.read(request.headers.get("cookie"), name)
        run = accounts.passwords.run if device else accounts.passwords.run_for_stranger
        try:
            with accounts.limits.attempt(name, address, device):
                user = await run(accounts.sign_in, name, password, address=address)
        except WorkbenchError as error:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            page = sign_in_page(next_path=safe_next(next), name=name, problem=error.message)
            return HTMLResponse(page, status_code=error.status, headers=headers_of(error))
        return await _signed_in(request, user, safe_next(next))

    @routes.get("/link", response_class=HTMLResponse, summary="Sign in by a one-time link", responses=GOES_ON)
    async def use_link(request: Request, secret: str, next: str = "/") -> Response:
        if "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", "")):
            # A browser that looks ahead must not use the link up before the person opens it.
            raise InvalidInput("Sign-in links do not support HEAD.")
        here = user_of(request)
        if here is not None:
            wanted = await asyncio.to_thread(accounts.user_of_link, secret)
            if wanted is not None and wanted.id != here.id:
                # Else a link that somebody sends would put people into an account that is not theirs, unseen.
                page = replace_session_page(secret=secret, next_path=safe_next(next), here=here.name, wanted=wanted.name)
                return HTMLResponse(page, headers={"cache-control": "no-store"})
        return await _by_link(request, secret, next)

    @routes.post("/link", status_code=303, summary="Replace the current session by a one-time link of another account")
    async def confirm_link(
        request: Request, secret: Annotated[str, Form(max_length=200)], next: Annotated[str, Form(max_length=2000)] = "/"
    ) -> Response:
        return await _by_link(request, secret, next)

    async def _by_link(request: Request, secret: str, next: str) -> Response:
        try:
            user = await asyncio.to_thread(accounts.use_link, secret)
        except NotSignedIn as error:
            if user_of(request) is not None:  # opened a second time by the person it signed in
                return RedirectResponse(safe_next(next), status_code=303)
            if "text/html" not in request.headers.get("accept", ""):
                raise
            return HTMLResponse(sign_in_page(next_path=safe_next(next), problem=error.message), status_code=401)
        return await _signed_in(request, user, safe_next(next))

    @routes.post("/sign-out", status_code=303, summary="Sign out of this session or of all sessions")
    async def sign_out(request: Request, user: Annotated[User, Depends(require_user)], everywhere: bool = False) -> Response:
        if everywhere:
            await asyncio.to_thread(accounts.end_sessions, user)
        else:
            await asyncio.to_thread(accounts.end_session, request.headers.get("cookie"))
        response: Response = RedirectResponse("/auth/sign-in?notice=out", status_code=303)
        response.headers["set-cookie"] = sessions.clearing_header()
        return response

    @routes.get("/password", response_class=HTMLResponse, summary="The page that sets a password")
    async def show_password(user: Annotated[User, Depends(require_user)]) -> Response:
        return HTMLResponse(password_page(name=user.name, has_password=user.password_hash is not None))

    @routes.post("/password", status_code=303, summary="Set or change the password; every session ends")
    async def set_password(
        request: Request,
        user: Annotated[User, Depends(require_user)],
        password: Annotated[str, Form(max_length=2000)],
        current: Annotated[str | None, Form(max_length=2000)] = None,
    ) -> Response:
        try:
            changed = await accounts.passwords.run(accounts.set_password, user, password, current=current)
        except WorkbenchError as error:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            page = password_page(name=user.name, has_password=user.password_hash is not None, problem=error.message)
            return HTMLResponse(page, status_code=error.status, headers=headers_of(error))
        # This browser stays signed in: it has just proved who it is.
        return await _signed_in(request, changed, "/")

    @routes.get("/me", summary="Who am I")
    async def me(user: Annotated[User, Depends(require_user)]) -> JSONResponse:
        said: dict[str, Any] = {"id": user.id, "name": user.name, "role": user.role, "has_password": user.password_hash is not None}
        return JSONResponse(said)

    async def _signed_in(request: Request, user: User, where: str) -> Response:
        cookie = await asyncio.to_thread(accounts.start_session, user, cookies=request.headers.get("cookie"))
        response = RedirectResponse(where, status_code=303)
        response.headers.append("set-cookie", cookie)
        response.headers.append("set-cookie", accounts.devices.header(user.name))
        response.headers["cache-control"] = "no-store"
        return response

    return routes
