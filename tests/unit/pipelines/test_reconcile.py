"""Rows and workflows that disagree after a crash are brought together: every case, on a real table."""

import pytest

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, Notification, User
from pipelines.durable import Workflows
from pipelines.launch import FROM_STAGE
from pipelines.ledger import Ledger
from pipelines.reconcile import reconcile


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

    async def resume(self, job_id):
        self.asked.append(("resume", job_id))


@pytest.fixture
def ledger(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'w.sqlite'}")
    migrate(database)
    with database.session() as session:
        session.add(User(id="u", name="u", role="member"))
    yield Ledger(database)
    database.close()


def add(ledger, **values):
    job = AnalysisJob(**{"owner_id": "u", "pipeline": "trial", "title": "T", "plan": ["a", "b", "c"], **values})
    with ledger.database.session() as session:
        session.add(job)
    return job


def row(ledger, job):
    with ledger.database.session() as session:
        return session.get(AnalysisJob, job.id)


async def test_a_job_without_a_workflow_is_enqueued(ledger, settings):
    job = add(ledger)
    workflows = Known(settings)
    await reconcile(ledger, workflows, executors=["0"])
    assert workflows.asked == [("start", job.id, "trial", ["a", "b", "c"])]


async def test_a_continued_job_without_a_workflow_begins_at_its_stage(ledger, settings):
    parent = add(ledger, state="failed")
    job = add(ledger, parent_id=parent.id, options={FROM_STAGE: "c"})
    workflows = Known(settings)
    await reconcile(ledger, workflows, executors=["0"])
    assert workflows.asked == [("fork", job.id, parent.id, 3)]


@pytest.mark.parametrize(("status", "says"), [("ERROR", "without saying why"), ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", "again and again")])
async def test_a_workflow_that_broke_off_fails_its_job(ledger, settings, status, says):
    job = add(ledger, state="running", stage="b")
    await reconcile(ledger, Known(settings, {job.id: status}), executors=["0"])
    found = row(ledger, job)
    assert (found.state, found.error["stage"], found.error["code"]) == ("failed", "b", "internal") and says in found.error["message"]
    await reconcile(ledger, Known(settings, {job.id: status}), executors=["0"])
    with ledger.database.session() as session:
        assert session.get(Notification, job.id) is not None


async def test_a_job_cancelled_in_one_database_is_cancelled_in_the_other(ledger, settings):
    there, here = add(ledger, state="running"), add(ledger, state="cancelled")
    workflows = Known(settings, {there.id: "CANCELLED", here.id: "PENDING"}, {here.id: "0"})
    await reconcile(ledger, workflows, executors=["0"])
    assert row(ledger, there).state == "cancelled" and workflows.asked == [("cancel", here.id)]


async def test_a_job_of_a_runner_that_is_no_more_goes_back_into_the_queue(ledger, settings):
    mine, orphan, waits = (add(ledger, state="running") for _ in range(3))
    workflows = Known(settings, {mine.id: "PENDING", orphan.id: "PENDING", waits.id: "ENQUEUED"}, {mine.id: "0", orphan.id: "3"})
    await reconcile(ledger, workflows, executors=["0"])
    assert workflows.asked == [("resume", orphan.id)]


async def test_what_agrees_is_left_alone(ledger, settings):
    running, done = add(ledger, state="running"), add(ledger, state="done")
    workflows = Known(settings, {running.id: "PENDING", done.id: "PENDING"}, {running.id: "0", done.id: "0"})
    await reconcile(ledger, workflows, executors=["0"])
    assert workflows.asked == [] and row(ledger, running).state == "running"
