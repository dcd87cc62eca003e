"""Documents into a collection and out of it: tables, objects and index together.

The tables decide. Search asks them for every chunk it found, so an index that is behind never shows what is gone, and one
that is lost is built again from the tables and the stored vectors.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from infra.database import Database
from infra.database.tables import now
from infra.database.tables_knowledge import Collection, CollectionMember, KbChunk, KbDocument
from infra.errors import InvalidInput, NotFound
from infra.objectstore import ObjectStore
from knowledge.chunking import Chunk, embedding_text
from knowledge.index import Entry, Index
from knowledge.metadata import Facts
from knowledge.reading import Document

FACT_FIELDS = ("title", "organisation", "kind", "year", "quarter", "date", "language")
BATCH = 2000


@dataclass(frozen=True)
class Source:
    """Where a document came from: the stored file (None for a record), its size and the sha256 of its content."""

    key: str | None
    size: int
    sha256: str


class Library:
    """One collection's documents.

    Args:
        database, store: of the workbench.
        collection: the collection.
        index: its index; this process is the one that writes it.
        raw, vectors: names of the buckets.
    """

    def __init__(self, database: Database, store: ObjectStore, collection: Collection, index: Index, *, raw: str, vectors: str) -> None:
        self.database, self.store, self.collection, self.index = database, store, collection, index
        self.raw, self.vector_bucket = raw, vectors

    def unchanged(self, name: str, sha256: str) -> KbDocument | None:
        """The document of this name if it is ready and has this very content: then nothing needs to be read."""
        with self.database.session() as session:
            found = _named(session, self.collection.id, name)
            return found if found is not None and found.state == "ready" and found.sha256 == sha256 else None

    def mark(self, name: str, state: str, *, progress: str = "", fraction: float = 0.0, error: dict[str, Any] | None = None) -> KbDocument:
        """Say where a document is; made when it is new. What an earlier version left stays searchable meanwhile."""
        with self.database.session() as session:
            document = _named(session, self.collection.id, name) or KbDocument(collection_id=self.collection.id, name=name)
            document.state, document.progress, document.fraction, document.error, document.updated_at = (
                state,
                progress,
                fraction,
                error,
                now(),
            )
            session.add(document)
            return document

    def put(self, document: Document, chunks: Sequence[Chunk], vectors: np.ndarray, facts: Facts, source: Source) -> KbDocument:
        """Store a document that was read, chunked and embedded; the version before it is replaced in one transaction.

        Raises:
            InvalidInput: chunks and vectors do not match, or a chunk's text is not what stands at its offsets.
        """
        text = document.text
        if len(chunks) != len(vectors):
            raise InvalidInput(f"{len(chunks)} chunks came with {len(vectors)} vectors.")
        if any(text[chunk.start : chunk.end] != chunk.text for chunk in chunks):
            raise InvalidInput("A chunk's text is not what stands at its offsets.")
        with self.database.session() as session:
            before = _named(session, self.collection.id, document.name)
            identifier, version = (
                (before.id, before.version + (before.text_key is not None)) if before else (KbDocument(collection_id="", name="").id, 1)
            )
        place = f"{self.collection.id}/{identifier}-{version}"
        text_key = self.store.put(self.raw, f"{place}.json.gz", _packed(document), media_type="application/gzip").key
        vectors_key = self.store.put(self.vector_bucket, f"{place}.npy", _saved(vectors)).key
        with self.database.session() as session:
            row = session.get(KbDocument, identifier) or KbDocument(id=identifier, collection_id=self.collection.id, name=document.name)
            stale = [row.text_key, row.vectors_key]
            old_ids = list(session.exec(select(KbChunk.id).where(KbChunk.document_id == identifier)))
            session.exec(delete(KbChunk).where(col(KbChunk.document_id) == identifier))  # type: ignore[call-overload]
            _fill(row, document, facts, source, version, len(chunks))
            row.text_key, row.vectors_key = text_key, vectors_key
            session.add(row)
            session.flush()
            rows = [_chunk_row(self.collection.id, identifier, chunk) for chunk in chunks]
            session.add_all(rows)
            session.flush()
            # The index takes the new chunks before the tables show them, and loses the old ones after: a search in
            # between finds either version whole. Should this transaction fail, the tables hide what the index has too much.
            self.index.add([entry_of(row, item) for item in rows], np.asarray(vectors, np.float32))
            self.index.save()
        if old_ids:
            self.index.remove(i for i in old_ids if i is not None)
            self.index.save()
        self._drop_objects([key for key in stale if key not in (text_key, vectors_key)])
        return row

    def remove(self, name: str) -> None:
        """Take a document out of the tables, the index and the store.

        Raises:
            NotFound: the collection has none of this name (or id).
        """
        with self.database.session() as session:
            document = _named(session, self.collection.id, name) or session.get(KbDocument, name)
            if document is None or document.collection_id != self.collection.id:
                raise NotFound(f"The collection '{self.collection.name}' has no document '{name}'.")
            ids = [i for i in session.exec(select(KbChunk.id).where(KbChunk.document_id == document.id)) if i is not None]
            session.exec(delete(KbChunk).where(col(KbChunk.document_id) == document.id))  # type: ignore[call-overload]
            session.delete(document)
            session.flush()
            shared = document.key and session.exec(select(func.count()).where(KbDocument.key == document.key)).one()
        self.index.remove(ids)
        self.index.save()
        self._drop_objects([document.text_key, document.vectors_key, None if shared else document.key])

    def switch(self, chunk_id: int, enabled: bool) -> None:
        """Let a chunk take part in answers, or not."""
        with self.database.session() as session:
            chunk = session.get(KbChunk, chunk_id)
            if chunk is None or chunk.collection_id != self.collection.id:
                raise NotFound("There is no such chunk.")
            session.exec(update(KbChunk).where(col(KbChunk.id) == chunk_id).values(enabled=enabled))  # type: ignore[call-overload]

    def rebuild(self) -> int:
        """Fill the index anew from the tables and the stored vectors; gives the number of chunks."""
        self.index.clear()
        with self.database.session() as session:
            documents = list(
                session.exec(select(KbDocument).where(KbDocument.collection_id == self.collection.id, KbDocument.state == "ready"))
            )
        count = 0
        for document in documents:
            with self.database.session() as session:
                rows = list(session.exec(select(KbChunk).where(KbChunk.document_id == document.id).order_by(col(KbChunk.position))))
            if rows and document.vectors_key:
                vectors = np.load(io.BytesIO(self.store.get(self.vector_bucket, document.vectors_key)), allow_pickle=False)
                self.index.add([entry_of(document, row) for row in rows], vectors)
                count += len(rows)
                if count % BATCH < len(rows):
                    self.index.save()
        self.index.save()
        return count

    def delete_everything(self) -> None:
        """Remove the collection: tables, objects, index. Nothing of it is left."""
        with self.database.session() as session:
            documents = list(session.exec(select(KbDocument).where(KbDocument.collection_id == self.collection.id)))
            session.exec(delete(KbChunk).where(col(KbChunk.collection_id) == self.collection.id))  # type: ignore[call-overload]
            session.exec(delete(KbDocument).where(col(KbDocument.collection_id) == self.collection.id))  # type: ignore[call-overload]
            session.exec(delete(CollectionMember).where(col(CollectionMember.collection_id) == self.collection.id))  # type: ignore[call-overload]
            session.exec(delete(Collection).where(col(Collection.id) == self.collection.id))  # type: ignore[call-overload]
            session.flush()
            keys = [document.key for document in documents if document.key]
            kept = set(session.exec(select(KbDocument.key).where(col(KbDocument.key).in_(keys))))
        self.index.clear()
        for document in documents:
            self._drop_objects([document.text_key, document.vectors_key, None if document.key in kept else document.key])

    def _drop_objects(self, keys: Sequence[str | None]) -> None:
        for key in keys:
            if key:
                self.store.delete(self.vector_bucket if key.endswith(".npy") else self.raw, key)


def entry_of(document: KbDocument, chunk: KbChunk) -> Entry:
    """What the index holds of a chunk."""
    assert chunk.id is not None
    facts = facts_of(document)
    text = embedding_text(document.title, chunk.context, chunk.search_text or chunk.text)
    return Entry(chunk.id, text, document.language or "en", (*facts.tags(), f"document:{document.id}"))


def facts_of(document: KbDocument) -> Facts:
    """A document's facts as its row has them, corrected or not."""
    return Facts(**{name: getattr(document, name) for name in FACT_FIELDS}, also=tuple(document.also))


