"""Rules for traces: everybody sees and changes their own, an owner of the workbench too.

A trace holds a question, its answer and the passages that were read: it is as private as the conversation it belongs to.
"""

from __future__ import annotations

from typing import Any

from infra.errors import InvalidInput, NotAllowed
from workbench.services.mlflow_access.asked import Asked, Sent
from workbench.services.mlflow_access.records import TRACE_PERSON, check_tags, is_own, own_trace

MOST = 500


async def search(asked: Asked) -> Sent:
    """Finds a person's own, whatever is asked for; what the answer held of others is left out once more."""
    body = await asked.fields()
    body["filter"] = _and(body.get("filter"), f"request_metadata.`{TRACE_PERSON}` = '{asked.user.id}'")
    return Sent(body=body, keep=lambda said: _own_only(asked, said, "traces"))


async def metrics(asked: Asked) -> Sent:
    """Counts and times over a person's own."""
    body = await asked.fields()
    filters = body.get("filters") or []
    if not isinstance(filters, list):
        raise InvalidInput("Filters must be a list of strings.")
    body["filters"] = [*filters, f"trace.metadata.`{TRACE_PERSON}` = '{asked.user.id}'"]
    return Sent(body=body)


async def batch(asked: Asked) -> Sent:
    """Traces by their ids; another person's are left out."""
    body = await asked.fields() if asked.method == "POST" else None
    return Sent(body=body, keep=lambda said: _own_only(asked, said, "traces", "trace_infos"))


async def get(asked: Asked) -> Sent:
    await own_trace(asked, asked.one("trace_id"))
    return Sent()


async def artifact(asked: Asked) -> Sent:
    await own_trace(asked, asked.one("request_id"))
    return Sent()


async def one(asked: Asked) -> Sent:
    """A trace named by the address: reading it, its assessments and tags."""
    await own_trace(asked, asked.parts["trace_id"])
    body = await asked.json() if asked.method != "GET" else None
    if body is not None:
        check_tags(asked, body.get("key", ""))
    return Sent(body=body)


async def delete(asked: Asked) -> Sent:
    """Deletes a person's own, named one by one."""
    body = await asked.fields()
    named = body.get("request_ids")
    if not isinstance(named, list) or not 1 <= len(named) <= MOST or set(body) - {"experiment_id", "request_ids"}:
        raise InvalidInput(f"Give 1 to {MOST} request_ids to delete, and no other fields.")
    for trace in named:
        await own_trace(asked, trace)
    return Sent(body=body)


def _and(asked_for: object, ours: str) -> str:
    """MLflow's filters know ``AND`` only: no text that it takes can undo what is added."""
    if asked_for is not None and not isinstance(asked_for, str):
        raise InvalidInput("A filter is a text.")
    if asked_for and "--" in asked_for:
        raise NotAllowed("Comments are not allowed in filters.")
    return f"{asked_for} AND {ours}" if asked_for and asked_for.strip() else ours


def _own_only(asked: Asked, said: dict[str, Any], *lists: str) -> dict[str, Any]:
    kept = {name: said[name] for name in ("next_page_token",) if name in said}
    for name in lists:
        if isinstance(said.get(name), list):
            kept[name] = [item for item in said[name] if is_own(asked, item.get("trace_info", item))]
    return kept
