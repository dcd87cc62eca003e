"""Rules for experiments, runs, models and their registry."""

from __future__ import annotations

from urllib.parse import urlsplit

from infra.database.people import is_owner, may_promote
from infra.errors import InvalidInput, NotAllowed
from workbench.services.mlflow_access.asked import Asked, Rule, Sent
from workbench.services.mlflow_access.records import (
    OURS,
    PERSON,
    check_experiment,
    check_tags,
    clean_id,
    own_model,
    own_run,
    tag_names,
)

SOURCES = ("models", "runs", "mlflow-artifacts")


async def read(asked: Asked) -> Sent:
    """What everybody who is signed in may see."""
    return Sent(body=await asked.json() if asked.method == "POST" else None)


async def owner(asked: Asked) -> Sent:
    """What only owners may do."""
    asked.need_owner()
    return Sent(body=await asked.json() if asked.method != "GET" else None)


async def promote(asked: Asked) -> Sent:
    """What owners and people with the right to promote may do."""
    _need_promoter(asked)
    return Sent(body=await asked.json() if asked.method != "GET" else None)


async def register(asked: Asked) -> Sent:
    """A registered model or a version: what the workbench serves by its tags only an owner may say."""
    _need_promoter(asked)
    body = await asked.fields(deep=True)
    if tag_names(body.get("tags")) and not is_owner(asked.user):
        raise NotAllowed("Only owners can set tags of registered models and versions, because they control what is served.")
    source = body.get("source")
    prompt = any(tag["key"] == "mlflow.prompt.is_prompt" for tag in body.get("tags") or [])
    if source is not None and not prompt and urlsplit(str(source)).scheme not in SOURCES:
        raise NotAllowed("The source of a version must be a model logged to this server: runs:/..., models:/... or mlflow-artifacts:/...")
    return Sent(body=body)


def _need_promoter(asked: Asked) -> None:
    if not may_promote(asked.user):
        raise NotAllowed("Only owners and promoters can register models and change aliases.")


async def create_experiment(asked: Asked) -> Sent:
    """Everybody may; where its artifacts lie, the server says."""
    body = await asked.fields(deep=True)
    if body.get("artifact_location"):
        raise NotAllowed("artifact_location cannot be set: artifacts are stored in the workbench's data folder.")
    body.pop("artifact_location", None)
    names = tag_names(body.get("tags"))
    if not is_owner(asked.user):
        if str(body.get("name", "")).startswith(OURS):
            raise NotAllowed(f"Names that begin with {OURS} are reserved for the workbench.")
        check_tags(asked, *names)
    if any(name.startswith("mlflow.trace") for name in names):
        raise NotAllowed("The location of traces cannot be set by clients.")
    return Sent(body=body)


async def create_run(asked: Asked) -> Sent:
    """Everybody may start runs of their own; the gateway says whose they are."""
    body = await asked.fields(deep=True)
    body["experiment_id"] = await check_experiment(asked, body.get("experiment_id", "0"))
    tag_names(body.get("tags"))
    others = [tag for tag in body.get("tags") or [] if tag["key"] != "mlflow.user" and not tag["key"].startswith("workbench.")]
    body["tags"] = [*others, {"key": "mlflow.user", "value": asked.user.name}, {"key": PERSON, "value": asked.user.id}]
    body["user_id"] = asked.user.name
    return Sent(body=body)


def change_run(*, tag: bool = False) -> Rule:
    """Changing a run of one's own.

    Args:
        tag: whether the body's ``key`` is the name of a tag.
    """

    async def rule(asked: Asked) -> Sent:
        body = await asked.fields(deep=True)
        names = {clean_id(body[name]) for name in ("run_id", "run_uuid") if body.get(name)}
        if len(names) != 1:
            raise InvalidInput("Specify one run by run_id.")
        run = (await own_run(asked, names.pop())).id
        if not is_owner(asked.user):
            check_tags(asked, *tag_names(body.get("tags")), *([body.get("key")] if tag else []))
        metrics = body.get("metrics")
        values = [body, *(one for one in metrics if isinstance(one, dict))] if isinstance(metrics, list) else [body]
        for model in {clean_id(one["model_id"]) for one in values if one.get("model_id")}:
            await own_model(asked, model)
        body.pop("run_uuid", None)
        return Sent(body={**body, "run_id": run})

    return rule


async def create_model(asked: Asked) -> Sent:
    """A logged model of one's own."""
    body = await asked.fields(deep=True)
    body["experiment_id"] = await check_experiment(asked, body.get("experiment_id"))
    if body.get("source_run_id"):
        await own_run(asked, body["source_run_id"])
    tag_names(body.get("tags"))
    others = [tag for tag in body.get("tags") or [] if not tag["key"].startswith("workbench.")]
    body["tags"] = [*others, {"key": PERSON, "value": asked.user.id}]
    return Sent(body=body)


async def change_model(asked: Asked) -> Sent:
    """Changing a logged model of one's own. The server takes some ids from the body: both must name the same."""
    model = (await own_model(asked, asked.parts["model_id"])).id
    body = await asked.fields(deep=True)
    if not is_owner(asked.user):
        check_tags(asked, *tag_names(body.get("tags")), asked.parts.get("tag_key", ""))
    return Sent(body=None if asked.method == "DELETE" else {**body, "model_id": model})


def nobody(reason: str) -> Rule:
    """What the workbench does not open to anybody."""

    async def rule(asked: Asked) -> Sent:
        raise NotAllowed(reason)

    return rule
