"""The stages of the ingestion pipeline. Documents go through the store and the index service, counts through the state.

What becomes of each document stands in its row, not in the state: a stage that is begun again asks there. Reading and
embedding are imported when a stage first runs, so that whoever only wants to know the plan stays light.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from infra.errors import ConfigurationError
from pipelines.jobs.definition import StageContext, State

if TYPE_CHECKING:
    from knowledge.library import Listed
    from pipelines.index_service import IndexService
    from pipelines.ingestion.job_files import JobFile, JobFiles

LISTED_AT_ONCE = 1000


async def list_documents(context: StageContext, state: State) -> State:
    """Mark every document of the job as queued, but those that are ready with the same content."""
    begun = time.perf_counter()
    index, collection, total = index_service_of(context), str(context.input["collection"]), 0
    async for items in _listed(context):
        await index.enlist(collection, items, context.job_id)
        total += len(items)
        context.progress(0.5, f"{total} documents listed")
    return {"documents": total, "seconds": {"list": round(time.perf_counter() - begun, 3)}}


async def ingest(context: StageContext, state: State) -> State:
    """Read, chunk, embed and index document after document; those that are done already are passed over."""
    from pipelines.ingestion.workers import IngestWorkers

    begun = time.perf_counter()
    workers = IngestWorkers(context, index_service_of(context), job_files_of(context), total=int(state["documents"]))
    await workers.run(await asyncio.to_thread(files_of, context))
    return {
        "models": [workers.model.as_dict()] if workers.model else [],
        "seconds": {**state["seconds"], "ingest": round(time.perf_counter() - begun, 3), **workers.seconds},
    }


async def extract(context: StageContext, state: State) -> State:
    """Requirements out of the policies among the documents; of a collection that keeps requirements, out of all of them."""
    from infra.database import Database
    from knowledge.library import StoredChunks
    from pipelines.requirement_rows import count_extracted, extract_new

    begun = time.perf_counter()
    collection = str(context.input["collection"])
    names = {item.name async for items in _listed(context) for item in items}

    def work() -> int:
        with closing(Database(context.settings.database_url)) as database:
            chunks = StoredChunks(database, context.store, collection, raw=context.settings.storage.buckets.kb_raw)
            extract_new(database, collection, chunks.document, added=names)
            with database.session() as session:
                return count_extracted(session, collection, names)

    count = await asyncio.to_thread(work)
    return {"requirements": count, "seconds": {**state["seconds"], "extract": round(time.perf_counter() - begun, 3)}}


async def notify(context: StageContext, state: State) -> State:
    """What became of each document, as the job's result; and a sentence for the owner."""
    index, collection, stored = index_service_of(context), str(context.input["collection"]), job_files_of(context)
    kept = await asyncio.to_thread(stored.result, context.job_id)  # begun again: the records may be gone by now
    if kept is None:
        documents: dict[str, dict[str, Any]] = {}
        async for items in _listed(context):
            documents |= {said["document"]: said for said in await index.states(collection, [item.name for item in items])}
        found = list(documents.values())
        info = await asyncio.to_thread(stored.put_result, context.job_id, found)
        await asyncio.to_thread(stored.drop_records, await asyncio.to_thread(files_of, context))
    else:
        info, found = kept
    failed = [said for said in found if said["state"] == "failed"]
    summary = {
        "name": context.title,
        "collection": collection,
        "documents": len(found),
        "ready": sum(said["state"] == "ready" for said in found),
        "failed": len(failed),
        "pages": sum(said["pages"] or 0 for said in found),
        "chunks": sum(said["chunks"] for said in found),
        "requirements": int(state.get("requirements", 0)),  # a job of an older version looked for none
        "headline": _sentence(found, failed, int(state.get("requirements", 0))),
    }
    return {"artifacts": {"documents.json": info}, "summary": summary, "notification": f"{context.title}: {summary['headline']}"}


def index_service_of(context: StageContext) -> IndexService:
    """Raises ConfigurationError where the pipeline runs without an index service."""
    if context.index_service is None:
        raise ConfigurationError("Documents cannot be added: no index service is running.")
    return context.index_service


def job_files_of(context: StageContext) -> JobFiles:
    from pipelines.ingestion.job_files import JobFiles

    return JobFiles(context.store, context.settings.storage.buckets.kb_raw, str(context.input["collection"]))


def files_of(context: StageContext) -> list[JobFile]:
    """The files of the job. Raises NotFound where the collection was deleted meanwhile."""
    return job_files_of(context).read(str(context.input["manifest"]))


async def _listed(context: StageContext) -> AsyncIterator[list[Listed]]:
    """Every document of the job, some at a time."""
    parts = _parts(context)
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part


def _parts(context: StageContext) -> Iterator[list[Listed]]:
    from pipelines.ingestion.job_files import records_of

    stored, part = job_files_of(context), []
    for file in files_of(context):
        items = (record.listed for record in records_of(stored.path(file, context.workdir), file.name)) if file.records else [file.listed]
        for item in items:
            part.append(item)
            if len(part) >= LISTED_AT_ONCE:
                yield part
                part = []
    if part:
        yield part


def _sentence(documents: list[dict[str, Any]], failed: list[dict[str, Any]], requirements: int) -> str:
    ready = len(documents) - len(failed)
    said = f"{ready} {'document is' if ready == 1 else 'documents are'} ready."
    if requirements:
        said += f" {requirements} {'requirement was' if requirements == 1 else 'requirements were'} found."
    if failed:
        first = failed[0]
        said += f" {len(failed)} failed, {first['document']}: {(first['error'] or {}).get('message', 'no reason given')}"
        said += " ..." if len(failed) > 1 else ""
    return said
