"""Versions of a document that were replaced: their files and texts stay, so that what was cited from them can still be opened.

They are not searched: chunks, vectors and index entries are the present version's alone. Of a line of a file of records no
version is kept: it has no file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlmodel import Session, col, delete, select

from infra.database.tables_knowledge import KbDocument, KbVersion
from infra.objectstore import ObjectStore
from knowledge.library.archives import MEDIA_TYPE, read_document_archive, text_archive
from knowledge.library.rows import in_parts
from knowledge.reading import Document

if TYPE_CHECKING:
    from knowledge.library.documents import Library

KEPT = 10
"""Replaced versions of a document; an older one goes."""
FOLDER = "versions"
"""Below a collection's id: the texts, one object a version."""


def keep_texts(library: Library, rows: Sequence[KbDocument], contents: Mapping[str, str]) -> dict[str, str]:
    """Store the texts of documents that are about to be replaced; gives their keys by document id.

    Args:
        rows: as they stand now; those without a file, or without a version, are passed over.
        contents: the new version's sha256 by name: the same content again is no new version.

    Raises:
        IntegrityError: what was stored of one is lost.
    """
    found: dict[str, str] = {}
    for row in rows:
        if row.text_key is None or row.key is None or row.sha256 == contents[row.name]:
            continue
        text = read_document_archive(library.store.get(library.raw, row.text_key), row.id, name=row.name, media_type=row.media_type)
        key = f"{library.collection.id}/{FOLDER}/{row.id}-{row.version}.zip"
        found[row.id] = library.store.put(library.raw, key, text_archive({row.id: text}), media_type=MEDIA_TYPE).key
    return found


def note_versions(session: Session, rows: Sequence[KbDocument], texts: Mapping[str, str]) -> list[KbVersion]:
    """Put down the documents as they stand, before they are filled anew; gives versions that are too many, and deletes those.

    Args:
        texts: of :func:`keep_texts`.
    """
    for row in rows:
        if row.id in texts:
            session.add(
                KbVersion(
                    collection_id=row.collection_id,
                    document_id=row.id,
                    version=row.version,
                    media_type=row.media_type,
                    size=row.size,
                    sha256=row.sha256,
                    key=str(row.key),
                    text_key=texts[row.id],
                    title=row.title,
                    pages=row.pages,
                )
            )
    session.flush()
    many = [version for row in rows if row.id in texts for version in versions_of(session, row.id)[KEPT:]]
    for version in many:
        session.delete(version)
    session.flush()
    return many


def versions_of(session: Session, document_id: str) -> list[KbVersion]:
    """A document's replaced versions, the last one first."""
    return list(session.exec(select(KbVersion).where(KbVersion.document_id == document_id).order_by(col(KbVersion.version).desc())))


def forget_versions(session: Session, document_ids: Sequence[str]) -> list[KbVersion]:
    """Delete all replaced versions of these documents; gives what they were."""
    found: list[KbVersion] = []
    for part in in_parts(document_ids):
        found += session.exec(select(KbVersion).where(col(KbVersion.document_id).in_(part)))
        session.execute(delete(KbVersion).where(col(KbVersion.document_id).in_(part)))
    return found


def version_text(store: ObjectStore, raw: str, version: KbVersion, name: str) -> Document:
    """The version as it was read. Raises IntegrityError, NotFound."""
    return read_document_archive(store.get(raw, version.text_key), version.document_id, name=name, media_type=version.media_type)
