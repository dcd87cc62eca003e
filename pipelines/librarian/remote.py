"""The librarian of a running workbench, asked through its Serve handle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.telemetry import correlation_id
from knowledge.library import Listed, Prepared, Storage
from knowledge.search import Passage
from pipelines.librarian.contract import Desk, State
from serving.cluster.remote import answer_of

LIBRARIAN = "librarian"  # the deployment


class RemoteLibrarian(Desk):
    """Every call goes to the one replica of the deployment :data:`LIBRARIAN`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        return await answer_of(self._handle.ask.remote(method, arguments, named, correlation_id()))

    async def digest(self, collection_id: str) -> str:
        return await self._ask("digest", collection_id)

    async def enlist(self, collection_id: str, items: Sequence[Listed], job_id: str = "") -> set[str]:
        return await self._ask("enlist", collection_id, list(items), job_id)

    async def advance(self, collection_id: str, names: Sequence[str], state: str, progress: str = "", fraction: float = 0.0) -> None:
        await self._ask("advance", collection_id, list(names), state, progress, fraction)

    async def fail(self, collection_id: str, errors: Mapping[str, Mapping[str, Any]], files: Sequence[str] = ()) -> None:
        await self._ask("fail", collection_id, dict(errors), list(files))

    async def copy_twin(self, collection_id: str, item: Listed) -> State | None:
        return await self._ask("copy_twin", collection_id, item)

    async def put(self, collection_id: str, prepared: Sequence[Prepared], digest: str) -> list[State]:
        return await self._ask("put", collection_id, list(prepared), digest)

    async def states(self, collection_id: str, names: Sequence[str]) -> list[State]:
        return await self._ask("states", collection_id, list(names))

    async def remove(self, collection_id: str, names: Sequence[str]) -> None:
        await self._ask("remove", collection_id, list(names))

    async def edit_facts(self, collection_id: str, document: str, facts: Mapping[str, Any]) -> None:
        await self._ask("edit_facts", collection_id, document, dict(facts))

    async def edit_chunk(self, collection_id: str, chunk_id: int, *, enabled: bool | None = None, search_text: str | None = None) -> None:
        await self._ask("edit_chunk", collection_id, chunk_id, enabled=enabled, search_text=search_text)

    async def rebuild(self, collection_id: str) -> int:
        return await self._ask("rebuild", collection_id)

    async def delete(self, collection_id: str) -> None:
        await self._ask("delete", collection_id)

    async def storage(self, collection_id: str) -> Storage:
        return await self._ask("storage", collection_id)

    async def search(
        self, collection_id: str, queries: Sequence[str], k: int = 10, filters: Mapping[str, Any] | None = None, config: str = "fast"
    ) -> list[list[Passage]]:
        return await self._ask("search", collection_id, list(queries), k, dict(filters or {}), config)
