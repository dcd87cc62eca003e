"""Requirements: listed, written, imported, edited, merged, switched off; those of documents that were added without are extracted first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from infra.database import as_utc
from infra.database.tables import User
from infra.database.tables_compliance import RequirementRow
from infra.database.tables_knowledge import Collection
from infra.errors import InvalidInput, NotFound
from knowledge.library import StoredChunks, find_collection
from knowledge.requirements import MODALITIES, SEVERITIES, Requirement, read_requirements_file
from knowledge.requirements.files import Line
from pipelines import requirement_rows as rows
from workbench.accounts.audit import record
from workbench.services.context import Services

LONGEST = 4000


@dataclass(frozen=True)
class RequirementCard:
    """A requirement as a list shows it.

    Attributes:
        label: for people: the imported id; empty for others.
        document: the policy it stands in; empty where it was written by hand.
        origin: extracted, written, imported, merged.
        edited: a person changed it.
        merged_into: the requirement that took its place.
        since, until: the policy versions it came with, and ended with (None: it is current).
    """

    requirement: Requirement
    label: str
    collection_id: str
    collection: str
    document: str
    origin: str
    enabled: bool
    edited: bool
    merged_into: str | None
    since: int
    until: int | None
    created_at: datetime


async def list_requirements(
    services: Services,
    user: User,
    collection: str,
    *,
    topic: str = "",
    modality: str = "",
    severity: str = "",
    containing: str = "",
    switched_off: bool = True,
) -> list[RequirementCard]:
    """A collection's requirements, by policy and place. What is new in its ready documents, and was not
    extracted when they were added, is extracted first.

    Raises:
        NotFound: no collection that the person may read.
    """
    await extract_requirements(services, user, collection)

    def work(session: Session) -> list[RequirementCard]:
        place = find_collection(session, user.id, collection)
        return [_card(row, place) for row in rows.current_rows(session, place.id)]

    wanted = containing.lower().strip()
    return [
        card
        for card in await services.database.run(work)
        if (not topic or card.requirement.topic == topic)
        and (not modality or card.requirement.modality == modality)
        and (not severity or card.requirement.severity == severity)
        and (switched_off or card.enabled)
        and wanted in card.requirement.text.lower()
    ]


async def extract_requirements(services: Services, user: User, collection: str) -> int:
    """Extract from documents that are new or changed; gives how many requirements came. Raises NotFound."""
    identifier = await services.database.run(lambda session: find_collection(session, user.id, collection).id)
    chunks = StoredChunks(services.database, services.store, identifier, raw=services.settings.storage.buckets.kb_raw)
    return await asyncio.to_thread(rows.extract_new, services.database, identifier, chunks.document)


async def policy_version(services: Services, user: User, collection: str) -> int:
    """Raised by every change to the collection's requirements. Raises NotFound."""
    return await services.database.run(lambda session: rows.policy_version(session, find_collection(session, user.id, collection).id))


async def write_requirement(
    services: Services,
    user: User,
    collection: str,
    text: str,
    *,
    severity: str | None = None,
    modality: str | None = None,
    topic: str = "",
) -> RequirementCard:
    """Write a requirement by hand; what is left out is found from its words.

    Raises:
        NotFound: no such collection.
        NotAllowed: it may only be read.
        InvalidInput: the text is empty or too long, or there is no such severity or modality.
    """
    one = replace(
        Line(id="written", text=_text(text)).requirement(),
        topic=" ".join(topic.split())[:200],
        **{name: value for name, value in _choices({"severity": severity, "modality": modality}).items() if value},
    )

    def work(session: Session) -> RequirementCard:
        place = find_collection(session, user.id, collection, write=True)
        (row,) = rows.add_requirements(session, place.id, [replace(one, id="")], origin="written", user_id=user.id)
        record(session, "requirement.written", user_id=user.id, subject=row.requirement_id, collection=place.id)
        return _card(row, place)

    return await services.database.run(work)


async def import_requirements(services: Services, user: User, collection: str, path: Path) -> list[RequirementCard]:
    """Add a file of requirements: CSV ``id,text[,severity,topic,modality]``, or one a line. An id that was imported before is
    replaced. Raises NotFound, NotAllowed, InvalidInput, TooLarge."""
    policy = await asyncio.to_thread(read_requirements_file, path)

    def work(session: Session) -> list[RequirementCard]:
        place = find_collection(session, user.id, collection, write=True)
        found = rows.add_requirements(session, place.id, policy.requirements, origin="imported", user_id=user.id)
        record(session, "requirements.imported", user_id=user.id, subject=place.name, collection=place.id, count=len(found))
        return [_card(row, place) for row in found]

    return await services.database.run(work)


