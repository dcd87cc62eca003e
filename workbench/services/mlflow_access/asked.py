"""A request to MLflow as rules see it, and what is sent on in its place."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.database.people import is_owner
from infra.database.tables import User
from infra.errors import InvalidInput, NotAllowed

Query = list[tuple[str, str]]


@dataclass
class Asked:
    """What a person asks of MLflow.

    Attributes:
        path: below the prefix, decoded, with its slash: ``/api/2.0/mlflow/runs/get``.
        query: names and values in their order.
        read: gives the whole body.
        fetch: asks the server for JSON, for what a rule has to know (address, query); raises NotFound.
        artifacts: folder of the server's artifacts; None where the server is not the workbench's own.
        parts: values of the address's variable parts.
    """

    method: str
    path: str
    query: Query
    user: User
    read: Callable[[], Awaitable[bytes]]
    fetch: Callable[[str, Query], Awaitable[dict[str, Any]]]
    artifacts: Path | None = None
    parts: dict[str, str] = field(default_factory=dict)

    def one(self, *names: str) -> str:
        """The value of a parameter that must be there once, under one of its names."""
        found = [value for name, value in self.query if name in names and value]
        if len(found) != 1:
            raise InvalidInput(f"Give {' or '.join(names)} once.")
        return found[0]

    async def json(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one where there is none. Raises InvalidInput."""
        content = await self.read()
        try:
            said = json.loads(content, object_pairs_hook=_without_duplicate_keys) if content.strip() else {}
        except ValueError as error:
            raise InvalidInput(f"The body is not JSON: {str(error)[:100]}") from error
        if not isinstance(said, dict):
            raise InvalidInput("The body must be a JSON object.")
        return said

    async def fields(self, *, deep: bool = False) -> dict[str, Any]:
        """The body with the names that MLflow's messages have, which also take ``runId`` for ``run_id``.

        Args:
            deep: in objects inside it, too; not for messages with free keys.
        """
        return _snake(await self.json(), deep)

    def need_owner(self) -> None:
        if not is_owner(self.user):
            raise NotAllowed("Only an owner of the workbench may change this in MLflow.")


@dataclass
class Sent:
    """What is sent on to MLflow.

    Attributes:
        path: where it differs from the one asked for.
        query: where it differs from the one asked for.
        body: a JSON object in place of the body; None sends none.
        streams: whether the body is sent on as it comes.
        keep: what of the JSON answer the person may see.
        headers: added to the answer.
    """

    path: str | None = None
    query: Query | None = None
    body: dict[str, Any] | None = None
    streams: bool = False
    keep: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    headers: dict[str, str] = field(default_factory=dict)


Rule = Callable[[Asked], Awaitable[Sent]]


def _without_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("duplicate key in an object")
    return dict(pairs)


def _snake(said: dict[str, Any], deep: bool) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in said.items():
        plain = re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)
        if plain in named:
            raise InvalidInput(f"{plain} appears twice in the body.")
        named[plain] = _deeper(value) if deep else value
    return named


def _deeper(value: Any) -> Any:
    if isinstance(value, dict):
        return _snake(value, True)
    return [_deeper(one) for one in value] if isinstance(value, list) else value
