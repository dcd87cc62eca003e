"""Documents that are ready, and those that have the content of another."""

from __future__ import annotations

from sqlmodel import col, select

from infra.database.tables_knowledge import KbDocument
from knowledge.library.documents import Library
from knowledge.library.states import Listed


def find_twin(library: Library, item: Listed) -> KbDocument | None:
    """A ready document of another name with the very content of ``item``."""
    with library.database.session() as session:
        query = select(KbDocument).where(
            KbDocument.collection_id == library.collection.id,
            KbDocument.sha256 == item.sha256,
            KbDocument.state == "ready",
            KbDocument.name != item.name,
            col(KbDocument.key).is_not(None),  # a record's name is part of its content
        )
        return session.exec(query.order_by(col(KbDocument.created_at))).first()


def ready_documents(library: Library) -> list[KbDocument]:
    """All documents that have a version to search, oldest first."""
    with library.database.session() as session:
        query = select(KbDocument).where(KbDocument.collection_id == library.collection.id, col(KbDocument.vectors_key).is_not(None))
        return list(session.exec(query.order_by(col(KbDocument.created_at), col(KbDocument.name))))
