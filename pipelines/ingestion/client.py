"""Collections from a notebook, a script or the command line: the running workbench's, or those of the data folder.

``with open_knowledge() as knowledge: knowledge.add(["reports"], "filings"); knowledge.search("revenue 2022", "filings")``
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, func, select

from infra.database import Database, migrate
from infra.database.people import owner_of
from infra.database.tables import new_id
from infra.database.tables_knowledge import Collection, KbDocument
from infra.datafolder import DataFolder
from infra.errors import Unavailable
from infra.objectstore import ObjectStore, make_object_store
from infra.settings import Settings, load_settings
from knowledge.library import collection_to_fill, find_collection, may_write, readable_collections, state_of
from knowledge.search import Passage
from pipelines.index_service import IndexService
from pipelines.ingestion.job_files import JobFiles
from pipelines.ingestion.pipeline import PIPELINE
from pipelines.ingestion.sources import find_files
from pipelines.jobs.definition import Progress
from pipelines.jobs.inline import run_inline
from serving.loop import LoopThread
from serving.roles import Roles

Added = dict[str, Any]
"""``{"collection", "documents": [{"document", "state", "pages", "chunks", "error"}]}``."""


class KnowledgeClient:
    """The collections of one person. A context manager; every method blocks. Made by :func:`open_knowledge`.

    Collections go by name or id, documents by name or id.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ObjectStore,
        roles: Roles,
        index: IndexService,
        *,
        end: Callable[[], None] | None = None,
    ) -> None:
        self.settings, self.database, self.store, self.roles, self.index = settings, database, store, roles, index
        self._loop, self._end = LoopThread("knowledge"), end
        with database.session() as session:
            self.user_id = owner_of(session)[0].id

    def add(self, paths: Sequence[Path | str] | Path | str, collection: str, *, progress: Progress | None = None) -> Added:
        """Add files, folders, and ``.jsonl`` files of records; the collection is made where there is none.

        What is there already with the same content is passed over, so a call that was cut off is simply made again. A file
        that cannot be read is ``failed`` with its reason and stops nothing.

        Raises:
            NotFound: a path is not there.
            NotAllowed: the collection may only be read.
            Unavailable: another process is changing the collection.
        """
        named = [paths] if isinstance(paths, str | Path) else list(paths)
        files = find_files(named)
        with self.database.session() as session:
            target = collection_to_fill(session, self.user_id, collection)
        stored = JobFiles(self.store, self.settings.storage.buckets.kb_raw, target.id)
        manifest = stored.write([stored.keep(file.name, file.path) for file in files])
        title = files[0].name if len(files) == 1 else f"{len(files)} files"
        state = self._loop.run(
            run_inline(
                PIPELINE,
                input={"collection": target.id, "manifest": manifest, "name": title},
                settings=self.settings,
                store=self.store,
                roles=self.roles,
                index_service=self.index,
                owner_id=self.user_id,
                title=title,
                job_id=new_id(),
                progress=progress,
            )
        )
        info = state["artifacts"]["documents.json"]
        return {"collection": target.name, "documents": json.loads(self.store.get(info["bucket"], info["key"]))}

    def search(
        self, query: str, collection: str, k: int = 10, filters: Mapping[str, Any] | None = None, config: str = "fast"
    ) -> list[Passage]:
        """The ``k`` best passages, best first.

        Args:
            filters: facts to allowed values, for example ``{"year": [2018, 2019], "document": "report.pdf"}``.
            config: ``fast`` or ``accurate``.

        Raises:
            NotFound: there is no such collection.
            InvalidInput: the query is empty, or there is no such filter or configuration.
        """
        return self.search_many([query], collection, k, filters, config)[0]

    def search_many(
        self, queries: Sequence[str], collection: str, k: int = 10, filters: Mapping[str, Any] | None = None, config: str = "fast"
    ) -> list[list[Passage]]:
        """The same for many queries, embedded together."""
        return self._loop.run(self.index.search(self._find(collection).id, list(queries), k, filters, config))

    def collections(self) -> list[dict[str, Any]]:
        """``[{"id", "name", "shared", "documents", "chunks"}]``, by name."""

        def work(session: Session) -> list[dict[str, Any]]:
            found = []
            counts = dict(_counted(session))
            for one in readable_collections(session, self.user_id):
                documents, chunks = counts.get(one.id, (0, 0))
                found.append({"id": one.id, "name": one.name, "shared": one.shared, "documents": documents, "chunks": chunks})
            return found

        return self._in_session(work)

    def documents(self, collection: str) -> list[dict[str, Any]]:
        """``[{"id", "document", "state", "progress", "pages", "chunks", "error", "title", "size", "version"}]``, by name."""
        identifier = self._find(collection).id

        def work(session: Session) -> list[dict[str, Any]]:
            rows = session.exec(select(KbDocument).where(KbDocument.collection_id == identifier).order_by(col(KbDocument.name)))
            return [
                {"id": row.id, **state_of(row), "progress": row.progress, "title": row.title, "size": row.size, "version": row.version}
                for row in rows
            ]

        return self._in_session(work)

    def remove(self, document: str, collection: str) -> None:
        """Take a document out. Raises NotFound."""
        self._loop.run(self.index.remove(self._find(collection, write=True).id, [document]))

    def delete(self, collection: str) -> None:
        """Delete a collection with everything in it. Raises NotFound."""
        self._loop.run(self.index.delete(self._find(collection, write=True).id))

    def rebuild(self, collection: str) -> int:
        """Make the index anew from the tables and the stored vectors; gives the number of chunks."""
        return self._loop.run(self.index.rebuild(self._find(collection, write=True).id))

    def writable(self) -> list[Collection]:
        """The collections that this person may change."""
        return self._in_session(lambda s: [c for c in readable_collections(s, self.user_id) if may_write(s, self.user_id, c)])

    def close(self) -> None:
        """Let go of indexes, models and tables."""
        close = getattr(self.index, "close", None)
        if close is not None:
            self._loop.run(close())
        self._loop.close()
        self.database.close()
        if self._end is not None:
            self._end()

    def __enter__(self) -> KnowledgeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(self, name: str, *, write: bool = False) -> Collection:
        return self._in_session(lambda session: find_collection(session, self.user_id, name, write=write))

    def _in_session(self, work: Callable[[Session], Any]) -> Any:
        with self.database.session() as session:
            return work(session)


