"""What rules have to know of MLflow's records: whose they are, and where their artifacts lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from infra.database.people import is_owner
from infra.errors import InvalidInput, NotAllowed, NotFound
from serving.mlflow_server import lies_inside
from workbench.services.mlflow_access.asked import Asked

PERSON = "workbench.user"
"""Tag of runs and logged models: id of the person who made them. The gateway alone sets it."""
TRACE_PERSON = "mlflow.trace.user"
OURS = "workbench-"
"""How the names of experiments begin that the workbench itself writes to."""
_ID = re.compile(r"[A-Za-z0-9][\w-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class Record:
    """A run or a logged model."""

    id: str
    person: str | None
    artifacts: str


def clean_id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidInput(f"{str(value)[:60]!r} is not a valid MLflow ID.")
    return value


async def find_run(asked: Asked, run: object) -> Record:
    """Raises NotFound."""
    said = (await asked.fetch("/api/2.0/mlflow/runs/get", [("run_id", clean_id(run))]))["run"]
    return Record(said["info"]["run_id"], _tags(said.get("data", {})).get(PERSON), said["info"].get("artifact_uri", ""))


async def find_model(asked: Asked, model: object) -> Record:
    """A logged model. Raises NotFound."""
    said = (await asked.fetch(f"/api/2.0/mlflow/logged-models/{clean_id(model)}", []))["model"]["info"]
    return Record(said["model_id"], _tags(said).get(PERSON), said.get("artifact_uri", ""))


async def own_run(asked: Asked, run: object) -> Record:
    """A run that the person may change: their own, or any where they own the workbench. Raises NotFound, NotAllowed."""
    found = await find_run(asked, run)
    if found.person != asked.user.id and not is_owner(asked.user):
        raise NotAllowed("This run is not yours. You may change runs that you started through the workbench.")
    return found


async def own_model(asked: Asked, model: object) -> Record:
    """A logged model that the person may change. Raises NotFound, NotAllowed."""
    found = await find_model(asked, model)
    if found.person != asked.user.id and not is_owner(asked.user):
        raise NotAllowed("This logged model is not yours. You may change models that you logged through the workbench.")
    return found


async def own_trace(asked: Asked, trace: object) -> str:
    """The id of one of the person's own traces. Raises NotFound, also where it is another person's."""
    said = await asked.fetch(f"/api/3.0/mlflow/traces/{clean_id(trace)}", [])
    if not is_own(asked, said.get("trace", {}).get("trace_info", {})):
        raise NotFound("Trace not found.")
    return clean_id(trace)


def is_own(asked: Asked, trace_info: object) -> bool:
    """Whether a trace, as MLflow tells it, is the person's own; owners see no other ones either."""
    if not isinstance(trace_info, dict):
        return False
    metadata = trace_info.get("trace_metadata")
    return isinstance(metadata, dict) and metadata.get(TRACE_PERSON) == asked.user.id


async def check_experiment(asked: Asked, experiment: object) -> str:
    """The id of an experiment that the person may log to. Raises NotFound, NotAllowed."""
    said = (await asked.fetch("/api/2.0/mlflow/experiments/get", [("experiment_id", clean_id(experiment))]))["experiment"]
    if said["name"].startswith(OURS) and not is_owner(asked.user):
        raise NotAllowed(f"Only the workbench writes to the experiment {said['name']}. Log to another experiment.")
    check_place(asked, said.get("artifact_location", ""))
    return clean_id(experiment)


def check_place(asked: Asked, location: str) -> None:
    """Raises NotAllowed where artifacts lie outside the data folder."""
    if asked.artifacts is not None and not lies_inside(location, asked.artifacts):
        raise NotAllowed("These artifacts are outside the workbench's data folder and cannot be downloaded.")


def check_tags(asked: Asked, *names: object) -> None:
    """Raises NotAllowed for a tag that says who made something: the gateway alone sets it."""
    for name in names:
        if str(name) == "mlflow.user" or str(name).startswith("workbench."):
            raise NotAllowed(f"The tag {str(name)[:60]} is reserved for the workbench.")


def tag_names(tags: object) -> list[str]:
    """Keys of ``[{"key", "value"}]``. Raises InvalidInput."""
    if tags is None:
        return []
    if not isinstance(tags, list) or not all(isinstance(tag, dict) and isinstance(tag.get("key"), str) for tag in tags):
        raise InvalidInput('Tags must be a list of {"key": ..., "value": ...}.')
    return [tag["key"] for tag in tags]


def _tags(said: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in said.get("tags") or []}
