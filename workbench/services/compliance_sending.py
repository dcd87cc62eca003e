"""Sending a document to be checked: which policies there are to choose from, and what is refused before anything runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, func, select

from infra.database.tables import AnalysisJob, User
from infra.database.tables_compliance import RequirementRow
from infra.errors import InvalidInput
from knowledge.reading.kinds import sniff
from knowledge.requirements import read_requirements_file
from workbench.services import compliance, knowledge
from workbench.services.context import Services
from workbench.services.uploads import save_upload


@dataclass(frozen=True)
class PolicyChoice:
    """A collection whose requirements a document can be checked against.

    Attributes:
        requirements: those that are switched on; 0 also where the collection's documents have not been read for them yet.
    """

    collection_id: str
    name: str
    documents: int
    requirements: int


async def policy_choices(services: Services, user: User) -> list[PolicyChoice]:
    """Collections with documents or requirements that the person may read, by name."""

    def count(session: Session) -> dict[str, int]:
        query = select(RequirementRow.collection_id, func.count()).where(col(RequirementRow.until).is_(None), col(RequirementRow.enabled))
        return {identifier: int(number) for identifier, number in session.exec(query.group_by(col(RequirementRow.collection_id)))}

    counts = await services.database.run(count)
    cards = await knowledge.list_collections(services, user)
    found = [PolicyChoice(card.id, card.name, card.documents, counts.get(card.id, 0)) for card in cards]
    return [one for one in found if one.documents or one.requirements]


async def send_document(
    services: Services, user: User, path: Path, *, policies: Sequence[str] = (), requirements: Path | None = None
) -> AnalysisJob:
    """Store a document and begin its analysis; both files are removed from where they were dropped.

    Args:
        policies: ids or names of collections; not looked at where ``requirements`` is given.
        requirements: a file of requirements that takes their place.

    Raises:
        UnsupportedFormat, CorruptFile, PasswordProtected: it is nothing that can be read; found by its content.
        InvalidInput: no policy was chosen, or the file of requirements is wrong; the message names the line.
        TooLarge, StorageFull: as :func:`workbench.services.uploads.save_upload`.
    """
    try:
        await asyncio.to_thread(sniff, path)
        if requirements is None and not policies:
            raise InvalidInput("Choose at least one collection of policies, or drop a file of requirements.")
        own = await asyncio.to_thread(read_requirements_file, requirements) if requirements is not None else None
        upload = await save_upload(services, user, path.name, path)
    finally:
        for given in (path, requirements):
            if given is not None:
                await asyncio.to_thread(given.unlink, missing_ok=True)  # the store has it now
    if own is not None:
        return await compliance.start_compliance(services, user, upload.id, requirements=own)
    return await compliance.start_compliance(services, user, upload.id, policies=list(policies))
