"""Collections, and who may read and write them."""

from __future__ import annotations

from sqlmodel import Session, col, or_, select

from infra.database.identifiers import find_by_id_or_name, looks_like_id, refuse_id_as_name
from infra.database.tables_knowledge import Collection, CollectionMember
from infra.errors import Conflict, InvalidInput, NotAllowed, NotFound

NAME_LENGTH = 100


def create_collection(session: Session, owner_id: str, name: str, *, shared: bool = False, description: str = "") -> Collection:
    """A new, empty collection of ``owner_id``.

    Raises:
        InvalidInput: no name, or too long a one.
        Conflict: the person has one of this name.
    """
    name = clean_name(name)
    if session.exec(select(Collection).where(Collection.owner_id == owner_id, Collection.name == name)).first():
        raise Conflict(f"You already have a collection named '{name}'.")
    collection = Collection(owner_id=owner_id, name=name, shared=shared, description=description)
    session.add(collection)
    session.flush()
    return collection


def clean_name(name: str) -> str:
    """A collection's name as it is kept. Raises InvalidInput."""
    name = " ".join(name.split())
    if not name or len(name) > NAME_LENGTH or "/" in name or not name.isprintable():
        raise InvalidInput(f"A collection needs a name of at most {NAME_LENGTH} characters, without '/'.")
    refuse_id_as_name(name, "a collection")
    return name


def readable_collections(session: Session, user_id: str) -> list[Collection]:
    """All that a person may read: their own, shared ones, and those they are a member of."""
    member = select(CollectionMember.collection_id).where(CollectionMember.user_id == user_id)
    query = select(Collection).where(or_(Collection.owner_id == user_id, col(Collection.shared), col(Collection.id).in_(member)))
    return list(session.exec(query.order_by(col(Collection.name), col(Collection.created_at))))


def find_collection(session: Session, user_id: str, name: str, *, write: bool = False) -> Collection:
    """The collection that ``name`` means for a person: by id, else by name (their own before shared ones).

    The rule is :mod:`infra.database.identifiers`: a text in the form of an id is an id only.

    Raises:
        NotFound: none that they may read; whether others exist is not told.
        NotAllowed: they may read it, but not change it.
    """
    candidates = find_by_id_or_name(name, readable_collections(session, user_id), lambda c: (c.id, c.name))
    if not candidates and looks_like_id(name):
        raise NotFound(f"No collection has the ID '{name}'.")
    if not candidates:
        raise NotFound(f"Collection '{name}' not found. Add documents to create it.")
    collection = min(candidates, key=lambda c: c.owner_id != user_id)
    if write and not may_write(session, user_id, collection):
        raise NotAllowed(f"You have read-only access to the collection '{collection.name}'.")
    return collection


def collection_to_fill(session: Session, user_id: str, name: str) -> Collection:
    """The collection ``name`` of a person who adds to it; made (private, theirs) where there is none.

    Raises:
        NotFound: it has the form of an id, and they may read no collection with that id.
        NotAllowed: there is one that they may only read.
        InvalidInput: the name cannot be one.
    """
    try:
        return find_collection(session, user_id, name, write=True)
    except NotFound:
        if looks_like_id(name):
            raise
        return create_collection(session, user_id, name)


def may_write(session: Session, user_id: str, collection: Collection) -> bool:
    """Whether a person may add to and remove from a collection."""
    if collection.owner_id == user_id:
        return True
    member = session.get(CollectionMember, (collection.id, user_id))
    return member is not None and member.right == "write"


def set_member(session: Session, collection: Collection, user_id: str, right: str | None) -> None:
    """Give a person the right to read or write, or take it (None)."""
    if right not in ("read", "write", None):
        raise InvalidInput("A permission is 'read' or 'write'.")
    member = session.get(CollectionMember, (collection.id, user_id))
    if right is None:
        if member:
            session.delete(member)
    elif member:
        member.right = right
        session.add(member)
    else:
        session.add(CollectionMember(collection_id=collection.id, user_id=user_id, right=right))
