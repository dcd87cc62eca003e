"""The harness's gateway: the real guard, sign-in, pages and viewer over a seeded world.

Run it to look at pages: ``python -m tests.e2e.harness.app --port 8123 --home /tmp/pages``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from infra.telemetry import configure_logging
from tests.e2e.harness.world import make_world
from workbench.api.auth import auth_routes
from workbench.api.body_limits import BodyLimits
from workbench.api.cohorts import cohort_routes
from workbench.api.compliance import compliance_routes
from workbench.api.compliance_files import compliance_file_routes
from workbench.api.correlation import Correlation
from workbench.api.identity import Guard, require_user
from workbench.api.knowledge import knowledge_routes
from workbench.api.notifications import notification_routes
from workbench.api.people import people_routes
from workbench.api.problems import install_problems
from workbench.api.questions import question_routes
from workbench.api.uploads import upload_routes
from workbench.services.context import Services
from workbench.services.results import open_artifact
from workbench.ui.mount import mount_pages


def build(services: Services) -> FastAPI:
    """The application."""
    app = FastAPI()
    install_problems(app)
    app.include_router(auth_routes(services.accounts))
    app.include_router(people_routes(services.accounts))
    app.include_router(cohort_routes(services))
    app.include_router(compliance_routes(services))
    app.include_router(compliance_file_routes(services))
    app.include_router(knowledge_routes(services))
    app.include_router(notification_routes(services))
    app.include_router(question_routes(services))
    app.include_router(upload_routes(services))

    @app.get("/imaging/analysis/{job_id}/files/{name}")
    async def files(job_id: str, name: str, request: Request) -> StreamingResponse:
        stream, info = await open_artifact(services, await require_user(request), job_id, name)
        return StreamingResponse(stream, media_type=info.media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    mount_pages(app, services)
    app.add_middleware(Guard, accounts=services.accounts)
    app.add_middleware(BodyLimits, limits=services.settings.gateway, routes=app.routes)
    app.add_middleware(Correlation)  # its content security policy: a page that breaks it complains in the console
    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--home", type=Path, default=Path("/tmp/workbench-pages"))
    parser.add_argument("--seconds", type=float, default=0.7, help="how long a simulated stage takes")
    parser.add_argument("--empty", action="store_true", help="without seeded results")
    args = parser.parse_args()
    configure_logging(level="warning")
    services, owner = make_world(args.home, port=args.port, seconds=args.seconds, seeded=not args.empty)
    print(services.accounts.make_link(owner), flush=True)
    uvicorn.run(build(services), host="127.0.0.1", port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
