"""What the workbench has to tell a person: ``/notifications``."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from infra.database import as_utc
from workbench.api.uploads import Someone
from workbench.services.addresses import job_page
from workbench.services.context import Services
from workbench.services.notifications import list_notifications, mark_read


class ReadRequest(BaseModel):
    """What has been read."""

    model_config = ConfigDict(extra="forbid")

    job: str | None = Field(None, description="Only what this job had to say; without it, everything.")


def notification_routes(services: Services) -> APIRouter:
    """Routes below ``/notifications``."""
    routes = APIRouter(prefix="/notifications", tags=["notifications"])

    @routes.get("", summary="What your jobs have to say, newest first")
    async def latest(user: Someone) -> JSONResponse:
        unread, found = await list_notifications(services, user)
        said = [
            {
                "id": one.id,
                "text": one.text,
                "job": one.job_id,
                "link": job_page(pipeline, one.job_id),
                "created_at": as_utc(one.created_at).isoformat(),
                "read": one.read_at is not None,
            }
            for one, pipeline in found
        ]
        return JSONResponse({"unread": unread, "notifications": said}, headers={"Cache-Control": "no-store"})

    @routes.post("/read", status_code=204, summary="They have been read")
    async def read(user: Someone, asked: ReadRequest | None = None) -> Response:
        await mark_read(services, user, asked.job if asked else None)
        return Response(status_code=204)

    return routes
