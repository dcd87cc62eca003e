"""Rows of the tables from what was read, and back to what the index and the search need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from sqlmodel import Session, col, select

from infra.database.tables import now
from infra.database.tables_knowledge import KbChunk, KbDocument
from knowledge.chunking import Chunk, embedding_text
from knowledge.index import Entry
from knowledge.metadata import Facts
from knowledge.reading import Document

FACT_FIELDS = ("title", "organisation", "kind", "year", "quarter", "date", "language")
ASKED_AT_ONCE = 500  # SQLite takes a limited number of variables

Item = TypeVar("Item")


@dataclass(frozen=True)
class Source:
    """Where a document came from: the stored file (None for a record), its size and the sha256 of its content."""

    key: str | None
    size: int
    sha256: str


@dataclass(frozen=True)
class Prepared:
    """A document that was read, chunked and embedded; ``vectors`` is float32 ``(chunks, dimensions)``."""

    document: Document
    chunks: Sequence[Chunk]
    vectors: np.ndarray
    facts: Facts
    source: Source


def entry_of(document: KbDocument, chunk: KbChunk) -> Entry:
    """What the index holds of a chunk."""
    assert chunk.id is not None
    tags = (*facts_of(document).tags(), f"document:{document.id}")
    return Entry(chunk.id, text_to_embed(document, chunk), document.language or "en", tags)


def text_to_embed(document: KbDocument, chunk: KbChunk) -> str:
    """What the embedding model is given for a chunk."""
    return embedding_text(document.title, chunk.context, chunk.search_text or chunk.text)


def facts_of(document: KbDocument) -> Facts:
    """A document's facts as its row has them, corrected or not."""
    return Facts(**{name: getattr(document, name) for name in FACT_FIELDS}, also=tuple(document.also))


def state_of(document: KbDocument) -> dict[str, Any]:
    """A document as ``workbench kb add --json`` tells it."""
    return {
        "document": document.name,
        "state": document.state,
        "pages": document.pages,
        "chunks": document.chunk_count,
        "error": {"code": document.error.get("code"), "message": document.error.get("message")} if document.error else None,
    }


def fill(row: KbDocument, prepared: Prepared, version: int) -> None:
    """Put what was read into a document's row."""
    document, source = prepared.document, prepared.source
    row.state, row.progress, row.fraction, row.error, row.updated_at = "ready", "", 1.0, None, now()
    row.version, row.media_type, row.chunk_count = version, document.media_type, len(prepared.chunks)
    row.size, row.sha256, row.key = source.size, source.sha256, source.key
    row.pages, row.warnings = (len(document.pages) if document.paged else None), list(document.warnings)
    for name in FACT_FIELDS:
        if name not in row.edited:  # what a person corrected stays
            setattr(row, name, getattr(prepared.facts, name))
    row.also = list(prepared.facts.also)


def chunk_row(collection_id: str, document_id: str, chunk: Chunk) -> KbChunk:
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


def chunk_of(row: KbChunk) -> Chunk:
    """The chunk that :func:`chunk_row` was given."""
    return Chunk(
        row.position, row.start, row.end, row.text, row.page, row.last_page, tuple(row.headings), row.kind, row.context, row.tokens
    )


def rows_named(session: Session, collection_id: str, names: Sequence[str]) -> dict[str, KbDocument]:
    """The rows of these documents that there are, by name."""
    found: dict[str, KbDocument] = {}
    for part in in_parts(names):
        query = select(KbDocument).where(KbDocument.collection_id == collection_id, col(KbDocument.name).in_(part))
        found |= {row.name: row for row in session.exec(query)}
    return found


def rows_meant(session: Session, collection_id: str, texts: Sequence[str]) -> dict[str, KbDocument]:
    """The documents of the collection that these ids or names refer to, by the text given; an id wins over a name.

    The rule is :mod:`infra.database.identifiers`; a document's name may look like an id, since it may be a record's.
    """
    rows = rows_named(session, collection_id, texts)
    for part in in_parts(texts):
        query = select(KbDocument).where(KbDocument.collection_id == collection_id, col(KbDocument.id).in_(part))
        rows |= {row.id: row for row in session.exec(query)}
    return rows


def chunk_ids(session: Session, document_ids: Sequence[str]) -> list[int]:
    """Ids of all chunks of these documents."""
    found: list[int] = []
    for part in in_parts(document_ids):
        found += [i for i in session.exec(select(KbChunk.id).where(col(KbChunk.document_id).in_(part))) if i is not None]
    return found


def in_parts(items: Sequence[Item], size: int = ASKED_AT_ONCE) -> Iterator[Sequence[Item]]:
    """``items`` in runs that one statement can name."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
