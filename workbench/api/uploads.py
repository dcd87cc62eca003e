"""Sending files: as a form, or the bytes alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from infra.database import as_utc
from infra.database.tables import Upload, User
from infra.errors import InvalidInput, TooLarge
from workbench.api.identity import require_user
from workbench.api.multipart import MultipartForm
from workbench.services.context import Services
from workbench.services.uploads import find_upload, save_upload

Someone = Annotated[User, Depends(require_user)]
# The routes read their bodies by hand: OpenAPI is told here what FastAPI cannot see.
BYTES = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


def form_body(*fields: str, or_json: type[BaseModel] | None = None) -> dict[str, Any]:
    """``openapi_extra`` of a route that takes a form with a file and these text fields; or, in its place, JSON of a model."""
    properties = {"file": {"type": "string", "format": "binary"}, **{name: {"type": "string"} for name in fields}}
    form = {"type": "object", "properties": properties, **({} if or_json else {"required": ["file"]})}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if or_json is not None:
        schema = or_json.model_json_schema(ref_template="#/components/schemas/{model}")
        content["application/json"] = {"schema": schema}
    return {"requestBody": {"required": True, "content": content}}


FORM = form_body()


def upload_view(upload: Upload) -> dict[str, Any]:
    """An upload as JSON."""
    said = upload.model_dump(include={"id", "name", "media_type", "size", "sha256"})
    return {**said, "created_at": as_utc(upload.created_at).isoformat()}


async def body_pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises InvalidInput where the sender goes away before its end."""
    try:
        async for piece in request.stream():
            if piece:
                yield piece
    except ClientDisconnect as error:
        raise InvalidInput("The upload was cut off before its end. Send it again.") from error


def check_length(request: Request, services: Services) -> None:
    """Refuse before the first byte what says itself that it is too large."""
    limit = services.settings.gateway.max_upload_mb * 1_000_000
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit + 100_000:
        raise TooLarge(f"The file exceeds the limit of {limit // 1_000_000} MB (gateway.max_upload_mb).")


async def receive_form(request: Request, services: Services, user: User) -> tuple[Upload | None, dict[str, str]]:
    """The file of a form, stored (None where there is none), and its fields."""
    check_length(request, services)
    form = MultipartForm(body_pieces(request), request.headers.get("content-type", ""))
    upload = None
    if await form.find_file():
        upload = await save_upload(services, user, form.filename or "", form.file_pieces())
    await form.finish()
    return upload, form.fields


def upload_routes(services: Services) -> APIRouter:
    """Routes below ``/uploads``."""
    routes = APIRouter(prefix="/uploads", tags=["uploads"])

    @routes.post("", status_code=201, summary="Send a file as a form", openapi_extra=FORM)
    async def send_form(request: Request, user: Someone) -> JSONResponse:
        upload, _ = await receive_form(request, services, user)
        if upload is None:
            raise InvalidInput("The form has no file. Put it in the field 'file'.")
        return JSONResponse(upload_view(upload), status_code=201)

    @routes.put("/{name}", status_code=201, summary="Upload a file as the raw body", openapi_extra=BYTES)
    async def send_bytes(name: str, request: Request, user: Someone) -> JSONResponse:
        check_length(request, services)
        upload = await save_upload(services, user, name, body_pieces(request))
        return JSONResponse(upload_view(upload), status_code=201)

    @routes.get("/{upload_id}", summary="Details of an upload")
    async def show(upload_id: str, user: Someone) -> JSONResponse:
        return JSONResponse(upload_view(await find_upload(services, user, upload_id)))

    return routes
