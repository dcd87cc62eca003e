"""Addresses of the viewer: its page and files, and the pictures of a result's planes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, JSONResponse, Response

from infra.database.tables import User
from infra.errors import InvalidInput, NotFound
from workbench.api.headers import VIEWER
from workbench.api.identity import require_user
from workbench.services import slices
from workbench.services.context import Services

HERE = Path(__file__).parent
STATIC = {"viewer.css": "text/css", "planes.js": "text/javascript", "volume.js": "text/javascript", "viewer.js": "text/javascript"}
NIIVUE = HERE / "node_modules" / "@niivue" / "niivue" / "dist" / "niivue.umd.js"
# A result never changes, so its pictures may be kept; privately, since they are one person's.
KEEP = {"Cache-Control": "private, max-age=86400, immutable"}
# Files of the program: asked for again each time (ETag), so that an update shows at once.
REVALIDATE = {"Cache-Control": "no-cache"}

Person = Annotated[User, Depends(require_user)]


def viewer_routes(services: Services) -> APIRouter:
    """Routes below ``/viewer`` and ``/imaging/analysis/{job_id}/slice|labels|at``."""
    routes = APIRouter(tags=["viewer"], include_in_schema=False)

    @routes.get("/viewer/static/{name}")
    async def static(name: str, user: Person) -> Response:
        if name == "niivue.umd.js":
            if not await asyncio.to_thread(NIIVUE.is_file):
                raise NotFound("NiiVue is not installed: install npm and run `make run` again.")
            return FileResponse(NIIVUE, media_type="text/javascript", headers=REVALIDATE)
        if name not in STATIC:
            raise NotFound("File not found.")
        return FileResponse(HERE / "static" / name, media_type=STATIC[name], headers=REVALIDATE)

    @routes.get("/viewer/{job_id}")
    async def page(job_id: str, user: Person) -> Response:
        return FileResponse(
            HERE / "static" / "viewer.html", media_type="text/html", headers={**REVALIDATE, "Content-Security-Policy": VIEWER}
        )

    @routes.get("/viewer/{job_id}/facts.json")
    async def facts(job_id: str, user: Person) -> Response:
        return JSONResponse(await slices.viewer_facts(services, user, job_id), headers={"Cache-Control": "private, no-cache"})

    @routes.get("/imaging/analysis/{job_id}/slice/{plane}/{index}.jpg")
    async def scan_slice(job_id: str, plane: str, index: int, user: Person) -> Response:
        return Response(await slices.scan_slice(services, user, job_id, plane, index), media_type="image/jpeg", headers=KEEP)

    @routes.get("/imaging/analysis/{job_id}/labels/{plane}/{index}.png")
    async def label_slice(job_id: str, plane: str, index: int, user: Person, highlight: str = "") -> Response:
        chosen = frozenset(_numbers(highlight, most=64))
        return Response(await slices.label_slice(services, user, job_id, plane, index, chosen), media_type="image/png", headers=KEEP)

    @routes.get("/imaging/analysis/{job_id}/thumbnail.jpg")
    async def thumbnail(job_id: str, user: Person) -> Response:
        return Response(await slices.thumbnail(services, user, job_id), media_type="image/jpeg", headers=KEEP)

    @routes.get("/imaging/analysis/{job_id}/at/{voxel}")
    async def at(job_id: str, voxel: str, user: Person) -> Response:
        place = _numbers(voxel, most=3)
        if len(place) != 3:
            raise InvalidInput("A voxel needs three indices: i,j,k.")
        return JSONResponse(await slices.label_at(services, user, job_id, (place[0], place[1], place[2])), headers=KEEP)

    return routes


def _numbers(text: str, *, most: int) -> list[int]:
    """Whole numbers separated by commas. Raises InvalidInput."""
    try:
        found = [int(part) for part in text.split(",") if part] if len(text) < 400 else []
    except ValueError as error:
        raise InvalidInput("Use integers separated by commas.") from error
    return found[:most]