def open_knowledge(settings: Settings | None = None, *, roles: Roles | None = None) -> KnowledgeClient:
    """The collections of the data folder: through the workbench that runs on it, else with models in this process.

    Args:
        roles: models to use in place of the embedded ones.
    """
    settings = settings or load_settings()
    running = DataFolder(settings.home).running()
    database = Database(settings.database_url)
    store = make_object_store(settings)
    if roles is None and running is not None and running.ray_address:
        with contextlib.suppress(Unavailable):
            return _over_ray(settings, running.ray_address, database, store)
    from pipelines.index_service.local import LocalIndexService

    migrate(database)
    if roles is None:
        from serving.local import local_roles

        roles = local_roles(settings)
    return KnowledgeClient(settings, database, store, roles, LocalIndexService(settings, database, store, roles))


def add_documents(
    paths: Sequence[Path | str] | Path | str, collection: str, *, settings: Settings | None = None, progress: Progress | None = None
) -> Added:
    """:meth:`KnowledgeClient.add`, for one call."""
    with open_knowledge(settings) as knowledge:
        return knowledge.add(paths, collection, progress=progress)


def search(
    query: str,
    collection: str,
    k: int = 10,
    filters: Mapping[str, Any] | None = None,
    config: str = "fast",
    *,
    settings: Settings | None = None,
) -> list[Passage]:
    """:meth:`KnowledgeClient.search`, for one call; for several, keep the knowledge open: its models are loaded once."""
    with open_knowledge(settings) as knowledge:
        return knowledge.search(query, collection, k, filters, config)


def _over_ray(settings: Settings, address: str, database: Database, store: ObjectStore) -> KnowledgeClient:
    from pipelines.index_service.remote import INDEX, remote_index_service
    from serving.cluster.head import join
    from serving.cluster.remote import APP, serve_api, serve_roles

    join(address, settings)
    index = remote_index_service(serve_api().get_deployment_handle(INDEX, app_name=APP))

    def leave() -> None:
        import ray

        ray.shutdown()

    return KnowledgeClient(settings, database, store, serve_roles(), index, end=leave)


def _counted(session: Session) -> list[tuple[str, tuple[int, int]]]:
    query = select(KbDocument.collection_id, func.count(), func.coalesce(func.sum(KbDocument.chunk_count), 0)).group_by(
        col(KbDocument.collection_id)
    )
    return [(identifier, (int(documents), int(chunks))) for identifier, documents, chunks in session.exec(query)]
