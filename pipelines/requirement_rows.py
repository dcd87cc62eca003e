"""A collection's requirements in the tables: extracted from its policies, edited, merged, switched off; every version kept.

Who may read or change a collection is decided before these are called. Each change raises the policy version once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, func, select

from infra.database import Database
from infra.database.tables import new_id, now
from infra.database.tables_compliance import PolicyState, RequirementRow
from infra.database.tables_knowledge import Collection, KbDocument
from infra.errors import IntegrityError, InvalidInput, NotFound
from infra.telemetry import logger
from knowledge.reading import Document
from knowledge.requirements.contract import Policy, Requirement, Source
from knowledge.requirements.extraction import VERSION, extract_requirements
from knowledge.requirements.policies import POLICY_KINDS, is_policy

log = logger(__name__)

EDITABLE = ("text", "modality", "severity", "topic", "subject", "action", "condition", "exception")


def extract_new(database: Database, collection_id: str, read: Callable[[str], Document], *, added: Container[str] | None = None) -> int:
    """Extract requirements from the ready documents that are new or have a new version; gives how many requirements came.

    What a person edited stays, at its new place. Requirements of documents that are gone, or that no longer say so, end with
    this version. Safe to repeat, and beside another one.

    Args:
        read: the text of a document of the collection, by its name.
        added: names of documents that were just added: only these are looked at, and only those that are policies (all of
            them where the collection keeps requirements already). By default every document of the collection.

    Raises:
        NotFound: there is no such collection (any more).
    """
    with database.session() as session:
        state = _state(session, collection_id)
        documents = list(session.exec(select(KbDocument).where(KbDocument.collection_id == collection_id, KbDocument.state == "ready")))
        stamps = {document.id: f"{document.version}:{VERSION}" for document in documents}
        gone = set(state.extracted) - set(stamps)
        todo = [document for document in documents if state.extracted.get(document.id) != stamps[document.id]]
        if added is not None:
            todo = [one for one in todo if one.name in added and (state.version or one.kind in POLICY_KINDS)]
    found: dict[str, list[Requirement]] = {}
    for document in todo:
        try:
            text = read(document.name)
        except (NotFound, IntegrityError) as error:  # it went meanwhile, or must be added again: no reason to stop the others
            log.warning("a document has no requirements for now", document=document.name, error=error.message)
            continue
        requirements = extract_requirements(text, collection_id=collection_id)
        if added is None or state.version or is_policy(document.kind, text, requirements):
            found[document.id] = requirements
    if not found and not gone:
        return 0
    with database.session() as session:
        state = _locked(session, collection_id)
        number = state.version + 1
        came = changed = 0
        for document_id in [*found, *gone]:
            wanted = {_own_id(collection_id, one.id): one for one in found.get(document_id, [])}
            for row in _current(session, collection_id, document_id):
                kept = wanted.pop(row.requirement_id, None)
                if kept is None and not row.edited:
                    row.until, changed = number, changed + 1
                    session.add(row)
                elif kept is not None and (fresh := _anew(row, kept, number)) is not None:
                    row.until, changed = number, changed + 1
                    session.add_all([row, fresh])
            for identifier, one in wanted.items():
                session.add(_row(one, collection_id, identifier, session, since=number, document_id=document_id, origin="extracted"))
                came, changed = came + 1, changed + 1
        state.extracted = {key: stamp for key, stamp in {**state.extracted, **{i: stamps[i] for i in found}}.items() if key not in gone}
        if changed:
            state.version, state.updated_at = number, now()
        session.add(state)
        return came


def count_extracted(session: Session, collection_id: str, names: Container[str]) -> int:
    """How many current requirements stand in these documents of the collection."""
    query = (
        select(KbDocument.name, func.count())
        .join(RequirementRow, col(RequirementRow.document_id) == col(KbDocument.id))
        .where(KbDocument.collection_id == collection_id, col(RequirementRow.until).is_(None), RequirementRow.origin == "extracted")
        .group_by(col(KbDocument.name))
    )
    return sum(int(count) for name, count in session.exec(query) if name in names)


def add_requirements(
    session: Session, collection_id: str, requirements: Sequence[Requirement], *, origin: str, user_id: str
) -> list[RequirementRow]:
    """Written by hand or imported; an imported one replaces the current one of the same label.

    Raises:
        InvalidInput: none was given.
    """
    if not requirements:
        raise InvalidInput("No requirements to add.")
    number = _raise_version(session, collection_id)
    known = {row.label: row for row in _current(session, collection_id) if row.origin == origin and row.label}
    rows = []
    for one in requirements:
        if (before := known.get(one.id)) is not None:
            before.until = number
            session.add(before)
        identifier = before.requirement_id if before else new_id()[:16]
        row = _row(one, collection_id, identifier, session, since=number, origin=origin, label=one.id, changed_by=user_id)
        session.add(row)
        rows.append(row)
    session.flush()
    return rows


def revise(session: Session, row: RequirementRow, changes: Mapping[str, Any], *, user_id: str) -> RequirementRow:
    """A new version of a requirement; the old one stays as it was.

    Raises:
        InvalidInput: a part that cannot be edited.
    """
    if unknown := set(changes) - {*EDITABLE, "enabled", "merged_into"}:
        raise InvalidInput(f"The field '{min(unknown)}' of a requirement cannot be edited. Editable fields: {', '.join(EDITABLE)}.")
    number = _raise_version(session, row.collection_id)
    row.until = number
    session.add(row)
    fields = row.model_dump(exclude={"id", "created_at"})
    fields |= {"version": row.version + 1, "since": number, "until": None, "edited": True, "changed_by": user_id}
    fresh = RequirementRow(**(fields | dict(changes)))
    session.add(fresh)
    session.flush()
    return fresh


def merge(session: Session, rows: Sequence[RequirementRow], text: str, *, user_id: str) -> RequirementRow:
    """One requirement in place of several of one collection: the first one's parts, the strictest severity.

    Raises:
        InvalidInput: fewer than two, or of several collections.
    """
    if len({row.requirement_id for row in rows}) < 2:
        raise InvalidInput("Choose two or more requirements to merge.")
    if len({row.collection_id for row in rows}) > 1:
        raise InvalidInput("Only requirements of one collection can be merged.")
    from knowledge.requirements.contract import SEVERITIES

    first, number = rows[0], _raise_version(session, rows[0].collection_id)
    severity = max((row.severity for row in rows), key=lambda one: SEVERITIES.index(one))  # type: ignore[arg-type]
    fields = first.model_dump(exclude={"id", "created_at", "requirement_id", "version", "until"})
    merged = RequirementRow(
        **(fields | {"text": text, "severity": severity, "origin": "merged", "edited": True, "since": number, "changed_by": user_id}),
        requirement_id=new_id()[:16],
    )
    session.add(merged)
    for row in rows:
        row.until = number
        session.add(row)
        fields = row.model_dump(exclude={"id", "created_at"}) | {"version": row.version + 1, "since": number, "until": None}
        session.add(
            RequirementRow(**(fields | {"enabled": False, "edited": True, "merged_into": merged.requirement_id, "changed_by": user_id}))
        )
    session.flush()
    return merged


def current_rows(session: Session, collection_id: str) -> list[RequirementRow]:
    """The requirements as they are now, switched off ones too: by document and place, then those written by hand."""
    rows = _current(session, collection_id)
    return sorted(
        rows, key=lambda row: (row.source is None, (row.source or {}).get("document", ""), (row.source or {}).get("start", 0), row.label)
    )


def find_current(session: Session, requirement_id: str) -> RequirementRow:
    """Raises NotFound."""
    query = select(RequirementRow).where(RequirementRow.requirement_id == requirement_id, col(RequirementRow.until).is_(None))
    if (row := session.exec(query).first()) is None:
        raise NotFound("Requirement not found.")
    return row


def history(session: Session, requirement_id: str) -> list[RequirementRow]:
    """All versions, newest first."""
    query = select(RequirementRow).where(RequirementRow.requirement_id == requirement_id)
    return list(session.exec(query.order_by(col(RequirementRow.version).desc())))


def policy_of(session: Session, collection: Collection) -> Policy:
    """What an analysis of now is made against: the requirements that are switched on.

    Raises:
        InvalidInput: there is none.
    """
    rows = [row for row in current_rows(session, collection.id) if row.enabled]
    if not rows:
        raise InvalidInput(f"The collection '{collection.name}' has no requirements. Add a policy to it, or write requirements by hand.")
    version = _state(session, collection.id).version
    return Policy(collection.name, collection.id, version, tuple(requirement_of(row) for row in rows))


def policy_version(session: Session, collection_id: str) -> int:
    """0 while nothing was extracted or written."""
    return _state(session, collection_id).version


def requirement_of(row: RequirementRow) -> Requirement:
    """The typed requirement of a row."""
    parts = {name: getattr(row, name) for name in EDITABLE}
    return Requirement(id=row.requirement_id, source=Source.from_dict(row.source) if row.source else None, version=row.version, **parts)


def _state(session: Session, collection_id: str) -> PolicyState:
    return session.get(PolicyState, collection_id) or PolicyState(collection_id=collection_id)


def _locked(session: Session, collection_id: str) -> PolicyState:
    """The state, locked until the transaction ends: two extractions at once would each add what the other does."""
    if session.get(Collection, collection_id) is None:
        raise NotFound("Collection not found.")
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    fresh = {"collection_id": collection_id, "version": 0, "extracted": {}, "updated_at": now()}
    session.execute(insert(PolicyState).values(fresh).on_conflict_do_nothing())
    return session.get_one(PolicyState, collection_id, with_for_update=True, populate_existing=True)


def _anew(row: RequirementRow, one: Requirement, number: int) -> RequirementRow | None:
    """A requirement as its policy says it now, less what a person edited; None where nothing is different."""
    source = one.source.as_dict() if one.source else None
    parts = {name: getattr(row if row.edited else one, name) for name in EDITABLE}
    if row.source == source and all(getattr(row, name) == value for name, value in parts.items()):
        return None
    fields = row.model_dump(exclude={"id", "created_at"}) | {"version": row.version + 1, "since": number, "source": source}
    return RequirementRow(**(fields | parts))


def _raise_version(session: Session, collection_id: str) -> int:
    state = _state(session, collection_id)
    state.version, state.updated_at = state.version + 1, now()
    session.add(state)
    return state.version


def _current(session: Session, collection_id: str, document_id: str | None = None) -> list[RequirementRow]:
    query = select(RequirementRow).where(RequirementRow.collection_id == collection_id, col(RequirementRow.until).is_(None))
    return list(session.exec(query.where(RequirementRow.document_id == document_id) if document_id else query))


def _own_id(collection_id: str, extracted: str) -> str:
    """The same policy may stand in two collections, and be edited in one."""
    return hashlib.sha256(f"{collection_id}\n{extracted}".encode()).hexdigest()[:16]


def _row(
    one: Requirement,
    collection_id: str,
    identifier: str,
    session: Session,
    *,
    since: int,
    origin: str,
    document_id: str | None = None,
    label: str = "",
    changed_by: str | None = None,
) -> RequirementRow:
    last = session.exec(select(func.max(RequirementRow.version)).where(RequirementRow.requirement_id == identifier)).one()
    return RequirementRow(
        requirement_id=identifier,
        version=(last or 0) + 1,
        collection_id=collection_id,
        document_id=document_id,
        label=label,
        source=one.source.as_dict() if one.source else None,
        origin=origin,
        since=since,
        changed_by=changed_by,
        **{name: getattr(one, name) for name in EDITABLE},
    )
