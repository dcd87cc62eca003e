"""What the OpenAPI document promises of every operation: how large its integers may be, and which errors it may answer with.

Every error is a problem document (:mod:`workbench.api.problems`); the statuses are derived here from what an operation
takes, for all operations at once, so that a new route is documented without a word about it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field

from workbench.api.identity import PUBLIC, SAFE_METHODS
from workbench.api.problems import MEDIA_TYPE

Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""An integer that a database can hold. Every integer of a route that has no narrower bounds is one."""

PROBLEM = {
    "title": "Problem",
    "description": "An error (RFC 9457). `code` is stable; `detail` is a readable message.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "retryable"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "retryable": {"type": "boolean", "description": "Whether a retry can succeed."},
        "correlation_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "details": {"type": "object"},
    },
}
_MEANING = {
    400: "Malformed request body.",
    401: "Not signed in, or the token, password or link is not valid.",
    403: "Not permitted.",
    404: "Not found, or not accessible.",
    409: "Conflict with the current state.",
    413: "Request too large.",
    415: "Unsupported file format.",
    422: "A value is missing, malformed or out of bounds; the detail names it.",
    429: "Too many requests; see Retry-After.",
    500: "Internal error; details are in the log under the correlation ID.",
    503: "A model or component is temporarily unavailable.",
    504: "A model timed out.",
    507: "The disk is full.",
}
_NAMES = {"collection", "document", "named", "secret"}
"""Parameters of a query that name something, which may not be there."""
_RESULTS = ("/analysis/{", "/kb/jobs/{")
"""Addresses of what a job left: where it failed, they answer with its error."""
STILL_RUNNING: dict[int | str, dict[str, Any]] = {202: {"description": "Still running; see Retry-After."}}
GOES_ON: dict[int | str, dict[str, Any]] = {303: {"description": "Redirect to the page in Location."}}
FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {
        "description": "The requested range of the file.",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "Not modified."},
    416: {"description": "Range not satisfiable."},
}


def install_contract(app: FastAPI) -> None:
    """Put the errors into the document that ``app`` gives at ``/openapi.json``."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = described()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _document_errors(operation, error_statuses(path, method.upper(), operation))
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = PROBLEM
            _move_definitions(document["paths"], schemas)
            for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which we never answer with
                schemas.pop(name, None)
        return app.openapi_schema or {}

    app.openapi = openapi


def error_statuses(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    """The statuses of errors that an operation may answer with, from what it takes."""
    parameters, body = operation.get("parameters", []), "requestBody" in operation
    found = {500, 503}
    named = {one["name"] for one in parameters if one["in"] != "header"}
    if not path.startswith(PUBLIC) or path.startswith("/auth/"):
        found.add(401)
    if named or body:
        found.add(422)
    if path.startswith("/objects/"):
        found.add(403)  # the address itself is the permission, and it ends
    if "{" in path or body or named & _NAMES:
        found.add(404)
    if any(name in path for name in _RESULTS):
        found |= {409, 413, 415, 504, 507}
    if method not in SAFE_METHODS:
        found |= {403, 409, 413, 504, 507}
    if body or method == "PUT":
        found |= {400, 415}
    if path.startswith("/auth/"):
        found.add(429)
    return sorted(found)


def _move_definitions(described: Any, schemas: dict[str, Any]) -> None:
    """Put the models that a schema brings along (``$defs``: of bodies that a route reads by itself) beside all others."""
    if isinstance(described, dict):
        schemas.update(described.pop("$defs", {}))
    for one in described.values() if isinstance(described, dict) else described if isinstance(described, list) else ():
        _move_definitions(one, schemas)


def _document_errors(operation: dict[str, Any], statuses: list[int]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's, of another shape
    for status in statuses:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        problem = {"description": f"{HTTPStatus(status).phrase}. {_MEANING[status]}", "content": content}
        if str(status) in responses:  # a route's own, for example what is not ready with 503
            responses[str(status)].setdefault("content", {}).update(content)
        else:
            responses[str(status)] = problem
