"""Whether the workbench lives, is ready, and how its parts are."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from workbench.api.metrics import GatewayMetrics
from workbench.services.context import Services
from workbench.services.health import WORKS, components, is_ready, waiting_for


def health_routes(services: Services, metrics: GatewayMetrics) -> APIRouter:
    """``/health/*`` and ``/metrics``."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health/live", summary="The gateway is running")
    async def live() -> JSONResponse:
        return JSONResponse({"state": "live"})

    @routes.get("/health/ready", summary="Ready for jobs; 503 until then")
    async def ready() -> JSONResponse:
        found = await components(services)
        if is_ready(found):
            return JSONResponse({"state": "ready"})
        waiting = waiting_for(found)
        answer = {"state": "not_ready", "waiting_for": list(waiting), "reasons": waiting}
        return JSONResponse(answer, status_code=503, headers={"retry-after": "1"})

    @routes.get("/health/components", summary="All components with their states")
    async def parts() -> JSONResponse:
        found = await components(services)
        state = "ready" if is_ready(found) else "not_ready"
        return JSONResponse({"state": state, "components": [item.as_dict() for item in found]})

    @routes.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
    async def prometheus() -> Response:
        for item in await components(services):
            metrics.components.labels(item.name).set(item.state in WORKS)
        return metrics.response()

    return routes
