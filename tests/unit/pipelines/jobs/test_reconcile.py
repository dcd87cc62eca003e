"""Rows and workflows that disagree after a crash are brought together: every case, on a real table."""

import asyncio

import pytest

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, Notification, User
from infra.database.tables_knowledge import Collection, KbDocument
from infra.errors import StorageFull
from pipelines.jobs import reconcile
from pipelines.jobs.job_store import JobStore
from pipelines.jobs.reconcile import Reconciler
from pipelines.jobs.workflows import FROM_STAGE, Workflows


class Known(Workflows):
    """Workflows of which DBOS would say what ``status`` and ``executor`` say; notes what is asked of it."""

    def __init__(self, settings, status=None, executor=None):
        super().__init__(settings)
        self.status, self.executor, self.asked = status or {}, executor or {}, []

    async def statuses(self, job_ids):
        return {job_id: self.status[job_id] for job_id in job_ids if job_id in self.status}

    async def active(self):
        return {job_id: self.executor.get(job_id) for job_id, status in self.status.items() if status in ("ENQUEUED", "PENDING")}

    async def start(self, job_id, pipeline, plan):
        self.asked.append(("start", job_id, pipeline, plan))

    async def fork(self, job_id, parent_id, step):
        self.asked.append(("fork", job_id, parent_id, step))

    async def cancel(self, job_id):
        self.asked.append(("cancel", job_id))
        self.status.pop(job_id)

    async def resume(self, job_id):
        self.asked.append(("resume", job_id))


@pytest.fixture
def job_store(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'w.sqlite'}")
    migrate(database)
    with database.session() as session:
        session.add(User(id="u", name="u", role="member"))
    yield JobStore(database)
    database.close()


async def look(job_store, workflows, at_work=()):
    await Reconciler(job_store, workflows, executor="0", executors=["0"], at_work=lambda: at_work).look()


def add(job_store, **values):
    job = AnalysisJob(**{"owner_id": "u", "pipeline": "trial", "title": "T", "plan": ["a", "b", "c"], **values})
    with job_store.database.session() as session:
        session.add(job)
    return job


def row(job_store, job):
    with job_store.database.session() as session:
        return session.get(AnalysisJob, job.id)


async def test_a_job_without_a_workflow_is_enqueued(job_store, settings):
    job = add(job_store)
    workflows = Known(settings)
    await look(job_store, workflows)
    assert workflows.asked == [("start", job.id, "trial", ["a", "b", "c"])]


async def test_a_continued_job_without_a_workflow_begins_at_its_stage(job_store, settings):
    parent = add(job_store, state="failed")
    job = add(job_store, parent_id=parent.id, options={FROM_STAGE: "c"})
    workflows = Known(settings)
    await look(job_store, workflows)
    assert workflows.asked == [("fork", job.id, parent.id, 3)]


