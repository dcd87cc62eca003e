"""A person's notifications: ``/notifications``."""

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
    """Which notifications to mark as read; all where neither field is given."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(default=None, description="Only this notification.")
    job: str | None = Field(default=None, description="Only the notifications of this job.")


def notification_routes(services: Services) -> APIRouter:
    """Routes below ``/notifications``."""
    routes = APIRouter(prefix="/notifications", tags=["notifications"])

    @routes.get("", summary="Your latest notifications, newest first")
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

    @routes.post("/read", status_code=204, summary="Mark notifications as read")
    async def read(user: Someone, asked: ReadRequest | None = None) -> Response:
        asked = asked or ReadRequest()
        await mark_read(services, user, notification_id=asked.id, job_id=asked.job)
        return Response(status_code=204)

    return routes
