"""Ingest workers: documents are read and chunked, embedded, and stored by three workers at once.

Reading is done in processes of its own while the embedding model computes, so a job takes little longer than its
embedding alone. Between the workers only a few batches wait, so memory does not grow with the job.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from infra.errors import Cancelled, IntegrityError, InvalidInput, NotFound, Timeout, WorkbenchError, find_workbench_error, storage_full
from infra.telemetry import logger
from knowledge.library import Prepared
from pipelines.index_service import IndexService
from pipelines.index_service.models import KnownModel
from pipelines.ingestion.job_files import JobFile, JobFiles, Record, records_of
from pipelines.ingestion.preparing import Chunked, chunked, read_file
from pipelines.jobs.definition import StageContext
from pipelines.jobs.progress import reporting
from serving.registry.versions import ModelRef

log = logger(__name__)

TEXTS_AT_ONCE = 256  # a call of the model: a few seconds on two cores, after which people see how far it is
RECORDS_AT_ONCE = 500  # in one batch, which is stored in one transaction
STORED_AT_ONCE = 4000  # chunks
WAITING = 3  # batches between two workers


@dataclass(frozen=True)
class Batch:
    """Documents that go through the workers together, and (after embedding) their vectors, one array a document."""

    documents: list[Chunked]
    vectors: list[np.ndarray]

    @property
    def chunks(self) -> int:
        return sum(len(document.texts) for document in self.documents)


class IngestWorkers:
    """The workers of one job.

    Args:
        context: of the stage.
        index: the index service.
        files: of the job.
        total: documents of the job.

    Attributes:
        model: the model that embedded; None while nothing was.
        seconds: busy time of each worker.
    """

    def __init__(self, context: StageContext, index: IndexService, files: JobFiles, *, total: int) -> None:
        self._context, self._index, self._files, self._total = context, index, files, max(1, total)
        self._collection = str(context.input["collection"])
        self._settings = context.settings
        self._to_embed: asyncio.Queue[Batch | None] = asyncio.Queue(WAITING)
        self._to_store: asyncio.Queue[Batch | None] = asyncio.Queue(WAITING)
        self._live: set[str] = set()  # begun and not ended
        self._done = 0
        self._stopped = threading.Event()
        self._reading: set[str] = set()  # contents (sha256) that this job reads
        self._duplicates: list[JobFile] = []
        self.model: ModelRef | None = None
        self.seconds = {"read": 0.0, "embed": 0.0, "store": 0.0}

    async def run(self, files: list[JobFile]) -> None:
        """Add all documents. One that cannot be read is marked so and stops nothing.

        Raises:
            WorkbenchError: what concerns all of them: no model, no room, the collection is gone.
        """
        model = KnownModel(self._settings, self._context.roles, await self._index.digest(self._collection))
        finished: set[str] = set()
        plain = [file for file in files if not file.records]
        for start in range(0, len(plain), 500):
            items = [file.listed for file in plain[start : start + 500]]
            finished |= await self._index.enlist(self._collection, items, self._context.job_id)
        self._done = len(finished)
        self._live |= {file.name for file in plain} - finished
        work = deque(file for file in files if file.records or file.name not in finished)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(work))
                group.create_task(self._embed(model))
                group.create_task(self._store())
            for file in self._duplicates:
                await self._add_duplicate(file, model)
        except BaseException as caught:
            self._stopped.set()
            error = _first(caught)
            await asyncio.shield(self._give_up(error))
            raise error from None

    # -- reading

    async def _read(self, work: deque[JobFile]) -> None:
        async def reader() -> None:
            while work:
                file = work.popleft()
                await (self._read_records(file) if file.records else self._read_one(file))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._settings.knowledge.readers, len(work))):
                group.create_task(reader())
        await self._to_embed.put(None)

    async def _read_one(self, file: JobFile) -> None:
        if file.sha256 in self._reading:
            self._duplicates.append(file)  # the other one first: then this is its copy
            return
        self._reading.add(file.sha256)
        if await self._index.copy_duplicate(self._collection, file.listed):
            self._ended([file.name])
            return
        batch = await self._read_file(file)
        if batch is not None:
            await self._to_embed.put(batch)

    async def _read_file(self, file: JobFile) -> Batch | None:
        """The document, read and chunked; None where it cannot be, which is noted."""
        began = time.perf_counter()

        async def tell(fraction: float, message: str) -> None:
            await self._index.advance(self._collection, [file.name], "reading", message, fraction)

        async with reporting(tell) as progress:

            def watch(page: int, pages: int, doing: str) -> None:
                if self._stopped.is_set():
                    raise Cancelled("Reading was stopped.")  # ends the process that reads
                verb = "recognising" if doing == "recognising" else "reading"
                progress(page / max(1, pages), f"{verb} page {page} of {pages}")

            try:
                path = await asyncio.to_thread(self._files.path, file, self._context.workdir)
                document = await asyncio.to_thread(read_file, path, file.listed, self._settings, watch)
            except Exception as caught:
                await self._failed({file.name: self._error(caught, file.name)}, [file.key])
                return None
        self.seconds["read"] = round(self.seconds["read"] + time.perf_counter() - began, 3)
        log.info("document read", content=file.sha256[:16], pages=len(document.document.pages), chunks=len(document.chunks))
        return Batch([document], [])

    async def _read_records(self, file: JobFile) -> None:
        path = await asyncio.to_thread(self._files.path, file, self._context.workdir)
        records = records_of(path, file.name)
        while part := await asyncio.to_thread(_some, records):
            items = [record.listed for record in part]
            finished = await self._index.enlist(self._collection, items, self._context.job_id)
            self._ended(finished)
            todo = [record for record in part if record.listed.name not in finished]
            self._live |= {record.listed.name for record in todo}
            documents, errors = await asyncio.to_thread(self._chunk_records, todo)
            if errors:
                await self._failed(errors)
            if documents:
                await self._to_embed.put(Batch(documents, []))

    def _chunk_records(self, records: list[Record]) -> tuple[list[Chunked], dict[str, WorkbenchError]]:
        began = time.perf_counter()
        documents, errors = [], {}
        for record in records:
            try:
                if record.document is None:
                    raise record.error or InvalidInput("This line is no record.")
                documents.append(chunked(record.document, record.listed))
            except Exception as caught:
                errors[record.listed.name] = self._error(caught, record.listed.name)
        self.seconds["read"] = round(self.seconds["read"] + time.perf_counter() - began, 3)
        return documents, errors

    # -- embedding

    async def _embed(self, model: KnownModel) -> None:
        while (batch := await self._to_embed.get()) is not None:
            async for part in self._embedded_parts(batch, model):
                await self._to_store.put(part)
        await self._to_store.put(None)

    async def _embedded_parts(self, batch: Batch, model: KnownModel) -> AsyncIterator[Batch]:
        """The batch, embedded; without the documents that the model fails on, which are marked as failed.

        An error says that something in a call could not be embedded, not what: halves are tried until one document is left.
        """
        embedded, error = None, None
        try:
            embedded = await self._embedded(batch, model)
        except Exception as caught:
            error = self._error(caught, *_names(batch.documents), doing="embedded")
        if embedded is not None:
            yield embedded
        elif error is not None and len(batch.documents) == 1:
            await self._failed_chunked(batch.documents[0], error)
        else:
            half = len(batch.documents) // 2
            for documents in (batch.documents[:half], batch.documents[half:]):
                async for part in self._embedded_parts(Batch(documents, []), model):
                    yield part

    async def _embedded(self, batch: Batch, model: KnownModel) -> Batch:
        began = time.perf_counter()
        texts = [text for document in batch.documents for text in document.texts]
        # Texts of like length together: the model computes on little padding.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        found: np.ndarray | None = None
        alone = batch.documents[0].document.name if len(batch.documents) == 1 else None
        for start in range(0, len(order), TEXTS_AT_ONCE):
            share = start / len(order)
            if alone is not None:
                await self._index.advance(self._collection, [alone], "embedding", f"embedding {share:.0%}", share)
            self._tell(f"embedding {alone} ({share:.0%})" if alone else "embedding", share * len(batch.documents))
            rows = order[start : start + TEXTS_AT_ONCE]
            async with asyncio.timeout(self._settings.jobs.stage_timeout_seconds):
                answer = await model.embed([texts[row] for row in rows])
            self.model = answer.model
            if found is None:
                found = np.empty((len(texts), answer.vectors.shape[1]), np.float32)
            found[rows] = answer.vectors
        if found is None:
            found = np.empty((0, 1), np.float32)
        self.seconds["embed"] = round(self.seconds["embed"] + time.perf_counter() - began, 3)
        ends = np.cumsum([len(document.texts) for document in batch.documents])
        return Batch(batch.documents, np.split(found, ends[:-1]))

    # -- storing

    async def _store(self) -> None:
        ended = False
        while not ended:
            batches = [await self._to_store.get()]
            while not self._to_store.empty() and sum(batch.chunks for batch in batches if batch) < STORED_AT_ONCE:
                batches.append(self._to_store.get_nowait())
            ended = batches[-1] is None
            await self._put([batch for batch in batches if batch is not None])

    async def _put(self, batches: list[Batch]) -> None:
        if not batches:
            return
        began = time.perf_counter()
        prepared = [
            Prepared(item.document, item.chunks, vectors, item.facts, item.source)
            for batch in batches
            for item, vectors in zip(batch.documents, batch.vectors, strict=True)
        ]
        assert self.model is not None
        try:
            await self._index.put(self._collection, prepared, self.model.digest)
        except Exception as caught:
            error = self._error(caught, *_names([item for batch in batches for item in batch.documents]), doing="stored")
            if len(prepared) == 1:
                await self._failed_chunked(batches[0].documents[0], error)
            else:  # nothing was stored: each alone, so that only those fail that cannot be
                for batch in batches:
                    for item, vectors in zip(batch.documents, batch.vectors, strict=True):
                        await self._put([Batch([item], [vectors])])
            return
        self.seconds["store"] = round(self.seconds["store"] + time.perf_counter() - began, 3)
        self._ended([item.document.name for item in prepared])

    async def _add_duplicate(self, file: JobFile, model: KnownModel) -> None:
        if await self._index.copy_duplicate(self._collection, file.listed):
            self._ended([file.name])
            return
        batch = await self._read_file(file)  # its duplicate failed, and so will this one, or it was removed meanwhile
        if batch is not None:
            async for part in self._embedded_parts(batch, model):
                await self._put([part])

    # -- what people see

    def _ended(self, names: set[str] | list[str]) -> None:
        self._live.difference_update(names)
        self._done += len(names)
        self._tell("")

    def _tell(self, doing: str, more: float = 0.0) -> None:
        said = f"{self._done} of {self._total} documents done"
        self._context.progress((self._done + more) / self._total, f"{said}, {doing}" if doing else said)

    async def _failed(self, errors: dict[str, WorkbenchError], files: list[str] | None = None) -> None:
        said = {name: {**error.as_dict(), "job": self._context.job_id} for name, error in errors.items()}
        await self._index.fail(self._collection, said, files or [])
        self._ended(list(errors))

    async def _failed_chunked(self, item: Chunked, error: WorkbenchError) -> None:
        await self._failed({item.document.name: error}, [item.source.key] if item.source.key else [])

    def _error(self, caught: Exception, *names: str, doing: str = "read") -> WorkbenchError:
        """What documents failed by, logged. What concerns all documents (no model, no room, no collection) is raised on."""
        if isinstance(caught, TimeoutError):
            raise Timeout("Embedding timed out. Try again later, or raise jobs.stage_timeout_seconds.")
        error = find_workbench_error(caught) or storage_full(caught)
        of_documents = (InvalidInput, IntegrityError, *((NotFound,) if doing == "read" else ()))  # a stored file that is gone
        if error is not None and error.code != WorkbenchError.code and not isinstance(error, of_documents):
            raise error
        facts = {"documents": list(names[:3]), "count": len(names), "doing": doing}
        if error is None:
            log.error("documents failed by an error of the program", **facts, exc_info=caught)
            return WorkbenchError(f"Unexpected error ({type(caught).__name__}). Details are in the log.")
        log.warning("documents failed", **facts, code=error.code, error=error.message[:1000])
        return error

    async def _give_up(self, error: BaseException) -> None:
        """Documents that were begun do not stay 'embedding' for ever. A retry of the job takes them up again."""
        known = find_workbench_error(error)
        if isinstance(error, asyncio.CancelledError):
            known = Cancelled("Upload cancelled. Upload it again.")
        said = (known or WorkbenchError("The job failed before this document was processed. Upload it again.")).as_dict()
        try:
            await self._index.fail(self._collection, dict.fromkeys(self._live, said))
        except Exception as caught:
            log.warning("documents could not be marked as failed", error=f"{type(caught).__name__}: {caught}"[:300])


def _some(records: Iterator[Record]) -> list[Record]:
    part: list[Record] = []
    for record in records:
        part.append(record)
        if len(part) >= RECORDS_AT_ONCE:
            break
    return part


def _names(documents: Sequence[Chunked]) -> list[str]:
    return [item.document.name for item in documents]


def _first(error: BaseException) -> BaseException:
    """The first error in a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