@pytest.mark.parametrize(
    ("status", "says"), [("ERROR", "without a reported error"), ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", "repeated crashes")]
)
async def test_a_workflow_that_broke_off_fails_its_job(job_store, settings, status, says):
    job = add(job_store, state="running", stage="b")
    await look(job_store, Known(settings, {job.id: status}))
    found = row(job_store, job)
    assert (found.state, found.error["stage"], found.error["code"]) == ("failed", "b", "internal") and says in found.error["message"]
    await look(job_store, Known(settings, {job.id: status}))
    with job_store.database.session() as session:
        assert session.get(Notification, job.id) is not None


async def test_a_job_cancelled_in_one_database_is_cancelled_in_the_other(job_store, settings):
    there, here = add(job_store, state="running"), add(job_store, state="cancelled")
    workflows = Known(settings, {there.id: "CANCELLED", here.id: "PENDING"}, {here.id: "0"})
    await look(job_store, workflows)
    assert row(job_store, there).state == "cancelled" and workflows.asked == [("cancel", here.id)]


async def test_a_job_of_a_runner_that_is_no_more_goes_back_into_the_queue(job_store, settings):
    mine, orphan, waits = (add(job_store, state="running") for _ in range(3))
    workflows = Known(settings, {mine.id: "PENDING", orphan.id: "PENDING", waits.id: "ENQUEUED"}, {mine.id: "0", orphan.id: "3"})
    await look(job_store, workflows)
    assert workflows.asked == [("resume", orphan.id)]


async def test_what_agrees_is_left_alone(job_store, settings):
    running, done = add(job_store, state="running"), add(job_store, state="done")
    workflows = Known(settings, {running.id: "PENDING", done.id: "PENDING"}, {running.id: "0", done.id: "0"})
    await look(job_store, workflows, [running.id, done.id])
    assert workflows.asked == [] and row(job_store, running).state == "running"


async def test_a_workflow_that_its_living_runner_does_not_work_on_goes_back_into_the_queue(job_store, settings, monkeypatch):
    """Its thread died when DBOS could not write to a full disk; nobody else would ever take it up."""
    monkeypatch.setattr(reconcile, "IDLE_SECONDS", 0.05)
    dead, alive = add(job_store, state="running"), add(job_store, state="running")
    workflows = Known(settings, {dead.id: "PENDING", alive.id: "PENDING"}, {dead.id: "0", alive.id: "0"})
    reconciler = Reconciler(job_store, workflows, executor="0", executors=["0"], at_work=lambda: [alive.id])
    await reconciler.look()
    assert workflows.asked == [] and reconciler.stalled == [dead.id]  # it may only just have been claimed
    await asyncio.sleep(0.06)
    await reconciler.look()
    assert workflows.asked == [("resume", dead.id)] and reconciler.stalled == []
    for _ in range(3 * reconcile.RESUMES):
        await asyncio.sleep(0.06)
        await reconciler.look()
    assert workflows.asked[:-1] == [("resume", dead.id)] * reconcile.RESUMES and workflows.asked[-1] == ("cancel", dead.id)
    assert row(job_store, dead).state == "failed" and row(job_store, alive).state == "running"


async def test_a_job_that_cannot_be_mended_does_not_keep_the_others_from_it(job_store, settings):
    class Refusing(Known):
        async def start(self, job_id, pipeline, plan):
            await super().start(job_id, pipeline, plan)
            if job_id == first.id:
                raise StorageFull("The disk is full.")

    first, second = add(job_store), add(job_store)
    workflows = Refusing(settings)
    with pytest.raises(StorageFull):
        await look(job_store, workflows)
    assert [asked[1] for asked in workflows.asked] == [first.id, second.id]


async def test_documents_of_a_job_that_has_ended_get_a_final_state(job_store, settings):
    error = {"code": "storage_full", "message": "The disk is full.", "retryable": False, "details": {}}
    failed, stopped, goes_on = (
        add(job_store, state="failed", error={**error, "stage": "ingest"}),
        add(job_store, state="cancelled"),
        add(job_store),
    )
    with job_store.database.session() as session:
        session.add(Collection(id="c", owner_id="u", name="c"))
        session.flush()
        for name, job, state in [("a", failed, "embedding"), ("b", stopped, "queued"), ("c", goes_on, "reading"), ("d", stopped, "ready")]:
            session.add(KbDocument(id=name, collection_id="c", name=name, state=state, job_id=job.id))
        session.add(KbDocument(id="e", collection_id="c", name="e", state="reading"))  # of a run without a job
    await look(job_store, Known(settings, {goes_on.id: "ENQUEUED"}))
    with job_store.database.session() as session:
        found = {name: session.get_one(KbDocument, name) for name in "abcde"}
    assert {name: one.state for name, one in found.items()} == {"a": "failed", "b": "failed", "c": "reading", "d": "ready", "e": "reading"}
    assert found["a"].error == error and found["b"].error["code"] == "cancelled" and "Upload it again" in found["b"].error["message"]
