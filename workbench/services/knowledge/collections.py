"""Collections: who has which, who may use them, and what they take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from infra.database import as_utc
from infra.database.tables import User
from infra.database.tables_knowledge import Collection, CollectionMember, KbDocument
from infra.errors import Conflict, InvalidInput, NotAllowed, NotFound
from knowledge.library import Storage, create_collection, may_write, readable_collections
from knowledge.library import find_collection as find_row
from knowledge.library import set_member as set_right
from knowledge.library.collections import clean_name
from workbench.accounts.audit import record
from workbench.services.context import Services


@dataclass(frozen=True)
class CollectionCard:
    """A collection as a list shows it.

    Attributes:
        owner: name of the person whose it is.
        mine: it is the asker's own.
        may_write: the asker may add and remove documents.
        documents, chunks: how many; ``working`` and ``failed`` of the documents are on their way, or could not be read.
    """

    id: str
    name: str
    description: str
    owner: str
    mine: bool
    shared: bool
    may_write: bool
    documents: int
    working: int
    failed: int
    chunks: int
    created_at: datetime


@dataclass(frozen=True)
class MemberCard:
    """A person who may use somebody's collection; ``right`` is read or write."""

    name: str
    right: str


async def list_collections(services: Services, user: User) -> list[CollectionCard]:
    """All that the person may read, by name."""
    return await services.database.run(lambda session: _cards(session, user, readable_collections(session, user.id)))


async def find_collection(services: Services, user: User, name: str, *, write: bool = False) -> CollectionCard:
    """Raises NotFound, or NotAllowed where it may be read but not changed."""
    return await services.database.run(lambda session: _cards(session, user, [find_row(session, user.id, name, write=write)])[0])


async def new_collection(services: Services, user: User, name: str, *, shared: bool = False, description: str = "") -> CollectionCard:
    """An empty collection. Raises InvalidInput (the name), Conflict (the person has one of this name)."""

    def work(session: Session) -> CollectionCard:
        row = create_collection(session, user.id, name, shared=shared, description=description)
        record(session, "kb.collection.created", user_id=user.id, subject=row.name, collection=row.id)
        return _cards(session, user, [row])[0]

    return await services.database.run(work)


async def change_collection(
    services: Services,
    user: User,
    name: str,
    *,
    new_name: str | None = None,
    shared: bool | None = None,
    description: str | None = None,
) -> CollectionCard:
    """Rename it, share it with everybody or keep it private, describe it. Only its owner may."""

    def work(session: Session) -> CollectionCard:
        row = _own(session, user, name)
        if new_name is not None:
            wanted = clean_name(new_name)
            same = select(Collection).where(Collection.owner_id == user.id, Collection.name == wanted, Collection.id != row.id)
            if session.exec(same).first():
                raise Conflict(f"You already have a collection named '{wanted}'.")
            row.name = wanted
        row.shared = row.shared if shared is None else shared
        row.description = row.description if description is None else description
        session.add(row)
        record(session, "kb.collection.changed", user_id=user.id, subject=row.name, collection=row.id, shared=row.shared)
        return _cards(session, user, [row])[0]

    return await services.database.run(work)


async def list_members(services: Services, user: User, name: str) -> list[MemberCard]:
    """Who else may use it, by name."""

    def work(session: Session) -> list[MemberCard]:
        row = find_row(session, user.id, name)
        query = (
            select(User.name, CollectionMember.right)
            .join(CollectionMember, col(CollectionMember.user_id) == col(User.id))
            .where(CollectionMember.collection_id == row.id)
        )
        return [MemberCard(person, right) for person, right in session.exec(query.order_by(col(User.name)))]

    return await services.database.run(work)


async def set_member(services: Services, user: User, name: str, person: str, right: str | None) -> None:
    """Give somebody the right to ``read`` or ``write``, or take it (None). Only the owner may.

    Raises:
        NotFound: there is no such person.
    """

    def work(session: Session) -> None:
        row = _own(session, user, name)
        member = session.exec(select(User).where(User.name == person)).first()
        if member is None:
            raise NotFound(f"There is no user named {person}.")
        if member.id == row.owner_id:
            raise InvalidInput("This person owns the collection and already has all permissions.")
        set_right(session, row, member.id, right)
        record(session, "kb.member.set", user_id=user.id, subject=row.name, collection=row.id, person=member.id, right=right)

    await services.database.run(work)


async def delete_collection(services: Services, user: User, name: str) -> None:
    """Remove it with everything in it: index, stored files, texts, vectors, tables. Only its owner may."""

    def work(session: Session) -> Collection:
        row = _own(session, user, name)
        record(session, "kb.collection.deleted", user_id=user.id, subject=row.name, collection=row.id)
        return row

    row = await services.database.run(work)
    await services.index_service.delete(row.id)


async def rebuild_collection(services: Services, user: User, name: str) -> int:
    """Make its index anew; gives the number of chunks."""
    return await services.index_service.rebuild((await find_collection(services, user, name, write=True)).id)


async def storage_used(services: Services, user: User, name: str) -> Storage:
    """Bytes of files, texts and vectors."""
    return await services.index_service.storage((await find_collection(services, user, name)).id)


def _own(session: Session, user: User, name: str) -> Collection:
    row = find_row(session, user.id, name)
    if row.owner_id != user.id:
        raise NotAllowed(f"Only the owner of '{row.name}' can do that.")
    return row


def _cards(session: Session, user: User, rows: list[Collection]) -> list[CollectionCard]:
    ids = [row.id for row in rows]
    query = (
        select(KbDocument.collection_id, KbDocument.state, func.count(), func.coalesce(func.sum(KbDocument.chunk_count), 0))
        .where(col(KbDocument.collection_id).in_(ids))
        .group_by(col(KbDocument.collection_id), col(KbDocument.state))
    )
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    for identifier, state, documents, chunks in session.exec(query):
        counts.setdefault(identifier, {})[state] = (int(documents), int(chunks))
    people = select(User.id, User.name).where(col(User.id).in_([row.owner_id for row in rows]))
    owners = {identifier: name for identifier, name in session.exec(people)}
    cards = []
    for row in rows:
        by_state = counts.get(row.id, {})
        documents = sum(count for count, _ in by_state.values())
        failed = by_state.get("failed", (0, 0))[0]
        cards.append(
            CollectionCard(
                id=row.id,
                name=row.name,
                description=row.description,
                owner=owners.get(row.owner_id, ""),
                mine=row.owner_id == user.id,
                shared=row.shared,
                may_write=may_write(session, user.id, row),
                documents=documents,
                working=documents - failed - by_state.get("ready", (0, 0))[0],
                failed=failed,
                chunks=sum(chunks for _, chunks in by_state.values()),
                created_at=as_utc(row.created_at),
            )
        )
    return cards
