"""Errors as ``application/problem+json`` (RFC 9457), with the codes of :mod:`infra.errors`."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope, Send

from infra.errors import InvalidInput, NotAllowed, NotFound, NotSignedIn, WorkbenchError, find_workbench_error
from infra.telemetry import correlation_id, logger
from workbench.accounts.page import not_found_page

log = logger(__name__)
MEDIA_TYPE = "application/problem+json"


def problem_of(error: BaseException) -> WorkbenchError:
    """The error a person gets to see for any exception; what is not ours is logged and told as ours."""
    found = find_workbench_error(error)
    if found is not None:
        return found
    log.error("unexpected error", exc_info=error)
    return WorkbenchError(
        f"Unexpected error ({type(error).__name__}). "
        f"Details are in the log under correlation ID {correlation_id()}: `workbench logs gateway`."
    )


def body_of(error: WorkbenchError, *, status: int | None = None) -> dict[str, Any]:
    """The document for an error."""
    return {
        "type": f"urn:workbench:error:{error.code}",
        "title": error.code.replace("_", " "),
        "status": status or error.status,
        "detail": error.message,
        "code": error.code,
        "retryable": error.retryable,
        "correlation_id": correlation_id(),
        "details": error.details,
    }


def headers_of(error: WorkbenchError) -> dict[str, str]:
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if wait := error.details.get("retry_after_seconds"):
        headers["Retry-After"] = str(wait)
    return headers


def problem_response(error: BaseException, *, status: int | None = None) -> Response:
    """The response for any exception."""
    problem = problem_of(error)
    content = json.dumps(body_of(problem, status=status), default=str)
    return Response(content, status_code=status or problem.status, media_type=MEDIA_TYPE, headers=headers_of(problem))


def wants_html(method: str, headers: Headers) -> bool:
    """Whether a browser asks for a page (programs, and scripts of pages, accept anything or JSON)."""
    return method in ("GET", "HEAD") and "text/html" in headers.get("accept", "")


def error_response(error: BaseException, method: str, headers: Headers) -> Response:
    """The response to a request: a page where a browser asks for what is not there, else a problem document."""
    problem = find_workbench_error(error)
    if isinstance(problem, NotFound) and wants_html(method, headers):
        return HTMLResponse(not_found_page(problem.message), status_code=404, headers={"Cache-Control": "no-store"})
    return problem_response(error)


async def send_problem(error: BaseException, send: Send, scope: Scope | None = None) -> None:
    """The same from an ASGI layer; with the request's ``scope``, a browser gets a page where nothing is found."""
    response = problem_response(error) if scope is None else error_response(error, scope["method"], Headers(scope=scope))
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body})


def install_problems(app: FastAPI) -> None:
    """Give every error of ``app``'s routes as a problem document."""

    async def ours(request: Request, error: Exception) -> Response:
        return error_response(error, request.method, request.headers)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        fields = [{"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in error.errors()]
        said = "; ".join(f"{item['field']}: {item['message']}" for item in fields[:5])
        return problem_response(InvalidInput(f"The request is not valid. {said}", fields=fields))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = _of_status(error.status_code, str(error.detail))
        if error.status_code == 404 and wants_html(request.method, request.headers):
            return error_response(problem, request.method, request.headers)
        response = problem_response(problem, status=error.status_code)
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(WorkbenchError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _of_status(status: int, detail: str) -> WorkbenchError:
    if status == 404:
        return NotFound("Nothing exists at this address. Check it, or go back." if detail == "Not Found" else detail)
    known: dict[int, type[WorkbenchError]] = {401: NotSignedIn, 403: NotAllowed}
    return known.get(status, InvalidInput if status < 500 else WorkbenchError)(detail)
