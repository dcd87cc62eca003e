"""Adding documents: files that were uploaded become one durable job."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session

from infra.database.tables import AnalysisJob, Upload, User
from infra.database.tables_knowledge import Collection
from infra.errors import Conflict, InvalidInput, NotFound, TooLarge
from knowledge.library import collection_to_fill, find_collection
from pipelines.ingestion.job_files import JobFile, JobFiles, clean_document_name
from pipelines.jobs import LIVE
from workbench.accounts.audit import record
from workbench.services.context import Services
from workbench.services.progress import JobProgress, job_progress
from workbench.services.results import find_job, find_result, open_artifact
from workbench.services.uploads import find_upload, forget_uploads, save_upload

PIPELINE = "ingestion"
MOST_FILES = 20_000
LOOKED_AT = 100  # latest jobs of a person


@dataclass(frozen=True)
class Sent:
    """What became of files that a person sent: the job that adds them (None where none was taken), and why others were not."""

    job: AnalysisJob | None
    refused: dict[str, str]


async def add_files(services: Services, user: User, collection: str, files: Sequence[tuple[str, Path]]) -> Sent:
    """Store files and begin one job that adds them; one that is refused (empty, too large) stops nothing.

    Args:
        files: each document's name, and where its file is. Of two with one name the later one counts.

    Raises:
        NotFound: there is no such collection.
        NotAllowed: the collection may only be read.
        StorageFull: no room.
    """
    identifier = await services.database.run(lambda session: find_collection(session, user.id, collection, write=True).id)
    taken: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, path in files:
        try:
            taken[clean_document_name(name)] = (await save_upload(services, user, name, path)).id
        except (InvalidInput, TooLarge) as error:
            refused[name] = error.message
    if not taken:
        return Sent(None, refused)
    uploads = [(upload, name) for name, upload in taken.items()]
    return Sent(await add_uploads(services, user, identifier, uploads), refused)


async def list_adding(services: Services, user: User, collection_id: str) -> list[JobProgress]:
    """The person's jobs that are adding to this collection, oldest first; and their latest one, where it failed as a whole."""
    jobs = [job for job in await services.jobs.list(user.id, LOOKED_AT, PIPELINE) if job.input.get("collection") == collection_id]
    shown = [job for job in reversed(jobs) if job.state in LIVE or (job.state == "failed" and job is jobs[0])]
    return [await job_progress(services, user, job.id) for job in shown]


async def add_uploads(
    services: Services, user: User, collection: str, files: Sequence[tuple[str, str | None]], *, idempotency_key: str | None = None
) -> AnalysisJob:
    """Begin one job that adds files which were uploaded; the collection is made where there is none.

    The uploads become the collection's own and are no uploads any more: removing a document leaves no copy behind.

    Args:
        files: upload id, and the document's name (None: the file's own) with folders as people know them. A name that
            ends with .jsonl is a file of records.

    Raises:
        NotFound: no such upload of this person.
        NotAllowed: the collection may only be read.
        InvalidInput: no files, too many, or two of one name.
    """
    if idempotency_key is not None and (begun := await services.jobs.by_key(user.id, idempotency_key)):
        if begun.pipeline != PIPELINE:
            raise Conflict(f"The idempotency key '{idempotency_key}' was already used for another request. Use a new key.", job_id=begun.id)
        return begun
    if not 1 <= len(files) <= MOST_FILES:
        raise InvalidInput(f"Choose 1 to {MOST_FILES:,} files.")
    uploads = [await find_upload(services, user, upload_id) for upload_id, _ in files]
    names = [clean_document_name(name or upload.name) for upload, (_, name) in zip(uploads, files, strict=True)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"Two files have the name '{twice}'. Rename one of them.")

    def target(session: Session) -> tuple[str, str]:
        row = collection_to_fill(session, user.id, collection)
        record(session, "kb.documents.added", user_id=user.id, subject=row.name, collection=row.id, files=len(files))
        return row.id, row.name

    identifier, called = await services.database.run(target)
    stored = JobFiles(services.store, services.settings.storage.buckets.kb_raw, identifier)
    kept = await asyncio.to_thread(_take_over, services, stored, uploads, names)
    manifest = await asyncio.to_thread(stored.write, kept)
    title = names[0] if len(names) == 1 else f"{len(names)} files for {called}"
    job = await services.jobs.submit(
        PIPELINE,
        owner_id=user.id,
        title=title,
        input={"collection": identifier, "manifest": manifest, "name": title},
        idempotency_key=idempotency_key,
    )
    await forget_uploads(services, [upload.id for upload in uploads])
    return job


async def added_documents(services: Services, user: User, job_id: str) -> dict[str, Any]:
    """What became of the documents of a finished job: ``{"collection", "documents": [state, ...]}``.

    Raises:
        NotFound: no such job of this person, or its collection was deleted since.
        StillRunning: it is not finished.
        WorkbenchError: the error that the whole job failed with.
    """
    job = await find_job(services, user, job_id)
    if job.pipeline != PIPELINE:
        raise NotFound(f"Job {job_id} did not add documents.")
    result = await find_result(services, user, job_id)
    stream, _ = await open_artifact(services, user, job_id, "documents.json")

    def read() -> list[dict[str, Any]]:
        with stream:
            return json.loads(stream.read())

    row = await services.database.run(lambda session: session.get(Collection, str(result.summary.get("collection"))))
    if row is None:
        raise NotFound("The collection was deleted.")
    return {"collection": row.name, "documents": await asyncio.to_thread(read)}


def _take_over(services: Services, stored: JobFiles, uploads: Sequence[Upload], names: Sequence[str]) -> list[JobFile]:
    bucket = services.settings.storage.buckets.uploads_raw
    kept = []
    for upload, name in zip(uploads, names, strict=True):
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            kept.append(stored.keep(name, services.store.local_path(bucket, upload.key, folder=Path(folder))))
    return kept
