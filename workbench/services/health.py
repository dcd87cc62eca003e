"""How the parts of the workbench are, asked afresh (at most once a second): nothing is healthy because it once was."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import asdict, dataclass

from sqlalchemy import text

from infra.errors import find_workbench_error
from infra.telemetry import logger
from serving.mlflow_server import find_server
from serving.roles import missing_sentence, role_names
from workbench.services.context import Services

log = logger(__name__)
FRESH_SECONDS = 1.0
LEAST_FREE_MB = 16  # with less, the databases and logs of one job may not fit
WORKS = ("ready", "degraded")
# Parts without which no job can be done; the others are told, and do not hold readiness up.
NEEDED = ("database", "storage", "ray", "runner", "queue", "imaging", "segmentation", "embedding", "llm")
STARTING = {"DEPLOYING", "UPDATING", "UPSCALING", "DOWNSCALING", "NOT_STARTED", "STARTING"}


@dataclass(frozen=True)
class Component:
    """One part of the workbench.

    Attributes:
        name: for example ``segmentation`` or ``database``.
        state: ready, starting, degraded (works, with fewer replicas than wanted), down, missing (not installed).
        sentence: for a person.
        needed: whether jobs wait for it.
    """

    name: str
    state: str
    sentence: str
    needed: bool

    def as_dict(self) -> dict[str, str | bool]:
        return asdict(self)


class Health:
    """Remembers the last look for a second, so that a flood of questions is one look."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = asyncio.Lock()
        self._seen: tuple[float, list[Component]] = (-1e9, [])

    async def components(self) -> list[Component]:
        async with self._lock:
            if time.monotonic() - self._seen[0] > FRESH_SECONDS:
                self._seen = (time.monotonic(), await look(self._services))
            return self._seen[1]


async def components(services: Services) -> list[Component]:
    """Every part with its state and a sentence."""
    if services.health is None:
        services.health = Health(services)
    return await services.health.components()


def waiting_for(found: list[Component]) -> dict[str, str]:
    """The needed parts that do not work, each with the sentence that says why."""
    return {item.name: item.sentence for item in found if item.needed and item.state not in WORKS}


def is_ready(found: list[Component]) -> bool:
    """Whether jobs can be done: every needed part that is installed works."""
    return not waiting_for(found)


async def look(services: Services) -> list[Component]:
    """Ask every part, all at once."""
    database, storage, mlflow, ray = await asyncio.gather(_database(services), _storage(services), _mlflow(services), _ray(services))
    return [database, storage, *ray, mlflow]


async def _database(services: Services) -> Component:
    try:
        await services.database.run(lambda session: session.execute(text("select 1")))
    except Exception as error:
        return _component("database", "down", f"Database unavailable: {_said(error)}")
    return _component("database", "ready", "The tables answer.")


async def _storage(services: Services) -> Component:
    free = await asyncio.to_thread(_free_mb, services)
    if free < LEAST_FREE_MB:
        said = f"The disk is full: {free} MB are free in the data folder. Jobs continue when space is freed."
        return _component("storage", "down", said)
    if free < 500:
        return _component("storage", "degraded", f"Only {free} MB are free. Uploads may fail soon.")
    return _component("storage", "ready", f"Writable. {free / 1000:.0f} GB are free.")


def _free_mb(services: Services) -> int:
    """In the data folder, and where objects are kept, if that is another folder of this machine: the smaller one."""
    folders = [services.folder.home]
    if services.settings.storage.kind == "local" and services.settings.objects_path.is_dir():
        folders.append(services.settings.objects_path)
    return min(shutil.disk_usage(folder).free for folder in folders) // 1_000_000


async def _mlflow(services: Services) -> Component:
    server = await asyncio.to_thread(find_server, services.settings)
    if server is None:
        return _component("mlflow", "missing", "MLflow is not installed.")
    import httpx

    try:
        async with server.client(seconds=2.0) as client:
            answer = await client.get("/health")
        if answer.status_code == 200:
            return _component("mlflow", "ready", "Available at /mlflow.")
        return _component("mlflow", "degraded", f"MLflow responds with status {answer.status_code}.")
    except httpx.HTTPError:
        return _component("mlflow", "starting", "MLflow is starting. Models are served without it.")


