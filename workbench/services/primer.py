"""The neuroradiology primer as a collection: made at the first start, updated when its text changes, left alone once deleted.

What was indexed is kept as an audit event, so that it does not depend on the collection's name: the owner may rename it, change who
sees it, remove single articles, or delete it, and the next start respects that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sqlmodel import Session, col, select

from infra.database.tables import AnalysisJob, AuditEvent, User
from infra.database.tables_knowledge import Collection, KbDocument
from infra.errors import Conflict
from infra.telemetry import logger
from knowledge.library import create_collection
from pipelines.imaging.primer_articles import COLLECTION, DESCRIPTION, article_digests, article_paths
from workbench.accounts.audit import record
from workbench.services import knowledge
from workbench.services.context import Services

log = logger(__name__)
INDEXED = "kb.primer.indexed"


async def index_primer(services: Services, owner: User) -> AnalysisJob | None:
    """Begin one job that adds the primer's new and changed articles, and remove articles that are no longer bundled.

    The collection is shared with everybody. None where there is nothing to add: all articles are indexed, the owner deleted the
    collection, or has one of this name that the primer did not make. Nothing waits for the job.

    Raises:
        StorageFull: no room for the files.
    """
    bundled = await asyncio.to_thread(article_digests)
    found = await services.database.run(lambda session: _collection(session, owner))
    if found is None:
        return None
    identifier, indexed, failed, present = found
    gone = [name for name in indexed if name not in bundled and name in present]
    if gone:
        await _connect(services)
        await services.index_service.remove(identifier, gone)
    wanted = [name for name, digest in bundled.items() if indexed.get(name) != digest or name in failed]
    job = None
    if wanted:
        paths = article_paths()
        job = (await knowledge.add_files(services, owner, identifier, [(name, paths[name]) for name in wanted])).job
    if wanted or gone:
        await services.database.run(lambda session: _note(session, owner, identifier, bundled))
    return job


def _collection(session: Session, owner: User) -> tuple[str, dict[str, str], set[str], set[str]] | None:
    """Its id, what was indexed (name to sha256), and the names of its failed and of all its documents. Made at the first call."""
    query = select(AuditEvent).where(AuditEvent.action == INDEXED).order_by(col(AuditEvent.id).desc())
    event = session.exec(query).first()
    if event is None:
        try:
            row = create_collection(session, owner.id, COLLECTION, shared=True, description=DESCRIPTION)
        except Conflict:
            log.info("the primer is not indexed: there is another collection of its name", collection=COLLECTION)
            return None
        _note(session, owner, row.id, {})
        return row.id, {}, set(), set()
    identifier = str(event.details["collection"])
    if session.get(Collection, identifier) is None:
        return None
    documents = session.exec(select(KbDocument.name, KbDocument.state).where(KbDocument.collection_id == identifier)).all()
    failed = {name for name, state in documents if state == "failed"}
    return identifier, dict(event.details["articles"]), failed, {name for name, _ in documents}


def _note(session: Session, owner: User, identifier: str, articles: Mapping[str, str]) -> None:
    record(session, INDEXED, user_id=owner.id, subject=COLLECTION, collection=identifier, articles=dict(articles))


async def _connect(services: Services) -> None:
    """Reach the index service, where this process has not done so yet."""
    if services.index_client is None and services.cluster is not None:
        services.connected = await services.cluster.connect()
        services.index_client = await asyncio.to_thread(services.cluster.index_service)
