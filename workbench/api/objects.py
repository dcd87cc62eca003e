"""Objects behind presigned addresses of the local store; the address itself is the permission."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from infra.errors import NotFound
from infra.objectstore import LocalObjectStore
from workbench.api.contract import FILE
from workbench.api.files import file_response
from workbench.services.context import Services


def object_routes(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/objects", tags=["objects"])

    @routes.get("/{token}", summary="An object by its presigned address", responses=FILE)
    async def redeem(token: str, request: Request) -> Response:
        if not isinstance(services.store, LocalObjectStore):
            raise NotFound("Not found: objects of this workbench are stored elsewhere.")
        bucket, key = services.store.redeem(token)
        info = await asyncio.to_thread(services.store.info, bucket, key)
        stream = await asyncio.to_thread(services.store.open, bucket, key)
        return file_response(request, stream, info, filename=key.rpartition("/")[2])

    return routes
