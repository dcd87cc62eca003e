"""Short-lived processes of a start: the supervisor itself imports none of what they need, and so stays small.

``python -m workbench.supervisor.bootstrap STEP...`` runs its steps in order, and tells each one's end as a JSON line on
standard output: ``{"step", "seconds", ...}`` or ``{"step", "error": {...}}`` (and exit code 1).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import sys
import time
from typing import Any

from infra.datafolder import DataFolder, private_umask
from infra.errors import Unavailable, find_workbench_error
from infra.settings import Settings, load_settings
from infra.telemetry import configure_logging, logger

log = logger(__name__)


def prepare(settings: Settings) -> dict[str, Any]:
    """Migrate the tables; make the owner, the owner's token and a one-time link."""
    from infra.database import Database, migrate
    from workbench.accounts import Accounts

    database = Database(settings.database_url)
    migrate(database)
    accounts = Accounts(settings, database, DataFolder(settings.home).make())
    owner = accounts.ensure_owner()
    accounts.ensure_owner_token(owner)
    link = accounts.make_link(owner)
    database.close()
    return {"owner": owner.name, "link": link}


def deploy(settings: Settings) -> dict[str, Any]:
    """Deploy the models and pipelines on the running Ray, and wait until their replicas answer."""
    from pipelines.application import compose
    from serving.cluster.application import deploy as deploy_application
    from serving.cluster.head import START_SECONDS, join, read_address

    until = time.monotonic() + START_SECONDS
    while not (address := settings.ray.address or read_address(settings)):
        if time.monotonic() > until:
            raise Unavailable("Ray did not start on this machine. `workbench logs ray` says more.")
        time.sleep(0.05)
    join(address, settings if settings.ray.address is None else None)
    try:
        deploy_application(settings, compose=functools.partial(compose, settings=settings))
    except RuntimeError as error:
        raise Unavailable(_why(error)) from error
    return {}


def _why(error: RuntimeError) -> str:
    """What Serve knows of a failed deployment: the last line of each failed replica's exception, without its class."""
    from ray import serve

    from serving.cluster.remote import APP

    told = []
    with contextlib.suppress(Exception):
        for name, status in serve.status().applications[APP].deployments.items():
            if str(getattr(status.status, "value", status.status)) in ("DEPLOY_FAILED", "UNHEALTHY"):
                told.append(f"{name}: {_reason(status.message)}")
    return f"The application could not be deployed. {' '.join(told) or error} `workbench logs` says more."


def _reason(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    # A traceback's last line: the class of the error, then what it says.
    named = [found[1] for line in lines if (found := re.fullmatch(r"[\w.]+: (.+)", line))]
    return (named or lines or ["no reason given"])[-1][:300]


def register(settings: Settings) -> dict[str, Any]:
    """Put the embedded models into MLflow as version 1 with the alias champion, where they are not there yet."""
    from serving.registry.mlflow_registry import register_embedded

    return {"models": [ref.as_dict() for ref in register_embedded(settings)]}


def primer(settings: Settings) -> dict[str, Any]:
    """Begin the job that indexes the neuroradiology primer, where it is not indexed in this text yet."""
    from workbench.services.cluster import Cluster
    from workbench.services.context import make_services
    from workbench.services.primer import index_primer

    services = make_services(settings)
    services.cluster = Cluster(settings)
    try:
        job = asyncio.run(index_primer(services, services.accounts.ensure_owner()))
    finally:
        services.close()
    return {"job": job.id if job else None}


STEPS = {"prepare": prepare, "deploy": deploy, "register": register, "primer": primer}


def main(steps: list[str]) -> int:
    private_umask()
    settings = load_settings()
    configure_logging(level=settings.telemetry.level, component="bootstrap")
    for step in steps:
        began = time.monotonic()
        try:
            said = STEPS[step](settings)
        except Exception as caught:
            log.error("a step of the start failed", step=step, exc_info=caught)
            error = find_workbench_error(caught)
            told = error.as_dict() if error else {"code": "internal", "message": f"{type(caught).__name__}: {str(caught)[:500]}"}
            print(json.dumps({"step": step, "error": told}), flush=True)
            return 1
        print(json.dumps({"step": step, "seconds": round(time.monotonic() - began, 2), **said}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
