"""The index service itself: adds, changes, searches and rebuilds collections. Imports no model; asks the roles for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from infra.database import Database
from infra.datafolder import DataFolder
from infra.errors import Conflict, InvalidInput
from infra.objectstore import ObjectStore
from infra.settings import Settings
from knowledge.library import Library, Listed, Prepared, Source, Storage, rebuild, state_of, storage
from knowledge.library.documents import chunks_of
from knowledge.library.rows import rows_named, text_to_embed
from knowledge.library.states import advance, enlist, fail
from knowledge.metadata import extract_facts
from knowledge.metadata.facts import squash
from knowledge.reading.picture_cache import forget_pictures
from knowledge.search import Passage, Searcher, check_asked, config_named
from pipelines.index_service.collection_cache import CollectionCache, Opened
from pipelines.index_service.interface import IndexService, State
from pipelines.index_service.models import EntailmentReranker, KnownModel
from serving.roles import Roles

FILTERS = ("organisation", "kind", "year", "quarter", "language", "document")


class LocalIndexService(IndexService):
    """In this process.

    Args:
        settings: the program's.
        database: the tables, migrated.
        store: objects.
        roles: the models: ``embedding``, and ``entailment`` where ``accurate`` is to rerank.
    """

    def __init__(self, settings: Settings, database: Database, store: ObjectStore, roles: Roles) -> None:
        self._settings, self._database, self._roles = settings, database, roles
        self._collections, self._cache = CollectionCache(settings, database, store), DataFolder(settings.home).cache

    async def digest(self, collection_id: str) -> str:
        async with self._collections.reading(collection_id) as opened:
            return opened.collection.embedding_model

    async def enlist(self, collection_id: str, items: Sequence[Listed], job_id: str = "") -> set[str]:
        return await self._database.run(lambda session: enlist(session, collection_id, items, job_id))

    async def advance(self, collection_id: str, names: Sequence[str], state: str, progress: str = "", fraction: float = 0.0) -> None:
        await self._database.run(lambda session: advance(session, collection_id, names, state, progress, fraction))

    async def fail(self, collection_id: str, errors: Mapping[str, Mapping[str, Any]], files: Sequence[str] = ()) -> None:
        await self._database.run(lambda session: fail(session, collection_id, errors))
        if files:
            async with self._collections.reading(collection_id) as opened:
                await asyncio.to_thread(opened.library.drop_files, set(files))

    async def copy_duplicate(self, collection_id: str, item: Listed) -> State | None:
        async with self._collections.changing(collection_id) as opened:
            return await asyncio.to_thread(_copy_duplicate, opened.library, item)

    async def put(self, collection_id: str, prepared: Sequence[Prepared], digest: str) -> list[State]:
        async with self._collections.changing(collection_id) as opened:
            known = opened.collection.embedding_model
            if known and known != digest:
                raise Conflict("The collection was made with another embedding model. Rebuild it (workbench kb rebuild).")
            width = next((item.vectors.shape[1] for item in prepared if len(item.vectors)), None)
            if not known and width is not None:
                await self._collections.reopen(opened, digest=digest, dimensions=width)
            rows = await asyncio.to_thread(opened.library.put_many, prepared, only_listed=True)
            return [state_of(row) for row in rows]

    async def states(self, collection_id: str, names: Sequence[str]) -> list[State]:
        rows = await self._database.run(lambda session: rows_named(session, collection_id, names))
        return [state_of(rows[name]) for name in names if name in rows]

    async def remove(self, collection_id: str, names: Sequence[str]) -> None:
        async with self._collections.changing(collection_id) as opened:
            gone = await asyncio.to_thread(opened.library.remove, *names)
        await asyncio.to_thread(forget_pictures, self._cache, gone)

    async def edit_facts(self, collection_id: str, document: str, facts: Mapping[str, Any]) -> None:
        async with self._collections.changing(collection_id) as opened:
            await asyncio.to_thread(lambda: opened.library.edit_facts(opened.library.find([document])[0], facts))

    async def edit_chunk(self, collection_id: str, chunk_id: int, *, enabled: bool | None = None, search_text: str | None = None) -> None:
        async with self._collections.changing(collection_id) as opened:
            library = opened.library
            if enabled is not None:
                await asyncio.to_thread(library.switch, chunk_id, enabled)
            if search_text is not None:
                document, chunk = await asyncio.to_thread(library.chunk, chunk_id)
                chunk.search_text = search_text.strip() or None
                model = KnownModel(self._settings, self._roles, opened.collection.embedding_model)
                vectors = (await model.embed([text_to_embed(document, chunk)])).vectors
                await asyncio.to_thread(library.reword, chunk_id, chunk.search_text, vectors[0])

    async def rebuild(self, collection_id: str) -> int:
        async with self._collections.changing(collection_id) as opened:
            if opened.collection.embedding_model:
                await self._renew_vectors(opened)
            return await asyncio.to_thread(rebuild, opened.library)

    async def delete(self, collection_id: str) -> None:
        async with self._collections.changing(collection_id) as opened:
            gone = await asyncio.to_thread(opened.library.delete_everything)
            await self._collections.forget(opened)
        await asyncio.to_thread(forget_pictures, self._cache, gone)

    async def storage(self, collection_id: str) -> Storage:
        async with self._collections.reading(collection_id) as opened:
            return await asyncio.to_thread(storage, opened.library)

    async def search(
        self, collection_id: str, queries: Sequence[str], k: int = 10, filters: Mapping[str, Any] | None = None, config: str = "fast"
    ) -> list[list[Passage]]:
        chosen = config_named(config)
        check_asked(queries, k)
        async with self._collections.reading(collection_id) as opened:
            if not opened.collection.embedding_model:
                return [[] for _ in queries]
            wanted = await asyncio.to_thread(_filters, opened.library, filters or {})
            reranker = EntailmentReranker(self._roles.entailment) if self._roles.entailment is not None else None
            model = KnownModel(self._settings, self._roles, opened.collection.embedding_model)
            searcher = Searcher(opened.library.index, opened.chunks, model, reranker)
            return await searcher.search_many(list(queries), k, wanted, chosen)

    async def close(self) -> None:
        """Put every collection away; what others have written stays theirs."""
        await self._collections.close()

    async def _renew_vectors(self, opened: Opened) -> None:
        """Other vectors for every document, where the model that serves is not the one that the collection knows.

        The index goes on answering with the old ones until it is built anew.
        """
        role = self._roles.require("embedding")
        model = (await role.embed(["."])).model
        if model.digest == opened.collection.embedding_model:
            return
        library, width = opened.library, 0
        for document in await asyncio.to_thread(library.searchable):
            texts = await asyncio.to_thread(_texts, library, document.id)
            vectors = np.asarray((await role.embed(texts)).vectors, np.float32)
            width = vectors.shape[1]
            await asyncio.to_thread(library.replace_vectors, document, vectors)
        if width:
            await self._collections.reopen(opened, digest=model.digest, dimensions=width)


def _copy_duplicate(library: Library, item: Listed) -> State | None:
    duplicate = library.duplicate_of(item)
    if duplicate is None:
        return None
    document, chunks, vectors = library.stored(duplicate)
    document = replace(document, name=item.name)
    source = Source(item.key, item.size, item.sha256)
    rows = library.put_many([Prepared(document, chunks, vectors, extract_facts(document), source)], only_listed=True)
    return state_of(rows[0]) if rows else None


def _texts(library: Library, document_id: str) -> list[str]:
    with library.database.session() as session:
        document = library.find([document_id])[0]
        return [text_to_embed(document, chunk) for chunk in chunks_of(session, document_id)]


def _filters(library: Library, filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters as the index's tags have them: organisations without case and legal form, documents by id."""
    if unknown := set(filters) - set(FILTERS):
        raise InvalidInput(f"Unknown filter '{min(unknown)}'. Available: {', '.join(FILTERS)}.")
    found: dict[str, Any] = {}
    for name, value in filters.items():
        values = [value] if isinstance(value, str | int) else list(value)
        if name == "organisation":
            values = [squash(str(one)) for one in values]
        elif name == "document":
            values = [document.id for document in library.find([str(one) for one in values])]
        if values:
            found[name] = values
    return found
