"""A collection's chunks and texts for searching, from the tables and the object store."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from sqlalchemy import func
from sqlmodel import col, select

from infra.database import Database
from infra.database.tables_knowledge import KbChunk, KbDocument
from infra.errors import NotFound
from infra.objectstore import ObjectStore
from knowledge.library.archives import read_document_archive
from knowledge.library.rows import facts_of, in_parts
from knowledge.metadata import Catalog
from knowledge.reading import Document
from knowledge.search import StoredChunk

KEPT_DOCUMENTS = 16
LOOKED_SECONDS = 2.0  # asking for changes costs as much as a search where there are many documents

_COLUMNS = (
    KbChunk.id, KbDocument.name, KbChunk.position, KbChunk.start, KbChunk.end, KbChunk.text, KbChunk.page, KbDocument.title,
    KbChunk.headings, KbDocument.sha256,
)  # fmt: skip


class StoredChunks:
    """Fulfils :class:`knowledge.search.Chunks`. What is kept in memory is forgotten by :meth:`forget`, or within seconds."""

    def __init__(self, database: Database, store: ObjectStore, collection_id: str, *, raw: str) -> None:
        self.database, self.store, self.collection_id, self.raw = database, store, collection_id, raw
        self._lock = threading.Lock()  # searches and changes run in threads of their own
        self._documents: OrderedDict[tuple[str, str], Document] = OrderedDict()
        self._catalog: tuple[object, Catalog] | None = None
        self._looked = 0.0
        self._changes = 0  # how often the collection has changed, so that what was read before a change is not kept after it

    def get(self, ids: Iterable[int]) -> Mapping[int, StoredChunk]:
        wanted = list(ids)
        found: dict[int, StoredChunk] = {}
        with self.database.session() as session:
            for part in in_parts(wanted):
                query = (
                    select(*_COLUMNS)  # type: ignore[call-overload]
                    .join(KbDocument, col(KbDocument.id) == col(KbChunk.document_id))
                    .where(col(KbChunk.id).in_(part), KbChunk.collection_id == self.collection_id, col(KbChunk.enabled))
                )
                for identifier, name, position, start, end, text, page, title, headings, sha256 in session.execute(query):
                    found[identifier] = StoredChunk(identifier, name, position, start, end, text, page, title, tuple(headings), sha256)
        return found

    def span(self, document: str, start: int, end: int) -> str:
        return self.document(document).text[start:end]

    def document(self, name: str) -> Document:
        """A document as it was read, by its name; the last few are kept. Raises NotFound."""
        with self.database.session() as session:
            query = select(KbDocument).where(KbDocument.collection_id == self.collection_id, KbDocument.name == name)
            row = session.exec(query).first()
        if row is None or row.text_key is None:
            raise NotFound(f"The collection has no document '{name}' that was read.")
        place = (row.text_key, row.id)
        with self._lock:
            document = self._documents.get(place)
        if document is None:
            document = read_document_archive(self.store.get(self.raw, row.text_key), row.id, name=name, media_type=row.media_type)
        with self._lock:
            self._documents[place] = document
            self._documents.move_to_end(place)
            while len(self._documents) > KEPT_DOCUMENTS:
                self._documents.popitem(last=False)
        return document

    def catalog(self) -> Catalog:
        known = self._catalog  # taken once: another thread may forget it at any moment
        if known is not None and time.monotonic() - self._looked < LOOKED_SECONDS:
            return known[1]
        changes = self._changes
        with self.database.session() as session:
            here = KbDocument.collection_id == self.collection_id
            stamp = session.exec(select(func.count(), func.max(KbDocument.updated_at)).where(here)).one()
            if known is None or known[0] != tuple(stamp):
                # Only documents with facts can be named; a hundred thousand records without are not loaded.
                query = select(KbDocument).where(here, (col(KbDocument.organisation).is_not(None)) | (col(KbDocument.year).is_not(None)))
                known = (tuple(stamp), Catalog({row.name: facts_of(row) for row in session.exec(query)}))
        looked = time.monotonic()
        with self._lock:
            if changes == self._changes:
                self._catalog, self._looked = known, looked
        return known[1]

    def forget(self) -> None:
        """Drop what is remembered: the collection has changed."""
        with self._lock:
            self._documents.clear()
            self._catalog, self._looked = None, 0.0
            self._changes += 1