async def _ray(services: Services) -> list[Component]:
    cluster = services.cluster
    if cluster is None or not cluster.connected:
        said = cluster.sentence if cluster else "Ray is not used."
        state = "starting" if cluster else "missing"
        installed = [role for role in role_names() if services.settings.model(role).backend != "none"]
        waiting = [_component(name, state, "Waiting for Ray.") for name in (*installed, "imaging", "runner", "queue")]
        return [_component("ray", state, said), *waiting, *_missing(services)]
    try:
        states = await asyncio.wait_for(deployments(services), timeout=10)
    except Exception as error:
        return [_component("ray", "down", f"Ray unavailable: {_said(error)}"), *_missing(services)]
    queue = (
        await _queue(services) if states.get("runner", ("",))[0] in WORKS else _component("queue", "starting", "Waiting for the runner.")
    )
    parts = [_component(name, *states.get(name, ("starting", "Not deployed yet."))) for name in ("runner", "imaging") if name not in states]
    parts += [_component(name, state, sentence) for name, (state, sentence) in sorted(states.items())]
    return [_component("ray", "ready", "Ray answers."), queue, *parts, *_missing(services)]


async def _queue(services: Services) -> Component:
    """Whether jobs go on, as the runner sees it."""
    assert services.cluster is not None
    try:
        found = await asyncio.wait_for(services.cluster.queue(), timeout=5)
    except Exception as error:
        return _component("queue", "down", f"Job runner not responding: {_said(error)}")
    if found["trouble"]:
        return _component("queue", "down", f"Job queue stalled: {found['trouble']}")
    if found["stalled"]:
        return _component("queue", "down", f"{_count(found['stalled'], 'job')} made no progress and will be resumed.")
    return _component("queue", "ready", f"Job queue running; {_count(found['running'], 'job')} in progress.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


async def deployments(services: Services) -> dict[str, tuple[str, str]]:
    """State and sentence of each deployment of the Serve application, as Serve's controller sees its replicas now."""
    if services.cluster is None or not services.cluster.connected:
        return {}
    return await asyncio.to_thread(_deployments)


def _deployments() -> dict[str, tuple[str, str]]:
    from ray import serve

    from serving.cluster.application import APP

    application = serve.status().applications.get(APP)
    if application is None:
        return {}
    found = {}
    for name, status in application.deployments.items():
        counts = {str(getattr(state, "value", state)): number for state, number in status.replica_states.items()}
        running, others = counts.get("RUNNING", 0), {state: number for state, number in counts.items() if state != "RUNNING"}
        found[name] = _deployment(str(getattr(status.status, "value", status.status)), running, others, status.message)
    return found


def _deployment(status: str, running: int, others: dict[str, int], message: str) -> tuple[str, str]:
    replicas = f"{running} replica{'s' if running != 1 else ''}"
    told = f" {message.strip().splitlines()[0][:200]}" if message.strip() else ""
    if running and not others:
        return "ready", f"{replicas} running."
    if running:
        waiting = ", ".join(f"{number} {state.lower()}" for state, number in others.items())
        return "degraded", f"{replicas} running; {waiting}.{told}"
    if status in STARTING or others.get("STARTING") or others.get("UPDATING") or others.get("RECOVERING"):
        return "starting", f"Starting; no replica is running yet.{told}"
    return "down", f"No replica is running.{told}"


def _missing(services: Services) -> list[Component]:
    return [
        Component(role, "missing", missing_sentence(role), False)
        for role in role_names()
        if services.settings.model(role).backend == "none"
    ]


def _component(name: str, state: str, sentence: str) -> Component:
    return Component(name, state, sentence, name in NEEDED)


def _said(error: Exception) -> str:
    found = find_workbench_error(error)
    return found.message if found else f"{type(error).__name__}: {str(error)[:200]}"
