"""Documents of a collection: the table, one document, its text and file, its facts; removing it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from sqlmodel import Session, col, func, select

from infra.database import as_utc
from infra.database.identifiers import find_by_id_or_name
from infra.database.tables import User
from infra.database.tables_knowledge import Collection, KbDocument
from infra.errors import InvalidInput, NotFound
from infra.objectstore import ObjectInfo
from knowledge.library import FACT_FIELDS, StoredChunks, readable_collections, state_of
from knowledge.library import find_collection as find_row
from knowledge.library.rows import rows_meant
from knowledge.library.states import LIVE
from knowledge.reading import Document
from workbench.accounts.audit import record
from workbench.services.context import Services

MOST = 1000  # documents of one answer
_TYPED = {
    "year": (r"[12]\d{3}", "a year like 2019"),
    "quarter": (r"[1-4]", "a number from 1 to 4"),
    "date": (r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "a date like 2019-12-31"),
    "language": (r"[a-z]{2}", "two small letters like en"),
}


@dataclass(frozen=True)
class DocumentCard:
    """A document as the table shows it.

    Attributes:
        state: queued, reading, embedding, ready or failed; ``progress`` says it for a person, ``fraction`` as a share.
        error: ``{"code", "message"}`` where it failed. A document with a ``version`` that was ready stays searchable by it.
        facts: title, organisation, kind, year, quarter, date, language, as extracted or corrected; ``edited`` names the latter.
        version: raised each time it is added again with other content.
    """

    id: str
    collection_id: str
    collection: str
    document: str
    state: str
    progress: str
    fraction: float
    error: dict[str, Any] | None
    pages: int | None
    chunks: int
    size: int
    sha256: str
    media_type: str
    version: int
    has_file: bool
    facts: dict[str, Any]
    edited: list[str]
    warnings: list[str]
    created_at: datetime
    updated_at: datetime


async def list_documents(
    services: Services,
    user: User,
    collection: str,
    *,
    after: str | None = None,
    limit: int = 200,
    state: str | None = None,
    containing: str | None = None,
) -> tuple[list[DocumentCard], str | None]:
    """Documents by name, and the name to go on ``after`` (None at the end).

    Args:
        state: only those in this state; ``working`` for all that are on their way.
        containing: only those whose name or title has this text.
    """
    limit = min(max(limit, 1), MOST)

    def work(session: Session) -> list[DocumentCard]:
        row = find_row(session, user.id, collection)
        query = select(KbDocument).where(KbDocument.collection_id == row.id)
        if after is not None:
            query = query.where(col(KbDocument.name) > after)
        if state is not None:
            query = query.where(col(KbDocument.state).in_(LIVE if state == "working" else (state,)))
        if containing:
            text = containing.lower()
            name, title = func.lower(KbDocument.name), func.lower(func.coalesce(KbDocument.title, ""))
            query = query.where(name.contains(text, autoescape=True) | title.contains(text, autoescape=True))
        found = session.exec(query.order_by(col(KbDocument.name)).limit(limit))
        return [card_of(document, row) for document in found]

    cards = await services.database.run(work)
    return cards, cards[-1].document if len(cards) == limit else None


async def find_document(services: Services, user: User, collection: str, document: str, *, write: bool = False) -> DocumentCard:
    """One document by id or name. Raises NotFound; NotAllowed where ``write`` is asked for and not given."""

    def work(session: Session) -> DocumentCard:
        row = find_row(session, user.id, collection, write=write)
        return card_of(_document(session, row, document), row)

    return await services.database.run(work)


async def named_documents(services: Services, user: User, name: str) -> list[DocumentCard]:
    """The document of that id, else those of that name, in all collections that the person may read."""

    def work(session: Session) -> list[DocumentCard]:
        collections = {row.id: row for row in readable_collections(session, user.id)}
        query = select(KbDocument).where(
            col(KbDocument.collection_id).in_(list(collections)), (KbDocument.name == name) | (KbDocument.id == name)
        )
        found = find_by_id_or_name(
            name, session.exec(query.order_by(col(KbDocument.id) != name).limit(MOST)), lambda row: (row.id, row.name), any_name=True
        )
        return [card_of(row, collections[row.collection_id]) for row in found]

    return await services.database.run(work)


async def edit_document(services: Services, user: User, collection: str, document: str, facts: Mapping[str, Any]) -> DocumentCard:
    """Correct facts; they are kept when a new version comes. Raises InvalidInput for a fact that is none."""
    card = await find_document(services, user, collection, document, write=True)
    await services.index_service.edit_facts(card.collection_id, card.id, facts)
    return await find_document(services, user, card.collection_id, card.id)


def facts_as_typed(card: DocumentCard, typed: Mapping[str, str]) -> dict[str, Any]:
    """The facts that a person changed in a form, as :func:`edit_document` takes them; an empty field takes a fact away.

    Raises:
        InvalidInput: a year, quarter, date or language that is none; the sentence says which and what is expected.
    """
    changed: dict[str, Any] = {}
    for name, text in typed.items():
        text = text.strip()
        if text == ("" if card.facts[name] is None else str(card.facts[name])):
            continue
        pattern, expected = _TYPED.get(name, (".{1,500}", "at most 500 characters"))
        if text and not re.fullmatch(pattern, text):
            raise InvalidInput(f"Invalid {name} '{text}': expected {expected}.")
        changed[name] = (int(text) if name in ("year", "quarter") else text) if text else None
    return changed


async def remove_documents(services: Services, user: User, collection: str, documents: Sequence[str]) -> None:
    """Remove documents from index, tables and store. Raises NotFound where one is not there; then none goes."""

    def work(session: Session) -> tuple[str, list[str]]:
        row = find_row(session, user.id, collection, write=True)
        found = [_document(session, row, name) for name in documents]
        for one in found:
            record(session, "kb.document.removed", user_id=user.id, subject=one.name, collection=row.id)
        return row.id, [one.id for one in found]

    identifier, ids = await services.database.run(work)
    await services.index_service.remove(identifier, ids)


async def read_document_text(services: Services, user: User, collection: str, document: str) -> Document:
    """The document as it was read: pages with texts and offsets, blocks. Raises NotFound where it was not read (yet)."""
    card = await find_document(services, user, collection, document)
    chunks = StoredChunks(services.database, services.store, card.collection_id, raw=services.settings.storage.buckets.kb_raw)
    return await asyncio.to_thread(chunks.document, card.document)


async def open_file(services: Services, user: User, collection: str, document: str) -> tuple[BinaryIO, ObjectInfo, str]:
    """The file as it was added, its digest checked, and its name; the caller closes the stream.

    Raises:
        NotFound: it was a record of a file of many.
    """

    def work(session: Session) -> KbDocument:
        return _document(session, find_row(session, user.id, collection), document)

    row = await services.database.run(work)
    if row.key is None:
        raise NotFound("This document came from a file of records and has no file of its own.")
    bucket = services.settings.storage.buckets.kb_raw
    info = await asyncio.to_thread(services.store.info, bucket, row.key)
    return await asyncio.to_thread(services.store.open, bucket, row.key), info, row.name.rpartition("/")[2]


def card_of(row: KbDocument, collection: Collection) -> DocumentCard:
    said = state_of(row)
    return DocumentCard(
        id=row.id,
        collection_id=collection.id,
        collection=collection.name,
        document=row.name,
        state=row.state,
        progress=row.progress,
        fraction=row.fraction,
        error=said["error"],
        pages=row.pages,
        chunks=row.chunk_count,
        size=row.size,
        sha256=row.sha256,
        media_type=row.media_type,
        version=row.version,
        has_file=row.key is not None,
        facts={name: getattr(row, name) for name in FACT_FIELDS},
        edited=list(row.edited),
        warnings=list(row.warnings),
        created_at=as_utc(row.created_at),
        updated_at=as_utc(row.updated_at),
    )


def _document(session: Session, collection: Collection, name: str) -> KbDocument:
    row = rows_meant(session, collection.id, [name]).get(name)
    if row is None:
        raise NotFound(f"The collection '{collection.name}' has no document '{name}'.")
    return row
