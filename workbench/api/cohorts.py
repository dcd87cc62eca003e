"""Cohorts over HTTP: make one, put scans into it, watch it, and take its table and page away."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, JSONResponse, Response

from infra.database import as_utc
from infra.errors import InvalidInput
from workbench.api.contract import FILE, Whole
from workbench.api.files import file_response
from workbench.api.imaging import ImagingOptions
from workbench.api.jobs import job_view
from workbench.api.uploads import Someone, form_body, receive_form
from workbench.services.cohort_files import cohort_csv, cohort_html
from workbench.services.cohort_study import StudyState, open_study_file, study_state
from workbench.services.cohorts import (
    CohortRow,
    CohortView,
    add_scan,
    cancel_cohort,
    create_cohort,
    list_cohorts,
    retry_cohort,
    show_cohort,
)
from workbench.services.context import Services


class CohortRequest(BaseModel):
    """A new cohort."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(max_length=200, description="Name, for example that of the folder.")
    options: ImagingOptions = Field(default_factory=ImagingOptions, description="Options for every scan.")
    study: bool = Field(False, description="The scans are sequences of one visit: co-register them and report each lesion once.")


def row_view(row: CohortRow) -> dict[str, Any]:
    """A scan of a cohort as JSON."""
    job = job_view(row.job)
    kept = ("id", "state", "stage", "fraction", "error", "started_at", "finished_at")
    return {
        "name": row.scan.name, **row.scan.facts, "same_as": row.same_as, "job": {name: job[name] for name in kept}, "summary": row.summary,
    }  # fmt: skip


def study_view(study: StudyState) -> dict[str, Any]:
    """Where a cohort's study stands, as JSON."""
    return {"state": study.state, "error": study.error.as_dict() if study.error else None, "files": list(study.files)}


def cohort_view(services: Services, view: CohortView) -> dict[str, Any]:
    """A cohort as JSON."""
    cohort, study = view.cohort, study_state(services, view)
    return {
        "id": cohort.id, "title": cohort.title, "created_at": as_utc(cohort.created_at).isoformat(), "live": view.live,
        "fraction": round(view.fraction, 4), "done": view.count("done"), "failed": view.count("failed"),
        "cancelled": view.count("cancelled"), "study": study_view(study) if study else None,
        "scans": [row_view(row) for row in view.rows], "address": f"{services.settings.url}/cohorts?cohort={cohort.id}",
    }  # fmt: skip


def cohort_routes(services: Services) -> APIRouter:
    """Routes below ``/imaging/cohorts``."""
    routes = APIRouter(prefix="/imaging/cohorts", tags=["imaging"])

    @routes.post("", status_code=201, summary="A new cohort, empty")
    async def create(asked: CohortRequest, user: Someone) -> JSONResponse:
        cohort = await create_cohort(services, user, asked.title, asked.options.chosen(), study=asked.study)
        return JSONResponse(cohort_view(services, await show_cohort(services, user, cohort.id)), status_code=201)

    @routes.get("", summary="Your cohorts, newest first")
    async def cohorts(user: Someone, limit: Whole = 20) -> JSONResponse:
        found = await list_cohorts(services, user, min(max(limit, 1), 200))
        cards = [
            {"id": c.id, "title": c.title, "created_at": as_utc(c.created_at).isoformat(), "states": c.states, "study": c.study}
            for c in found
        ]
        return JSONResponse({"cohorts": cards})

    @routes.get("/{cohort_id}", summary="A cohort and its scans")
    async def show(cohort_id: str, user: Someone) -> JSONResponse:
        return JSONResponse(cohort_view(services, await show_cohort(services, user, cohort_id)))

    @routes.post(
        "/{cohort_id}/scans",
        status_code=202,
        summary="Add a scan: a form with the file and the fields name and facts (JSON)",
        openapi_extra=form_body("name", "facts"),
    )
    async def scan(cohort_id: str, request: Request, user: Someone) -> JSONResponse:
        await show_cohort(services, user, cohort_id)  # before the body is taken
        upload, fields = await receive_form(request, services, user)
        if upload is None:
            raise InvalidInput("The form has no file. Put the scan in the field 'file'.")
        row = await add_scan(services, user, cohort_id, upload, fields.get("name") or upload.name, _facts(fields))
        return JSONResponse(row_view(row), status_code=202)

    @routes.post("/{cohort_id}/cancel", summary="Cancel unfinished scans")
    async def cancel(cohort_id: str, user: Someone) -> JSONResponse:
        return JSONResponse(cohort_view(services, await cancel_cohort(services, user, cohort_id)))

    @routes.post("/{cohort_id}/retry", status_code=202, summary="Retry failed and cancelled scans")
    async def retry(cohort_id: str, user: Someone) -> JSONResponse:
        return JSONResponse(cohort_view(services, await retry_cohort(services, user, cohort_id)), status_code=202)

    @routes.get("/{cohort_id}/measurements.csv", summary="One row a scan")
    async def table(cohort_id: str, user: Someone) -> Response:
        headers = {"content-disposition": 'attachment; filename="measurements.csv"', "cache-control": "private, no-store"}
        return Response(await cohort_csv(services, user, cohort_id), media_type="text/csv", headers=headers)

    @routes.get("/{cohort_id}/quality.html", summary="Quality page as one self-contained HTML file")
    async def page(cohort_id: str, user: Someone) -> Response:
        return HTMLResponse(await cohort_html(services, user, cohort_id), headers={"cache-control": "private, no-store"})

    @routes.get(
        "/{cohort_id}/files/{name}", summary="Files of a study: study.json, study_segmentation.nii.gz; 409 until finished", responses=FILE
    )
    async def file(cohort_id: str, name: str, request: Request, user: Someone) -> Response:
        stream, info = await open_study_file(services, user, cohort_id, name)
        answer = file_response(request, stream, info, filename=name)
        answer.headers["cache-control"] = "private, no-cache"  # a scan that is added or retried changes what stands here
        return answer

    return routes


def _facts(fields: dict[str, str]) -> dict[str, str]:
    try:
        found = json.loads(fields.get("facts") or "{}")
        return {str(name)[:40]: str(value)[:100] for name, value in found.items() if name in ("participant", "session", "run", "sequence")}
    except (ValueError, AttributeError) as error:
        raise InvalidInput("The field 'facts' is not a JSON object.") from error
