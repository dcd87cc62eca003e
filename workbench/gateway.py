"""The one FastAPI application that people and programs talk to, with the Gradio pages mounted in it.

Made by one builder, for two hosts: uvicorn in a process that ``workbench up`` watches, and Ray Serve's ingress.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import FastAPI

from infra.errors import WorkbenchError
from infra.telemetry import logger
from workbench.api.auth import auth_routes
from workbench.api.body_limits import BodyLimits
from workbench.api.cohorts import cohort_routes
from workbench.api.compliance import compliance_routes
from workbench.api.compliance_files import compliance_file_routes
from workbench.api.contract import install_contract
from workbench.api.correlation import Correlation
from workbench.api.docs import install_docs
from workbench.api.health import health_routes
from workbench.api.identity import Guard, identify
from workbench.api.imaging import imaging_routes
from workbench.api.jobs import job_routes
from workbench.api.knowledge import knowledge_routes
from workbench.api.metrics import GatewayMetrics, Measured
from workbench.api.mlflow_proxy import MlflowProxy
from workbench.api.models import model_routes
from workbench.api.notifications import notification_routes
from workbench.api.objects import object_routes
from workbench.api.open_connections import OpenConnections
from workbench.api.people import people_routes
from workbench.api.problems import install_problems
from workbench.api.questions import question_routes
from workbench.api.uploads import upload_routes
from workbench.services.context import Services
from workbench.services.promotions import Promotions
from workbench.services.questions import keep_deleting
from workbench.services.uploads import remove_leftovers

log = logger(__name__)
OWNER_TOKEN_CHECK_SECONDS = 6 * 3600.0


def build_gateway(services: Services, *, pages: bool = True) -> FastAPI:
    """The application over ``services``.

    Args:
        services: what the routes and pages use; closed when the application shuts down.
        pages: whether the Gradio pages are mounted (tests of the HTTP interface do without).
    """
    metrics = GatewayMetrics()
    mlflow = MlflowProxy(services)
    connections = OpenConnections(services.accounts)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(remove_leftovers, services)
        tasks = [asyncio.create_task(_connect(services)), asyncio.create_task(Promotions(services).run())]
        tasks.append(asyncio.create_task(connections.run(functools.partial(identify, services.accounts))))
        tasks.append(asyncio.create_task(_keep_owner_token(services)))
        if files is not None:
            tasks.append(asyncio.create_task(files.keep_swept()))
        tasks.append(asyncio.create_task(keep_deleting(services)))
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await mlflow.close()
        await asyncio.to_thread(services.close)

    app = FastAPI(
        title="Workbench",
        version=version("workbench"),
        description="Brain MRI reports and policy compliance; every sentence measured, seen or cited.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    install_problems(app)
    install_docs(app)
    install_contract(app)
    app.include_router(health_routes(services, metrics))
    app.include_router(auth_routes(services.accounts))
    app.include_router(people_routes(services.accounts))
    app.include_router(upload_routes(services))
    app.include_router(imaging_routes(services))
    app.include_router(cohort_routes(services))
    app.include_router(job_routes(services))
    app.include_router(notification_routes(services))
    app.include_router(knowledge_routes(services))
    app.include_router(question_routes(services))
    app.include_router(compliance_routes(services))
    app.include_router(compliance_file_routes(services))
    app.include_router(model_routes(services))
    app.include_router(object_routes(services))
    app.include_router(mlflow.routes())
    # The layer added last is the outermost: an id for all, then counting, then the size of bodies, then who it is.
    app.add_middleware(Guard, accounts=services.accounts, connections=connections, public_url=services.settings.gateway.public_url)
    app.add_middleware(BodyLimits, limits=services.settings.gateway, routes=app.routes)
    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(Correlation)
    files = None
    if pages:
        from workbench.ui.mount import mount_pages

        files = mount_pages(app, services)  # last: the pages' mount at "/" takes what no route above has taken
    return app


async def _connect(services: Services) -> None:
    if services.cluster is not None:
        services.connected = await services.cluster.connect()
        services.index_client = await asyncio.to_thread(services.cluster.index_service)


async def _keep_owner_token(services: Services) -> None:
    """The owner's token in the data folder is renewed before it expires, however long this process runs."""
    accounts = services.accounts
    while True:
        await asyncio.sleep(OWNER_TOKEN_CHECK_SECONDS)
        try:
            await asyncio.to_thread(lambda: accounts.ensure_owner_token(accounts.ensure_owner()))
        except WorkbenchError as error:
            log.warning("the owner's token could not be checked", reason=error.message)