async def edit_requirement(services: Services, user: User, requirement_id: str, **changes: Any) -> RequirementCard:
    """A new version with other parts: text, modality, severity, topic, subject, action, condition, exception.

    Raises:
        NotFound: no such requirement for this person.
        NotAllowed: its collection may only be read.
        InvalidInput: a part or value that is none.
    """
    if "text" in changes:
        changes["text"] = _text(changes["text"])
    return await _revised(services, user, requirement_id, _choices(changes), "requirement.edited")


async def switch_requirement(services: Services, user: User, requirement_id: str, enabled: bool) -> RequirementCard:
    """Let a requirement take part in analyses, or not. Raises NotFound, NotAllowed."""
    return await _revised(services, user, requirement_id, {"enabled": enabled}, "requirement.switched")


async def merge_requirements(services: Services, user: User, requirement_ids: Sequence[str], text: str | None = None) -> RequirementCard:
    """One requirement in place of several, with the first one's words unless others are given, and the strictest severity.

    The merged ones are switched off, and say what took their place. Raises NotFound, NotAllowed, InvalidInput.
    """

    def work(session: Session) -> RequirementCard:
        found = [_mine(session, user, one) for one in dict.fromkeys(requirement_ids)]
        if not found:
            raise InvalidInput("Choose two or more requirements to merge.")
        words = _text(text) if text else found[0][0].text
        row = rows.merge(session, [row for row, _ in found], words, user_id=user.id)
        record(session, "requirements.merged", user_id=user.id, subject=row.requirement_id, merged=list(requirement_ids))
        return _card(row, found[0][1])

    return await services.database.run(work)


async def requirement_history(services: Services, user: User, requirement_id: str) -> list[RequirementCard]:
    """All versions, newest first. Raises NotFound."""

    def work(session: Session) -> list[RequirementCard]:
        found = rows.history(session, requirement_id)
        place = _readable(session, user, found[0].collection_id if found else "")
        return [_card(row, place) for row in found]

    return await services.database.run(work)


async def _revised(services: Services, user: User, requirement_id: str, changes: dict[str, Any], action: str) -> RequirementCard:
    def work(session: Session) -> RequirementCard:
        row, place = _mine(session, user, requirement_id)
        fresh = rows.revise(session, row, changes, user_id=user.id)
        record(session, action, user_id=user.id, subject=requirement_id, collection=place.id, parts=sorted(changes))
        return _card(fresh, place)

    return await services.database.run(work)


def _mine(session: Session, user: User, requirement_id: str) -> tuple[RequirementRow, Collection]:
    row = rows.find_current(session, requirement_id)
    _readable(session, user, row.collection_id)
    return row, find_collection(session, user.id, row.collection_id, write=True)


def _readable(session: Session, user: User, collection_id: str) -> Collection:
    place = session.exec(select(Collection).where(col(Collection.id) == collection_id)).first()
    if place is None:
        raise NotFound("Requirement not found.")
    return find_collection(session, user.id, place.id)


def _text(text: str) -> str:
    found = " ".join(str(text).split())
    if not 3 <= len(found) <= LONGEST:
        raise InvalidInput(f"A requirement has between 3 and {LONGEST:,} characters.")
    return found


def _choices(changes: dict[str, Any]) -> dict[str, Any]:
    for name, allowed in (("severity", SEVERITIES), ("modality", MODALITIES)):
        if changes.get(name) is not None and changes[name] not in allowed:
            raise InvalidInput(f"Unknown {name} '{changes[name]}'. Available: {', '.join(allowed)}.")
    return changes


def _card(row: RequirementRow, place: Collection) -> RequirementCard:
    return RequirementCard(
        requirement=rows.requirement_of(row),
        label=row.label,
        collection_id=place.id,
        collection=place.name,
        document=str((row.source or {}).get("document", "")),
        origin=row.origin,
        enabled=row.enabled,
        edited=row.edited,
        merged_into=row.merged_into,
        since=row.since,
        until=row.until,
        created_at=as_utc(row.created_at),
    )
