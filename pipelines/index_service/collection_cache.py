"""Open collections: their indexes in memory, one writer each, the least recently used put away."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path

from infra.database import Database
from infra.database.tables_knowledge import Collection
from infra.errors import Conflict, IntegrityError, InvalidInput, NotFound, Unavailable
from infra.objectstore import ObjectStore
from infra.settings import Settings
from infra.telemetry import logger
from knowledge.index import Index, open_index
from knowledge.index.embedded import delete_index
from knowledge.library import Library, StoredChunks, heal

log = logger(__name__)

WAIT_SECONDS = 10.0  # for another process that is changing the collection


@dataclass
class Opened:
    """A collection in use.

    Attributes:
        library: its documents and its index.
        chunks: what a search asks.
        turn: whoever changes the collection holds it.
        claim: the file by whose lock this process is the collection's one writer; None before the first change.
        users: calls at work on it.
        unsure: a change failed half-way; the next one first makes index and objects agree with the tables.
        replaced: indexes that searches may still hold; closed when nobody uses the collection.
    """

    library: Library
    chunks: StoredChunks
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    claim: TextIOWrapper | None = None
    users: int = 0
    unsure: bool = False
    replaced: list[Index] = field(default_factory=list)

    @property
    def collection(self) -> Collection:
        return self.library.collection


class CollectionCache:
    """Opens collections when they are asked for. Used from one event loop; what blocks runs in threads."""

    def __init__(self, settings: Settings, database: Database, store: ObjectStore) -> None:
        self._settings, self._database, self._store = settings, database, store
        self._folder = settings.home.resolve() / "indexes"
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._opening: dict[str, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def reading(self, collection_id: str) -> AsyncIterator[Opened]:
        """The collection, kept open while the block runs. Raises NotFound, Unavailable."""
        opened = await self._get(collection_id)
        opened.users += 1
        try:
            yield opened
        finally:
            opened.users -= 1
            if not opened.users:
                while opened.replaced:
                    opened.replaced.pop().close()
            await self._put_away()

    @contextlib.asynccontextmanager
    async def changing(self, collection_id: str) -> AsyncIterator[Opened]:
        """The collection for one who changes it; others who would, wait. Searches go on meanwhile.

        Raises:
            NotFound: there is no such collection.
            Unavailable: another process is changing it.
        """
        async with self.reading(collection_id) as opened, opened.turn:
            if opened.claim is None:
                await asyncio.to_thread(self._claim, opened)
            elif opened.unsure:
                await asyncio.to_thread(heal, opened.library)
            opened.unsure = True
            try:
                yield opened
                opened.unsure = False
            except (InvalidInput, NotFound, Conflict):
                opened.unsure = False  # refused before anything was written
                raise
            finally:
                opened.chunks.forget()

    async def reopen(self, opened: Opened, *, digest: str, dimensions: int) -> None:
        """Note the embedding model whose vectors the collection holds from now on, and open an index that fits them."""

        def work() -> None:
            with self._database.session() as session:
                row = session.get_one(Collection, opened.collection.id)
                row.embedding_model, row.dimensions = digest, dimensions
                session.add(row)
            if dimensions != opened.library.index.dimensions:
                opened.replaced.append(opened.library.index)
                delete_index(self._folder / row.id)
                opened.library.index = self._index(row)
            opened.library.collection = row

        await asyncio.to_thread(work)

    async def forget(self, opened: Opened) -> None:
        """Put a collection away that was deleted, with its folder."""
        self._open.pop(opened.collection.id, None)
        await asyncio.to_thread(_close, opened)
        await asyncio.to_thread(delete_index, self._folder / opened.collection.id)
        (self._folder / f"{opened.collection.id}.lock").unlink(missing_ok=True)

    async def close(self) -> None:
        """Put everything away."""
        while self._open:
            await asyncio.to_thread(_close, self._open.popitem()[1])

    async def _get(self, collection_id: str) -> Opened:
        async with self._opening.setdefault(collection_id, asyncio.Lock()):
            known = self._open.get(collection_id)
            if known is not None and not known.collection.embedding_model and known.claim is None and not known.users:
                # Empty when it was opened, by one who only reads: another process may have filled it since.
                await asyncio.to_thread(_close, self._open.pop(collection_id))
            if collection_id not in self._open:
                self._open[collection_id] = await asyncio.to_thread(self._open_one, collection_id)
            self._open.move_to_end(collection_id)
            return self._open[collection_id]

    async def _put_away(self) -> None:
        idle = [name for name, opened in self._open.items() if not opened.users]
        # All are taken out before the first is closed: whoever runs meanwhile sees none of them.
        away = [self._open.pop(name) for name in idle[: max(0, len(self._open) - self._settings.knowledge.open_collections)]]
        if away:
            await asyncio.shield(asyncio.to_thread(lambda: [_close(opened) for opened in away]))

    def _open_one(self, collection_id: str) -> Opened:
        with self._database.session() as session:
            row = session.get(Collection, collection_id)
        if row is None:
            raise NotFound("The collection is not there any more.")
        buckets = self._settings.storage.buckets
        chunks = StoredChunks(self._database, self._store, collection_id, raw=buckets.kb_raw)
        index, claim = self._index_or_new(row)
        library = Library(self._database, self._store, row, index, raw=buckets.kb_raw, vectors=buckets.kb_vectors)
        opened = Opened(library, chunks, claim=claim)
        if claim is not None:
            heal(library)
        return opened

    def _index_or_new(self, row: Collection) -> tuple[Index, TextIOWrapper | None]:
        """The index; a damaged one is made anew by whoever may write it (the claim is given then), else waited for."""
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._index(row), None
            except IntegrityError as error:
                with contextlib.suppress(Unavailable):
                    claim = self._locked(row.id, wait=0)
                    log.warning("index is damaged, made anew", collection=row.id, error=error.message)
                    delete_index(self._folder / row.id)
                    return self._index(row), claim
                if time.monotonic() > until:
                    raise Unavailable("The collection's index is being changed by another process. Try again in a moment.") from error
                time.sleep(0.1)

    def _index(self, row: Collection) -> Index:
        knowledge = self._settings.knowledge
        where: Path | str = knowledge.opensearch_url or self._folder
        return open_index(where, row.id, row.dimensions, half=knowledge.half_precision, engine=knowledge.opensearch_engine)

    def _claim(self, opened: Opened) -> None:
        opened.claim = self._locked(opened.collection.id, wait=WAIT_SECONDS)
        # Another process may have made changes since the index was opened, or died while it made them. Searches that run
        # hold the index as it was: it is closed after them.
        opened.replaced.append(opened.library.index)
        try:
            opened.library.index = self._index(opened.collection)
        except IntegrityError as error:
            log.warning("index is damaged, made anew", collection=opened.collection.id, error=error.message)
            delete_index(self._folder / opened.collection.id)
            opened.library.index = self._index(opened.collection)
        heal(opened.library)

    def _locked(self, collection_id: str, *, wait: float) -> TextIOWrapper:
        """The lock that makes this process the collection's one writer. The system frees it with the process."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = open(self._folder / f"{collection_id}.lock", "a")  # noqa: SIM115 - held as long as the collection is open
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except OSError:
                if time.monotonic() >= until:
                    file.close()
                    raise Unavailable("Another process is changing this collection. Try again when it is done.") from None
                time.sleep(0.1)


def _close(opened: Opened) -> None:
    for index in (opened.library.index, *opened.replaced):
        index.close()
    if opened.claim is not None:
        opened.claim.close()
        opened.claim = None
