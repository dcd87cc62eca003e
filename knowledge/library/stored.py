"""A collection's chunks and texts for searching, from the tables and the object store."""

from __future__ import annotations

import gzip
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from sqlalchemy import func
from sqlmodel import col, select

from infra.database import Database
from infra.database.tables_knowledge import KbChunk, KbDocument
from infra.errors import NotFound
from infra.objectstore import ObjectStore
from knowledge.library.documents import facts_of
from knowledge.metadata import Catalog
from knowledge.reading.document import PAGE_BREAK
from knowledge.search import StoredChunk

KEPT_TEXTS = 32
ASKED_AT_ONCE = 500  # SQLite takes a limited number of variables


class StoredChunks:
    """Fulfils :class:`knowledge.search.Chunks`. Cheap to make; the catalog is made anew when a document has changed."""

    def __init__(self, database: Database, store: ObjectStore, collection_id: str, *, raw: str) -> None:
        self.database, self.store, self.collection_id, self.raw = database, store, collection_id, raw
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._catalog: tuple[object, Catalog] | None = None

    def get(self, ids: Iterable[int]) -> Mapping[int, StoredChunk]:
        wanted = list(ids)
        found: dict[int, StoredChunk] = {}
        with self.database.session() as session:
            for at in range(0, len(wanted), ASKED_AT_ONCE):
                query = (
                    select(KbChunk, KbDocument.name, KbDocument.title)
                    .join(KbDocument, col(KbDocument.id) == col(KbChunk.document_id))
                    .where(
                        col(KbChunk.id).in_(wanted[at : at + ASKED_AT_ONCE]),
                        KbChunk.collection_id == self.collection_id,
                        col(KbChunk.enabled),
                    )
                )
                for chunk, name, title in session.exec(query):
                    assert chunk.id is not None
                    found[chunk.id] = StoredChunk(
                        chunk.id, name, chunk.position, chunk.start, chunk.end, chunk.text, chunk.page, title, tuple(chunk.headings)
                    )
        return found

    def span(self, document: str, start: int, end: int) -> str:
        return self.text(document)[start:end]

    def text(self, document: str) -> str:
        """A document's whole text; the last few are kept."""
        with self.database.session() as session:
            query = select(KbDocument.text_key).where(KbDocument.collection_id == self.collection_id, KbDocument.name == document)
            key = session.exec(query).first()
        if key is None:
            raise NotFound(f"The collection has no document '{document}'.")
        if key not in self._texts:
            content = json.loads(gzip.decompress(self.store.get(self.raw, key)))
            self._texts[key] = PAGE_BREAK.join(page[2] for page in content["pages"])
        self._texts.move_to_end(key)
        while len(self._texts) > KEPT_TEXTS:
            self._texts.popitem(last=False)
        return self._texts[key]

    def catalog(self) -> Catalog:
        with self.database.session() as session:
            here = KbDocument.collection_id == self.collection_id
            stamp = session.exec(select(func.count(), func.max(KbDocument.updated_at)).where(here)).one()
            if self._catalog is None or self._catalog[0] != tuple(stamp):
                # Only documents with facts can be named; a hundred thousand records without are not loaded.
                query = select(KbDocument).where(here, (col(KbDocument.organisation).is_not(None)) | (col(KbDocument.year).is_not(None)))
                self._catalog = (tuple(stamp), Catalog({row.name: facts_of(row) for row in session.exec(query)}))
        return self._catalog[1]
