"""The samples of the compliance programme over HTTP, and what an analysis leaves: its files, and its document's pages."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header
from starlette.responses import JSONResponse, Response

from pipelines.compliance.files import FILES
from workbench.api.contract import Whole
from workbench.api.jobs import job_view
from workbench.api.uploads import Someone
from workbench.services.addresses import job_page
from workbench.services.compliance_files import analysis_file
from workbench.services.compliance_places import evidence_picture
from workbench.services.compliance_starter import start_sample
from workbench.services.context import Services


def compliance_file_routes(services: Services) -> APIRouter:
    """``/mlops/samples/{name}/analyze``, and routes below ``/mlops/analysis/{id}``."""
    routes = APIRouter(prefix="/mlops", tags=["compliance"])

    @routes.post("/samples/{name}/analyze", status_code=202, summary="Check a bundled sample document against the starter policies")
    async def analyze(name: str, user: Someone, idempotency_key: Annotated[str | None, Header(max_length=200)] = None) -> JSONResponse:
        job = await start_sample(services, user, name, idempotency_key=idempotency_key)
        return JSONResponse({**job_view(job), "address": services.settings.url + job_page(job.pipeline, job.id)}, status_code=202)

    @routes.get("/analysis/{analysis_id}/files/{name}", summary="The analysis as PDF, DOCX, JSON or CSV")
    async def files(analysis_id: str, name: str, user: Someone) -> Response:
        content, called = await analysis_file(services, user, analysis_id, name)
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(called)}", "cache-control": "private, no-cache"}
        return Response(content, media_type=FILES[name], headers=headers)

    @routes.get("/analysis/{analysis_id}/page.png", summary="A page of the document (PDF) with a span of its text marked")
    async def page(analysis_id: str, page: Whole, start: Whole, end: Whole, user: Someone) -> Response:
        drawn = await evidence_picture(services, user, analysis_id, page, start, end)
        return Response(drawn, media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    return routes
