"""The compliance programme: a document in, its report out."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response

from infra.errors import InvalidInput
from knowledge.requirements import Policy
from knowledge.requirements.files import MOST_REQUIREMENTS, Line
from workbench.api.contract import STILL_RUNNING
from workbench.api.jobs import JobOptions, job_view
from workbench.api.uploads import Someone, form_body, receive_form
from workbench.services import compliance
from workbench.services.addresses import job_page
from workbench.services.context import Services
from workbench.services.results import StillRunning

MOST_BYTES = 20 << 20


class ComplyRequest(BaseModel):
    """An analysis of a document that was uploaded."""

    model_config = ConfigDict(extra="forbid")

    upload: str = Field(description="Id of an upload.")
    policies: list[str] = Field(default_factory=list, description="Collections of policies, by name or id.")
    requirements: list[Line] = Field(default_factory=list, max_length=MOST_REQUIREMENTS, description="Instead of collections.")
    name: str = Field("requirements", max_length=200, description="Name of the requirements in the report.")
    title: str = Field("", max_length=200, description="Of the analysis; by default the file's name.")
    options: JobOptions = Field(default_factory=JobOptions)


class ReviewRequest(BaseModel):
    """A person's word on a verdict."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["satisfied", "violated", "not_addressed"] = Field(description="Same as the model's verdict: confirms it.")
    reason: str = Field("", max_length=2000, description="Required to change the verdict.")


def compliance_routes(services: Services) -> APIRouter:
    """Routes below ``/mlops``."""
    routes = APIRouter(prefix="/mlops", tags=["compliance"])

    @routes.post(
        "/analyze",
        status_code=202,
        summary="Start an analysis: a form with a file, or JSON naming an upload",
        openapi_extra=form_body("upload", "policies", "requirements", "options", "title", "name", or_json=ComplyRequest),
    )
    async def analyze(
        request: Request, user: Someone, idempotency_key: Annotated[str | None, Header(max_length=200)] = None
    ) -> JSONResponse:
        if request.headers.get("content-type", "").startswith("multipart/"):
            upload, fields = await receive_form(request, services, user)
            asked = _asked(
                {
                    "upload": upload.id if upload else fields.get("upload"),
                    **{name: _parsed(name, fields[name]) for name in ("policies", "requirements", "options") if fields.get(name)},
                    **{name: fields[name] for name in ("title", "name") if fields.get(name)},
                }
            )
        else:
            asked = _asked(await _json(request))
        policy = Policy(asked.name, requirements=tuple(_distinct(asked.requirements))) if asked.requirements else None
        job = await compliance.start_compliance(
            services,
            user,
            asked.upload,
            policies=asked.policies,
            requirements=policy,
            title=asked.title,
            options=asked.options.chosen(),
            idempotency_key=idempotency_key,
        )
        return JSONResponse({**job_view(job), "address": services.settings.url + job_page(job.pipeline, job.id)}, status_code=202)

    @routes.get("/analysis/{job_id}", summary="The report, including reviews; 202 while the job runs", responses=STILL_RUNNING)
    async def report(job_id: str, user: Someone) -> Response:
        try:
            found = await compliance.load_analysis(services, user, job_id)
        except StillRunning as running:
            return JSONResponse(running.details, status_code=202, headers={"retry-after": "1"})
        said = found.report.as_dict()
        for one, match in zip(said["requirements"], found.matches, strict=True):
            one["match"] = match.id
        return JSONResponse({**said, "job": found.id})

    @routes.post("/matches/{match_id}/review", summary="Confirm or change a verdict; updates the score")
    async def review(match_id: str, asked: ReviewRequest, user: Someone) -> JSONResponse:
        view = await compliance.review_verdict(services, user, match_id, asked.verdict, asked.reason)
        return JSONResponse({"analysis": view.id, "score": view.report.grade.score, "risk": view.report.grade.risk})

    @routes.delete("/analysis/{job_id}", status_code=204, summary="Delete an analysis and its document")
    async def delete(job_id: str, user: Someone) -> Response:
        await compliance.delete_analysis(services, user, job_id)
        return Response(status_code=204)

    return routes


def _distinct(lines: list[Line]) -> list[Any]:
    ids = [line.id for line in lines]
    if len(set(ids)) < len(ids):
        raise InvalidInput(f"Two requirements have the id '{next(one for one in ids if ids.count(one) > 1)}'. IDs must be unique.")
    return [line.requirement() for line in lines]


async def _json(request: Request) -> Any:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise InvalidInput("The JSON is too large. Split the requirements.")
    try:
        return json.loads(body)
    except ValueError as error:
        raise InvalidInput('Send a form with a file, or JSON like {"upload": "...", "policies": ["..."]}.') from error


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"The field '{name}' is not JSON.") from error


def _asked(data: Any) -> ComplyRequest:
    try:
        return ComplyRequest.model_validate(data)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
        raise InvalidInput(f"The request is not valid. {said}") from error
