"""Where each document of a batch is: queued, reading, embedding, ready, or failed and why.

A document that has a version already stays searchable by it, whatever becomes of the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col

from infra.database.tables import now
from infra.database.tables_knowledge import KbDocument
from knowledge.library.rows import in_parts, rows_named

LIVE = ("queued", "reading", "embedding")
ENDED = ("ready", "failed")


@dataclass(frozen=True)
class Listed:
    """A document that is to be added: its name, the stored file (None for a record), bytes, sha256 of the content."""

    name: str
    key: str | None
    size: int
    sha256: str


def enlist(session: Session, collection_id: str, items: Sequence[Listed], job_id: str = "") -> set[str]:
    """Mark documents as queued. Gives the names of those with which nothing is to be done: they are ready with this very
    content, or this job has found already that they cannot be read."""
    known = rows_named(session, collection_id, [item.name for item in items])
    finished: set[str] = set()
    for item in items:
        row = known.get(item.name)
        if row is not None and row.state == "ready" and row.sha256 == item.sha256:
            finished.add(item.name)
            continue
        if row is not None and row.state == "failed" and job_id and (row.error or {}).get("job") == job_id:
            finished.add(item.name)
            continue
        if row is None:
            row = known[item.name] = KbDocument(collection_id=collection_id, name=item.name)
        if row.text_key is None:  # no version yet: so that removing it finds the file
            row.key, row.size, row.sha256 = item.key, item.size, item.sha256
        row.state, row.progress, row.fraction, row.error, row.updated_at = "queued", "", 0.0, None, now()
        row.job_id = job_id or None
        session.add(row)
    return finished


def advance(session: Session, collection_id: str, names: Sequence[str], state: str, progress: str = "", fraction: float = 0.0) -> None:
    """Say where documents are. One that has ended is left alone: a late word does not undo that."""
    for part in in_parts(names):
        session.execute(
            update(KbDocument)
            .where(col(KbDocument.collection_id) == collection_id, col(KbDocument.name).in_(part), col(KbDocument.state).in_(LIVE))
            .values(state=state, progress=progress, fraction=fraction)
        )


def fail(session: Session, collection_id: str, errors: Mapping[str, Mapping[str, Any]]) -> None:
    """Mark documents as failed, each with its error (``WorkbenchError.as_dict``)."""
    for name, row in rows_named(session, collection_id, list(errors)).items():
        if row.state in LIVE:
            row.state, row.progress, row.error, row.updated_at = "failed", "", dict(errors[name]), now()
            session.add(row)
