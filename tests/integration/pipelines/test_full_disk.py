"""A disk that fills under the runner's databases while jobs are at work, and is freed: each job ends or goes on.

The runner, DBOS and SQLite are real, on a tmpfs; only the stage worker is called in this process and not over Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from ray import serve
from sqlmodel import select

from infra.database import Database, migrate
from infra.database.tables import User
from infra.database.tables_knowledge import KbChunk, KbDocument
from infra.settings import Settings, load_settings
from knowledge.index.embedded import EmbeddedIndex
from pipelines.ingestion import open_knowledge
from pipelines.jobs.catalog import Catalog
from pipelines.jobs.job_store import JobStore
from pipelines.jobs.retry import as_workbench_error
from pipelines.jobs.runner import Runner
from pipelines.jobs.service import Jobs
from pipelines.jobs.stage_call import StageAnswer, StageCall
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.integration.pipelines.cluster import until
from tests.integration.pipelines.trial import OLD, marks
from tests.small_disk import fill, free, small_disk

pytestmark = pytest.mark.timeout(150)


class FakeWorker:
    """A stage worker whose stages leave marks and, as the real one, write events before and after their work."""

    def __init__(self, job_store: JobStore, seconds: float) -> None:
        self.run, self._job_store, self._seconds = self, job_store, seconds

    def remote(self, call: StageCall) -> asyncio.Task[StageAnswer]:
        return asyncio.ensure_future(self._work(call))

    async def _work(self, call: StageCall) -> StageAnswer:
        try:
            await self._job_store.event(call.job_id, "started", stage=call.stage)
            _mark(call, "begin")
            await asyncio.sleep(self._seconds if call.stage == "middle" else 0)
            _mark(call, "end")
            await self._job_store.event(call.job_id, "finished", stage=call.stage)
        except Exception as error:
            return StageAnswer(error=as_workbench_error(error, call.stage).as_dict())
        return StageAnswer(added={call.stage: "done"})


def _mark(call: StageCall, what: str) -> None:
    with open(call.input["marks"], "a") as file:
        file.write(f"{call.stage} {what}\n")


@pytest_asyncio.fixture
async def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Jobs, Settings]]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with small_disk(home, 64) as small:
        if not small:
            pytest.skip("full disk: this user may not mount a tmpfs")
        settings = load_settings(home=home, jobs={"concurrency": 2})
        database = Database(settings.database_url)
        migrate(database)
        with database.session() as session:
            session.add(User(id="member", name="member", role="member"))
        monkeypatch.setattr(serve, "get_replica_context", lambda: SimpleNamespace(rank=SimpleNamespace(rank=0)))
        runner = object.__new__(Runner)
        await runner.__init__(settings, {"trial": FakeWorker(JobStore(database), 2.0)})
        made = Jobs(settings, database, Catalog({"trial": "tests.integration.pipelines.trial:OLD"}))
        yield made, settings
        free(home)
        await runner.__del__()
        made.close()
        database.close()


async def test_jobs_end_or_go_on_once_a_full_disk_has_space_again(jobs: tuple[Jobs, Settings], tmp_path: Path):
    service, settings = jobs

    async def submit(name: str) -> str:
        given = {"marks": str(tmp_path / name)}
        return (await service.submit("trial", owner_id="member", title=name, input=given)).id

    busy = {name: await submit(name) for name in ("one", "two")}
    waiting = await submit("three")
    await asyncio.to_thread(until, lambda: all("middle" in marks(tmp_path / name) for name in busy))
    fill(settings.home)
    await asyncio.to_thread(until, lambda: all("middle" in marks(tmp_path / name, "end") for name in busy))
    await asyncio.sleep(18)  # longer than the end of a job was tried to be written
    assert {(await service.get(job)).state for job in busy.values()} == {"running"}
    free(settings.home)
    began = time.monotonic()
    async with asyncio.timeout(60):
        ended = [await service.wait(job) for job in busy.values()]
        assert (await service.wait(waiting)).state == "done"
    print(f"from free space to the jobs' ends: {time.monotonic() - began:.1f} s, {[job.state for job in ended]}")
    assert all(job.state == "done" or (job.error or {})["code"] == "storage_full" for job in ended)
    again = await submit("four")
    async with asyncio.timeout(30):
        assert (await service.wait(again)).state == "done" and marks(tmp_path / "four") == OLD.plan

    def no_open_workflow() -> bool:
        with contextlib.closing(sqlite3.connect(settings.home / "jobs.sqlite")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            query = "SELECT count(*) FROM workflow_status WHERE status IN ('PENDING', 'ENQUEUED')"
            return connection.execute(query).fetchone() == (0,)

    await asyncio.to_thread(until, no_open_workflow, 30, "the end of every workflow")


def test_documents_that_are_added_while_the_disk_fills_are_whole_or_not_there(tmp_path: Path):
    """Real tables, objects, FAISS and Tantivy: after space is free the same call ends well, and everything agrees."""
    home, folder = tmp_path / "home", tmp_path / "papers"
    home.mkdir(mode=0o700)
    folder.mkdir()
    names = [f"d{number}.md" for number in range(30)]
    for number, name in enumerate(names):
        (folder / name).write_text(f"# Part {number}\n\n" + f"Words about subject{number} and others. " * 400)
    with small_disk(home, 64) as small:
        if not small:
            pytest.skip("full disk: this user may not mount a tmpfs")
        settings = load_settings(home=home, jobs={"attempts": 1})
        with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding(seconds=0.05))) as knowledge:
            knowledge.add(folder / names[0], "papers")
            errors: list[BaseException] = []

            def add() -> None:
                try:
                    knowledge.add(folder, "papers")
                except BaseException as error:
                    errors.append(error)

            adding = threading.Thread(target=add)
            adding.start()
            until(lambda: sum(said["state"] == "ready" for said in knowledge.documents("papers")) >= 4)
            fill(home)
            adding.join(60)
            assert [getattr(error, "code", error) for error in errors] == ["storage_full"]
            ready = {said["document"] for said in knowledge.documents("papers") if said["state"] == "ready"}
            assert 4 <= len(ready) < 30
            assert knowledge.search("subject0", "papers", 1)[0].document == names[0]  # what is there is found all the while
            free(home)
            added = knowledge.add(folder, "papers")
            assert {said["state"] for said in added["documents"]} == {"ready"}
            assert [knowledge.search(f"subject{number}", "papers", 1)[0].document for number in range(30)] == names
            (collection,) = knowledge.collections()
            with knowledge.database.session() as session:
                chunks = set(session.exec(select(KbChunk.id)))
                rows = session.exec(select(KbDocument)).all()
            index = EmbeddedIndex(home / "indexes" / collection["id"], 256)
            assert index.ids() == chunks
            buckets = settings.storage.buckets
            stored = {info.key for bucket in (buckets.kb_raw, buckets.kb_vectors) for info in knowledge.store.list(bucket)}
            archives = {key for key in stored if key.count("/") == 1}
            assert archives == {key for row in rows for key in (row.text_key, row.vectors_key)}
