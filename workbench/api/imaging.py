"""The imaging programme: a scan in, a report and its files out."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response

from infra.errors import InvalidInput
from workbench.api.contract import FILE, STILL_RUNNING
from workbench.api.files import file_response
from workbench.api.jobs import JobOptions, job_view
from workbench.api.uploads import Someone, form_body, receive_form
from workbench.services.addresses import job_page
from workbench.services.context import Services
from workbench.services.results import StillRunning, load_report, open_artifact
from workbench.services.uploads import start_analysis, start_sample

# Shown in the browser; everything else is a download.
SHOWN = {"overlay.png", "report.pdf"}


class ImagingOptions(JobOptions):
    """Choices for the analysis of a scan."""

    volume_index: int | None = Field(default=None, ge=0, le=1_000_000, description="Volume of a 4-D file, from 0.")
    series: int | None = Field(default=None, ge=1, le=1_000_000, description="DICOM series, from 1, if there are several.")
    lesion_candidates: bool | None = Field(
        default=None, description="List lesion candidates where the sequence does not allow measuring lesions (not FLAIR)."
    )


class AnalyzeRequest(BaseModel):
    """An analysis of a file that is here already."""

    model_config = ConfigDict(extra="forbid")

    upload: str | None = Field(None, description="Id of an upload.")
    sample: str | None = Field(None, description="Or the name of a bundled sample.")
    options: ImagingOptions = Field(default_factory=ImagingOptions)


def imaging_routes(services: Services) -> APIRouter:
    """Routes below ``/imaging``."""
    routes = APIRouter(prefix="/imaging", tags=["imaging"])

    @routes.post(
        "/analyze",
        status_code=202,
        summary="Start an analysis: a form with a file, or JSON with an upload",
        openapi_extra=form_body("upload", "options", or_json=AnalyzeRequest),
    )
    async def analyze(
        request: Request, user: Someone, idempotency_key: Annotated[str | None, Header(max_length=200)] = None
    ) -> JSONResponse:
        if request.headers.get("content-type", "").startswith("multipart/"):
            upload, fields = await receive_form(request, services, user)
            asked = _asked({"upload": upload.id if upload else fields.get("upload"), "options": _options(fields)})
        else:
            asked = _asked(await _json(request))
        if asked.sample:
            job = await start_sample(services, user, asked.sample, asked.options.chosen(), idempotency_key=idempotency_key)
        elif asked.upload:
            job = await start_analysis(services, user, asked.upload, asked.options.chosen(), idempotency_key=idempotency_key)
        else:
            raise InvalidInput("Send a file in the field 'file', or name an 'upload'.")
        return JSONResponse({**job_view(job), "address": services.settings.url + job_page(job.pipeline, job.id)}, status_code=202)

    @routes.get("/analysis/{job_id}", summary="The report; 202 while the job runs", responses=STILL_RUNNING)
    async def report(job_id: str, user: Someone) -> Response:
        try:
            found = await load_report(services, user, job_id)
        except StillRunning as running:
            return JSONResponse(running.details, status_code=202, headers={"retry-after": "1"})
        return Response(found.model_dump_json(), media_type="application/json")

    @routes.get("/analysis/{job_id}/files/{name}", summary="A file of the result", responses=FILE)
    async def artifact(job_id: str, name: str, request: Request, user: Someone, download: bool = False) -> Response:
        stream, info = await open_artifact(services, user, job_id, name)
        return file_response(request, stream, info, filename=name, inline=name in SHOWN and not download)

    return routes


async def _json(request: Request) -> Any:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > 1 << 20:
            raise InvalidInput("The JSON is too large. Send files as multipart/form-data.")
    try:
        return json.loads(body)
    except ValueError as error:
        raise InvalidInput('Send a form with a file, or JSON like {"upload": "..."}.') from error


def _asked(data: Any) -> AnalyzeRequest:
    try:
        return AnalyzeRequest.model_validate(data)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
        raise InvalidInput(f"The request is not valid. {said}") from error


def _options(fields: dict[str, str]) -> Any:
    try:
        return json.loads(fields.get("options") or "{}")
    except ValueError as error:
        raise InvalidInput("The field 'options' is not JSON.") from error
