"""Jobs: list, show, cancel, retry, and their events as they happen."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

from infra.database import as_utc
from infra.database.tables import AnalysisJob, JobEvent
from infra.errors import WorkbenchError
from workbench.api.contract import Whole
from workbench.api.identity import require_user
from workbench.api.problems import body_of, problem_of
from workbench.api.uploads import Someone
from workbench.services.context import Services
from workbench.services.results import find_job

Role = Literal["segmentation", "vlm", "llm", "embedding", "entailment"]


class JobOptions(BaseModel):
    """Choices for a job."""

    model_config = ConfigDict(extra="forbid")

    models: dict[Role, Annotated[str, Field(max_length=100)]] = Field(
        default_factory=dict, description='Role to version, for example {"segmentation": "2"}; by default the champions.'
    )

    def chosen(self) -> dict[str, Any]:
        """What was chosen, as a job's row keeps it."""
        return self.model_dump(exclude_defaults=True)


class RetryRequest(BaseModel):
    """How to run a job again."""

    model_config = ConfigDict(extra="forbid")

    from_stage: str | None = Field(None, description="Reuse the results of the stages before this one.")
    models: dict[Role, Annotated[str, Field(max_length=100)]] = Field(default_factory=dict, description="Role to version.")


def job_view(job: AnalysisJob) -> dict[str, Any]:
    """A job as JSON."""
    said = job.model_dump(exclude={"created_at", "started_at", "finished_at", "owner_id", "idempotency_key", "input"})
    said["input"] = {name: job.input[name] for name in ("name", "size", "sha256") if name in job.input}
    for name in ("created_at", "started_at", "finished_at"):
        value = getattr(job, name)
        said[name] = as_utc(value).isoformat() if value else None
    return said


def event_view(event: JobEvent) -> dict[str, Any]:
    """An event as JSON."""
    said = event.model_dump(include={"id", "kind", "stage", "message", "fraction", "seconds"})
    return {**said, "created_at": as_utc(event.created_at).isoformat()}


def job_routes(services: Services) -> APIRouter:
    """Routes below ``/jobs``."""
    routes = APIRouter(prefix="/jobs", tags=["jobs"])

    @routes.get("", summary="Your jobs, newest first")
    async def jobs(user: Someone, limit: Whole = 50, pipeline: str | None = None) -> JSONResponse:
        found = await services.jobs.list(user.id, min(max(limit, 1), 500), pipeline=pipeline)
        return JSONResponse({"jobs": [job_view(job) for job in found]})

    @routes.get("/{job_id}", summary="One job")
    async def show(job_id: str, user: Someone) -> JSONResponse:
        return JSONResponse(job_view(await find_job(services, user, job_id)))

    @routes.get("/{job_id}/events", summary="Events of a job")
    async def events(job_id: str, user: Someone, after: Whole = 0) -> JSONResponse:
        found = await services.jobs.events(job_id, after, owner_id=user.id)
        job = await find_job(services, user, job_id)
        return JSONResponse({"job": job_view(job), "events": [event_view(event) for event in found]})

    @routes.post("/{job_id}/cancel", summary="Cancel a job")
    async def cancel(job_id: str, user: Someone) -> JSONResponse:
        return JSONResponse(job_view(await services.jobs.cancel(job_id, owner_id=user.id)))

    @routes.post("/{job_id}/retry", status_code=202, summary="Retry as a new job")
    async def retry(job_id: str, user: Someone, asked: RetryRequest | None = None) -> JSONResponse:
        asked = asked or RetryRequest(from_stage=None)
        job = await services.jobs.retry(job_id, asked.from_stage, {**asked.models}, owner_id=user.id)
        return JSONResponse(job_view(job), status_code=202)

    @routes.websocket("/{job_id}/events")
    async def follow(socket: WebSocket, job_id: str, after: Whole = 0) -> None:
        """First ``{"job": {...}}``, then an event a message, past ones first; closed after the last one."""
        user = await require_user(socket)
        await socket.accept()
        try:
            await socket.send_json({"job": job_view(await find_job(services, user, job_id))})
            async for event in services.jobs.watch(job_id, after, owner_id=user.id):
                await socket.send_json(event_view(event))
            await socket.close()
        except WebSocketDisconnect:
            return
        except WorkbenchError as error:
            problem = body_of(problem_of(error))
            await socket.send_json({"error": problem})
            await socket.close(code=1008 if error.status < 500 else 1011)

    return routes
