"""What a role is: everything that the replica and the callers (here, over Ray, over HTTP) need to know of it."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from infra.errors import InvalidInput
from serving.backends.backend import Backend
from serving.registry.versions import ModelRef

if TYPE_CHECKING:
    from serving.http import Gateway

HTTP_ITEMS = 1024
"""Most items of a batched role that the gateway takes in one request."""


class Role:
    """A kind of model: what it takes, what it gives, and the class that its backends derive from.

    Workflow: a caller's arguments go through :meth:`check`; the backend's method of the name ``method`` computes, in this
    process or in a Serve replica; :meth:`answer` makes the typed answer of what was computed.

    Quick start: one file in ``serving/roles`` (or in a package of your own, named by an entry point of the group
    ``workbench.roles``) that ends with ``ROLE = MyRole()``, and a line in the settings that names a backend::

        class Shout(Role):
            name, method, backend = "shout", "shout", ShoutBackend
            missing = "No model for shouting is installed."
            answer_type = Shouted                     # a dataclass with the field ``model``

    Required: the class attributes ``name``, ``method``, ``backend``, ``missing``; over HTTP also ``answer_type``.

    Optional: everything else has a default.

    Attributes:
        name: of the role, in settings, versions and addresses.
        method: what callers and backends call it by.
        backend: the abstract class of its backends.
        missing: a sentence for a report where no model fulfils the role.
        kind: ``single``: one call at a time; ``batched``: takes a list, and concurrent calls are computed together;
            ``stream``: the backend's method is an asynchronous generator.
        answer_type: the dataclass of an answer.
        call_items: batched roles: most items in one call of a replica, whose answer must stay below 4 MB.
    """

    name: ClassVar[str]
    method: ClassVar[str]
    backend: ClassVar[type[Backend]]
    missing: ClassVar[str]
    kind: ClassVar[Literal["single", "batched", "stream"]] = "single"
    answer_type: ClassVar[Any] = None
    call_items: ClassVar[int] = 1024

    def check(self, *arguments: Any) -> tuple[Any, ...]:
        """The arguments as the backend takes them. Raises InvalidInput where they are not what the role takes.

        By default only their number is checked, against the method of :attr:`backend`.
        """
        try:
            inspect.signature(getattr(self.backend, self.method)).bind(None, *arguments)
        except TypeError as error:
            raise InvalidInput(f"The method {self.method} of the role {self.name} was given the wrong arguments: {error}.") from error
        return arguments

    def answer(self, computed: Any, model: ModelRef) -> Any:
        """The answer. Of a batched role, ``computed`` is one row for each item."""
        return computed

    def cost(self, item: Any) -> int:
        """Batched roles: items of similar cost are computed together. By default they stay in their order."""
        return 0

    def size(self, item: Any) -> int:
        """Batched roles: bytes of an item's text."""
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in ([item] if isinstance(item, str) else item))

    def rows(self, answer: Any) -> np.ndarray:
        """Batched roles: the rows of an answer."""
        raise NotImplementedError

    def width(self, backend: Any) -> int:
        """Batched roles: numbers in a row of the answer."""
        return 1

    def log_call(self, *arguments: Any) -> dict[str, Any]:
        """What the replica's log says of a request."""
        return {}

    def log_answer(self, answer: Any) -> dict[str, Any]:
        """What it says of the answer, beside the version."""
        return {}

    # Over HTTP

    @property
    def path(self) -> str:
        return f"/models/{self.name}/{self.method}"

    def to_json(self, *arguments: Any) -> dict[str, Any]:
        """The body of a request."""
        return {"arguments": list(arguments)}

    def from_json(self, body: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in the body of a request. Raises InvalidInput where there are none."""
        arguments = body.get("arguments")
        if not isinstance(arguments, list):
            raise InvalidInput(f'Send {{"arguments": [...]}} with what the method {self.method} takes.')
        return tuple(arguments)

    def answer_to_json(self, answer: Any) -> dict[str, Any]:
        return asdict(answer)

    def answer_from_json(self, data: dict[str, Any]) -> Any:
        return self.answer_type(**{**data, "model": ModelRef(**data["model"])})

    def rows_from_json(self, data: dict[str, Any]) -> np.ndarray:
        """Batched roles: the rows of a part of the answer."""
        raise NotImplementedError

    async def over_http(self, gateway: Gateway, version: str | None, *arguments: Any) -> Any:
        """Ask the gateway; a batched role's items in parts that it takes."""
        if self.kind != "batched":
            return self.answer_from_json((await gateway.post(self.path, json={**self.to_json(*arguments), "version": version})).json())
        [items], parts = arguments, []
        for start in range(0, max(1, len(items)), HTTP_ITEMS):
            asked = parts[0]["model"]["version"] if parts else version  # one version throughout, whatever is promoted meanwhile
            body = {**self.to_json(items[start : start + HTTP_ITEMS]), "version": asked}
            parts.append((await gateway.post(self.path, json=body)).json())
        rows = np.concatenate([self.rows_from_json(part) for part in parts])
        return self.answer(rows, ModelRef(**parts[0]["model"]))
