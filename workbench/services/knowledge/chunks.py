"""Chunks of a document: seen, reworded for search, switched off."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from infra.database.tables import User
from infra.database.tables_knowledge import KbChunk
from infra.errors import InvalidInput, NotFound
from knowledge.library import find_collection as find_row
from workbench.services.context import Services
from workbench.services.knowledge.documents import find_document

LONGEST = 20_000  # characters of a wording


@dataclass(frozen=True)
class ChunkCard:
    """A chunk as the page shows it.

    Attributes:
        position: in the document, from 0.
        start, end: characters of the document's text; ``text`` is exactly what stands there.
        context: what is embedded before the text: headings, names of a table's columns.
        search_text: what a person wrote to be searched in place of the text, or None; citations show the text.
        enabled: whether it takes part in answers.
    """

    id: int
    position: int
    start: int
    end: int
    page: int | None
    last_page: int | None
    kind: str
    headings: list[str]
    context: str
    text: str
    search_text: str | None
    tokens: int
    enabled: bool


async def list_chunks(
    services: Services, user: User, collection: str, document: str, *, after: int = -1, limit: int = 100
) -> list[ChunkCard]:
    """Chunks in the document's order, those whose position is above ``after``."""
    card = await find_document(services, user, collection, document)

    def work(session: Session) -> list[ChunkCard]:
        query = select(KbChunk).where(KbChunk.document_id == card.id, col(KbChunk.position) > after)
        return [chunk_card(row) for row in session.exec(query.order_by(col(KbChunk.position)).limit(min(max(limit, 1), 1000)))]

    return await services.database.run(work)


async def position_at(services: Services, user: User, collection: str, document: str, character: int) -> int:
    """Position of the chunk in which a character of the document's text stands (the nearest before it; else the first)."""
    card = await find_document(services, user, collection, document)

    def work(session: Session) -> int:
        query = select(func.max(KbChunk.position)).where(KbChunk.document_id == card.id, col(KbChunk.start) <= character)
        return session.exec(query).one() or 0

    return await services.database.run(work)


async def edit_chunk(
    services: Services, user: User, collection: str, chunk_id: int, *, enabled: bool | None = None, search_text: str | None = None
) -> ChunkCard:
    """Switch a chunk on or off, or search it by other words (an empty text: by its own again).

    Raises:
        NotFound, NotAllowed: the collection or the chunk.
        InvalidInput: more words than fit.
    """
    if search_text is not None and len(search_text) > LONGEST:
        raise InvalidInput(f"Too long: {len(search_text):,} characters; the limit is {LONGEST:,}.")
    identifier = await services.database.run(lambda session: find_row(session, user.id, collection, write=True).id)
    await services.index_service.edit_chunk(identifier, chunk_id, enabled=enabled, search_text=search_text)

    def work(session: Session) -> ChunkCard:
        row = session.get(KbChunk, chunk_id)
        if row is None:
            raise NotFound("Chunk not found.")
        return chunk_card(row)

    return await services.database.run(work)


def chunk_card(row: KbChunk) -> ChunkCard:
    assert row.id is not None
    return ChunkCard(
        **row.model_dump(include=set(ChunkCard.__dataclass_fields__) - {"id"}),
        id=row.id,
    )
