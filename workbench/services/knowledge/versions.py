"""Versions of a document that were replaced: which there are, and their files and texts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from sqlmodel import Session

from infra.database import as_utc
from infra.database.tables import User
from infra.database.tables_knowledge import KbVersion
from infra.errors import NotFound
from infra.objectstore import ObjectInfo
from knowledge.library.versions import version_text, versions_of
from knowledge.reading import Document
from workbench.services.context import Services
from workbench.services.knowledge.documents import DocumentCard, find_document


@dataclass(frozen=True)
class VersionCard:
    """A replaced version.

    Attributes:
        version: from 1.
        size: bytes of its file.
        pages: None where its format has none.
    """

    version: int
    title: str | None
    media_type: str
    size: int
    sha256: str
    pages: int | None
    replaced_at: datetime


async def list_versions(services: Services, user: User, collection: str, document: str) -> list[VersionCard]:
    """Versions that were replaced, the last one first. Raises NotFound."""
    card = await find_document(services, user, collection, document)
    rows = await services.database.run(lambda session: versions_of(session, card.id))
    return [VersionCard(row.version, row.title, row.media_type, row.size, row.sha256, row.pages, as_utc(row.replaced_at)) for row in rows]


async def read_version(services: Services, user: User, collection: str, document: str, version: int) -> Document:
    """What was read from a replaced version. Raises NotFound."""
    card, row = await _find(services, user, collection, document, version)
    return await asyncio.to_thread(version_text, services.store, services.settings.storage.buckets.kb_raw, row, card.document)


async def open_version(services: Services, user: User, collection: str, document: str, version: int) -> tuple[BinaryIO, ObjectInfo, str]:
    """A replaced version's file, its digest checked, and its name; the caller closes the stream. Raises NotFound."""
    card, row = await _find(services, user, collection, document, version)
    bucket = services.settings.storage.buckets.kb_raw
    info = await asyncio.to_thread(services.store.info, bucket, row.key)
    return await asyncio.to_thread(services.store.open, bucket, row.key), info, card.document.rpartition("/")[2]


async def _find(services: Services, user: User, collection: str, document: str, version: int) -> tuple[DocumentCard, KbVersion]:
    card = await find_document(services, user, collection, document)

    def work(session: Session) -> KbVersion:
        found = next((row for row in versions_of(session, card.id) if row.version == version), None)
        if found is None:
            raise NotFound(f"Version {version} not found for '{card.document}'.")
        return found

    return card, await services.database.run(work)
