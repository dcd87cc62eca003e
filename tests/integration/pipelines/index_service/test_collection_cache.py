"""Open collections under many hands at once: put away, claimed, changed and searched beside each other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import pytest_asyncio
from sqlmodel import Session

from infra.database import Database, migrate
from infra.database.people import owner_of
from infra.errors import StorageFull
from infra.objectstore import make_object_store
from infra.settings import Settings
from knowledge.index.embedded import EmbeddedIndex
from knowledge.library import Listed, Prepared, Source, create_collection
from knowledge.library.stored import StoredChunks
from knowledge.metadata import Facts
from knowledge.reading.records import record_document
from pipelines.index_service import collection_cache
from pipelines.index_service.local import LocalIndexService
from pipelines.ingestion.preparing import chunked
from serving.roles import Roles
from tests.embedders import WordsEmbedding

pytestmark = pytest.mark.timeout(60)


@pytest_asyncio.fixture
async def service(settings: Settings) -> AsyncIterator[LocalIndexService]:
    database = Database(settings.database_url)
    migrate(database)
    made = LocalIndexService(settings, database, make_object_store(settings), Roles(embedding=WordsEmbedding()))
    yield made
    await made.close()
    database.close()


async def collection(service: LocalIndexService, name: str, texts: dict[str, str]) -> str:
    """A collection with these documents in it."""

    def make(session: Session) -> str:
        return create_collection(session, owner_of(session)[0].id, name).id

    identifier = await service._database.run(make)
    if texts:
        await put(service, identifier, texts)
    return identifier


async def put(service: LocalIndexService, identifier: str, texts: dict[str, str]) -> None:
    listed = [Listed(name, None, len(text), name) for name, text in texts.items()]
    await service.enlist(identifier, listed)
    prepared = []
    for item, text in zip(listed, texts.values(), strict=True):
        one = chunked(record_document(item.name, text), item)
        vectors = (await service._roles.require("embedding").embed(one.texts)).vectors
        prepared.append(Prepared(one.document, one.chunks, vectors, Facts(), Source(None, item.size, item.sha256)))
    await service.put(identifier, prepared, "1" * 64)


async def test_more_collections_than_are_kept_open_are_searched_at_once(service: LocalIndexService, monkeypatch: pytest.MonkeyPatch):
    identifiers = [await collection(service, f"c{number}", {"d": f"Words of subject{number}."}) for number in range(12)]
    assert service._settings.knowledge.open_collections == 8
    close, cache = collection_cache._close, service._collections

    def slowly(opened: collection_cache.Opened) -> None:
        time.sleep(0.05)
        close(opened)

    monkeypatch.setattr(collection_cache, "_close", slowly)
    for one in identifiers[:8]:
        await service.search(one, ["subject"], 1)
    together = asyncio.Barrier(4)

    async def read(identifier: str) -> None:
        async with cache.reading(identifier):
            await together.wait()  # eight are idle and four in use: when these end, four are put away, by four at once

    await asyncio.gather(*map(read, identifiers[8:]))
    assert len(cache._open) == 8
    found = await asyncio.gather(*[service.search(one, [f"subject{number}"], 1) for number, one in enumerate(identifiers)])
    assert [f"subject{number}" in passages[0][0].text for number, passages in enumerate(found)] == [True] * 12


async def test_the_first_change_leaves_a_running_search_its_index(service: LocalIndexService, settings: Settings):
    identifier = await collection(service, "c", {"heart": "The heart pumps blood.", "brain": "The brain stores memories."})
    await service.close()
    query = (await service._roles.require("embedding").embed(["the heart"])).vectors[0]
    async with service._collections.reading(identifier) as opened:
        index = opened.library.index
        assert len(index.dense(query, 5)) == 2
        async with service._collections.changing(identifier):  # the first change since the collection was opened
            assert opened.library.index is not index
            assert len(index.dense(query, 5)) == 2 and len(index.lexical("heart", 5)) == 1
        await service.edit_facts(identifier, "heart", {"title": "Hearts"})
        assert len(index.dense(query, 5)) == 2
    assert opened.replaced == []  # closed with its last user


async def test_an_index_that_is_built_anew_leaves_a_running_search_what_it_holds(service: LocalIndexService):
    identifier = await collection(service, "c", {"heart": "The heart pumps blood."})
    query = (await service._roles.require("embedding").embed(["the heart"])).vectors[0]
    async with service._collections.reading(identifier) as opened:
        index = opened.library.index
        async with service._collections.changing(identifier):
            await service._collections.reopen(opened, digest="2" * 64, dimensions=32)
        assert len(index.dense(query, 5)) == 1


async def test_a_change_that_finds_the_disk_full_leaves_tables_objects_and_index_agreeing(
    service: LocalIndexService, monkeypatch: pytest.MonkeyPatch
):
    identifier = await collection(service, "c", {"heart": "The heart pumps blood."})
    store, buckets = service._collections._store, service._settings.storage.buckets
    before = [info.key for bucket in (buckets.kb_raw, buckets.kb_vectors) for info in store.list(bucket)]

    def full(self: EmbeddedIndex, segments: object) -> None:
        raise RuntimeError("write error in seg-1.faiss: No space left on device")  # as FAISS says it

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedIndex, "_write_manifest", full)
        with pytest.raises(StorageFull):
            await put(service, identifier, {"brain": "The brain stores memories."})
    assert [info.key for bucket in (buckets.kb_raw, buckets.kb_vectors) for info in store.list(bucket)] == before
    assert [said["state"] for said in await service.states(identifier, ["heart", "brain"])] == ["ready", "queued"]
    await put(service, identifier, {"kidney": "The kidney filters blood."})
    async with service._collections.reading(identifier) as opened:
        index = opened.library.index
        assert len(index.ids()) == 2 and [hit.id for hit in index.lexical("memories", 5)] == []
    assert [one.document for one in (await service.search(identifier, ["brain"], 5))[0] if "brain" in one.text] == []
    await service.close()
    assert (await service.search(identifier, ["kidney"], 1))[0][0].document == "kidney"


async def test_forgetting_beside_listing(service: LocalIndexService, monkeypatch: pytest.MonkeyPatch):
    identifier = await collection(service, "c", {"heart": "The heart pumps blood.", "brain": "The brain stores memories."})
    async with service._collections.reading(identifier) as opened:
        chunks: StoredChunks = opened.chunks
        ended, errors = threading.Event(), []

        def forgetful() -> float:
            # Between the look and the answer, another thread says that the collection has changed.
            chunks.forget()
            return time.monotonic()

        monkeypatch.setattr("knowledge.library.stored.time", SimpleNamespace(monotonic=forgetful))

        def work() -> None:
            try:
                for _ in range(20):
                    chunks.catalog()
                    assert chunks.document("heart").name == "heart"
            except Exception as error:
                errors.append(error)
            ended.set()

        thread = threading.Thread(target=work)
        thread.start()
        while not ended.is_set():
            chunks.forget()
            await asyncio.sleep(0)
        thread.join()
    assert errors == []