def _named(session: Session, collection_id: str, name: str) -> KbDocument | None:
    return session.exec(select(KbDocument).where(KbDocument.collection_id == collection_id, KbDocument.name == name)).first()


def _fill(row: KbDocument, document: Document, facts: Facts, source: Source, version: int, chunks: int) -> None:
    row.state, row.progress, row.fraction, row.error, row.updated_at = "ready", "", 1.0, None, now()
    row.version, row.media_type, row.chunk_count = version, document.media_type, chunks
    row.size, row.sha256, row.key = source.size, source.sha256, source.key
    row.pages, row.warnings = (len(document.pages) if document.paged else None), list(document.warnings)
    for name in FACT_FIELDS:
        if name not in row.edited:  # what a person corrected stays
            setattr(row, name, getattr(facts, name))
    row.also = list(facts.also)


def _chunk_row(collection_id: str, document_id: str, chunk: Chunk) -> KbChunk:
    return KbChunk(
        collection_id=collection_id,
        document_id=document_id,
        position=chunk.index,
        start=chunk.start,
        end=chunk.end,
        page=chunk.page,
        last_page=chunk.last_page,
        kind=chunk.kind,
        headings=list(chunk.headings),
        context=chunk.context,
        text=chunk.text,
        tokens=chunk.tokens,
    )


def _packed(document: Document) -> bytes:
    """What was read, as gzip JSON: text by page, and blocks (their headings are found again)."""
    content = {
        "pages": [[page.number, page.start, page.text, page.recognised] for page in document.pages],
        "blocks": [[block.kind, block.start, block.end, block.page, block.level] for block in document.blocks],
        "paged": document.paged,
        "metadata": document.metadata,
    }
    return gzip.compress(json.dumps(content).encode(), mtime=0)


def _saved(vectors: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(vectors, np.float32), allow_pickle=False)
    return buffer.getvalue()
