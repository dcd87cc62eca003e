"""Durable jobs on a real Ray Serve runner, on SQLite and on Postgres: what they leave, and what survives which kill.

The last test kills and replaces the whole cluster; tests run in the order in which they stand here.
"""

import asyncio
import json
import os
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import select

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, AnalysisResult, JobEvent, Notification, User
from infra.errors import Conflict, InvalidInput, NotFound
from infra.settings import Settings, load_settings
from infra.telemetry import correlated
from pipelines.jobs.catalog import Catalog
from pipelines.jobs.service import Jobs
from pipelines.jobs.workflows import Workflows
from tests.integration.pipelines.cluster import Cluster, until
from tests.integration.pipelines.trial import OLD, marks
from tests.services import fresh_database

pytestmark = pytest.mark.timeout(300)


@dataclass
class House:
    """A cluster with a runner, and the same program's jobs seen from outside it."""

    settings: Settings
    database: Database
    jobs: Jobs
    cluster: Cluster
    folder: Path
    given: dict = field(default_factory=dict)

    async def submit(self, owner_id="member", **given):
        options = given.pop("options", {})
        key = given.pop("key", None)
        given.setdefault("marks", str(self.folder / uuid.uuid4().hex))
        job = await self.jobs.submit("trial", owner_id=owner_id, title="Scan", input=given, options=options, idempotency_key=key)
        return job, Path(job.input["marks"])

    async def until_marked(self, path, stage, what="begin"):
        await asyncio.to_thread(until, lambda: stage in marks(path, what), 60, f"{stage} {what}")

    async def kinds(self, job, *leave_out):
        return [(event.kind, event.stage) for event in await self.jobs.events(job.id) if event.kind not in leave_out]

    def rows(self, table, job_id):
        with self.database.session() as session:
            return session.exec(select(table).where(table.job_id == job_id)).all()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def house(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("house")
    environment = {
        "WORKBENCH_HOME": str(home),
        "WORKBENCH_JOBS__ATTEMPTS": "2",
        "WORKBENCH_JOBS__BACKOFF_SECONDS": "0.2",
    }
    if request.param == "postgres":
        url = fresh_database(request.getfixturevalue("postgres_server"))
        environment |= {"WORKBENCH_DATABASE__URL": url, "WORKBENCH_DATABASE__JOBS_URL": url}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = load_settings()
    database = Database(settings.database_url)
    migrate(database)
    with database.session() as session:
        session.add(User(id="member", name="member", role="member"))
        session.add(User(id="stranger", name="stranger", role="member"))
        session.add(User(id="owner", name="owner", role="owner"))
    jobs = Jobs(settings, database, Catalog({"trial": "tests.integration.pipelines.trial:OLD"}))
    cluster = Cluster(environment)
    try:
        cluster.start()
        yield House(settings, database, jobs, cluster, tmp_path_factory.mktemp("marks"))
    finally:
        cluster.close()
        jobs.close()
        database.close()


async def test_a_job_runs_through_its_stages_and_leaves_a_result(house):
    job, path = await house.submit(seconds={"middle": 1.5}, options={"models": {"segmentation": "7"}})
    assert (job.state, job.plan, job.code_version) == ("queued", OLD.plan, OLD.version)
    seen = [event async for event in house.jobs.watch(job.id)]

    assert marks(path) == OLD.plan and marks(path, "end") == OLD.plan
    expected = [("queued", None)]
    for stage in OLD.plan:
        expected += [("started", stage), ("finished", stage)]
    assert [(event.kind, event.stage) for event in seen if event.kind != "progress"] == [*expected, ("done", None)]
    progress = [event for event in seen if event.kind == "progress"]
    assert 1 <= len(progress) <= 6 and all(event.message == "middle at work" and 0.2 < event.fraction < 0.6 for event in progress)
    fractions = [event.fraction for event in seen if event.fraction is not None]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    middle = next(event for event in seen if event.kind == "finished" and event.stage == "middle")
    assert 1.5 <= middle.seconds < 6 and middle.message == "Doing middle"

    job = await house.jobs.get(job.id)
    assert (job.state, job.stage, job.fraction, job.error) == ("done", None, 1.0, None)
    assert job.created_at <= job.started_at <= job.finished_at
    (result,) = house.rows(AnalysisResult, job.id)
    assert result.summary == {"seen": OLD.plan} and result.models == [{"role": "segmentation", "version": "7"}]
    assert result.kind == "trial" and result.artifacts == {"report.json": {"bucket": "b", "key": job.id}}
    (note,) = house.rows(Notification, job.id)
    assert (note.user_id, note.text) == ("member", "Scan went well.")
    assert list((house.settings.home / "work" / "trial").iterdir()) == []


async def test_every_line_of_a_job_carries_the_id_of_the_request_that_began_it(house):
    with correlated("request-1"):
        job, _ = await house.submit()
    await house.jobs.wait(job.id)
    lines = house.cluster.lines(job=job.id)
    assert {line["component"] for line in lines} == {"pipelines-runner", "pipelines-trial"}
    assert {line.get("correlation_id") for line in lines} == {"request-1"}


async def test_what_is_kept_between_stages_is_json(house):
    job, _ = await house.submit()
    assert (await house.jobs.wait(job.id)).state == "done"
    engine = sa.create_engine(house.settings.jobs_url)
    schema = "" if engine.dialect.name == "sqlite" else "dbos."
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(f"SELECT function_id, function_name, output FROM {schema}operation_outputs WHERE workflow_uuid = :id ORDER BY 1"),
            {"id": job.id},
        ).all()
    engine.dispose()
    assert [(row[0], row[1]) for row in rows] == [*enumerate(OLD.plan, 1), (5, "close-job")]
    assert json.loads(rows[0][2]) == {"first": "champion", "seen": ["first"]}


async def test_a_retryable_error_is_tried_again_and_told(house):
    job, path = await house.submit(fail={"middle": ["unavailable", 1]})
    assert (await house.jobs.wait(job.id)).state == "done"
    assert marks(path) == ["first", "middle", "middle", "removed", "last"]
    (event,) = [event for event in await house.jobs.events(job.id) if event.kind == "retrying"]
    assert event.stage == "middle" and "Trying again in 0.2 s (2 of 2)" in event.message


@pytest.mark.parametrize(("code", "tries"), [("corrupt_file", 1), ("unavailable", 2), ("surprise", 1)])
async def test_a_job_that_fails_says_where_and_why(house, code, tries):
    job, path = await house.submit(fail={"middle": [code, 9]})
    job = await house.jobs.wait(job.id)
    assert (job.state, job.stage) == ("failed", "middle") and job.finished_at
    assert marks(path) == ["first"] + ["middle"] * tries
    assert job.error["stage"] == "middle" and job.error["code"] == ("internal" if code == "surprise" else code)
    assert (await house.kinds(job))[-1] == ("failed", "middle")
    (note,) = house.rows(Notification, job.id)
    assert 'failed at the stage "Doing middle": ' in note.text and job.error["message"] in note.text
    assert house.rows(AnalysisResult, job.id) == []
    if code == "surprise":
        assert "Traceback" not in job.error["message"] and "something the program" not in job.error["message"]
        (line,) = await asyncio.to_thread(lambda: house.cluster.lines("unexpected error in a stage", job=job.id))
        assert "Traceback" in line["exception"] and line["stage"] == "middle"


async def test_a_stage_that_hangs_is_stopped_and_the_job_fails(house):
    job, path = await house.submit(seconds={"removed": 60})
    job = await house.jobs.wait(job.id)
    assert (job.state, job.error["code"], job.error["stage"]) == ("failed", "timeout", "removed")
    assert marks(path, "cancelled") == ["removed", "removed"] and marks(path, "end") == ["first", "middle"]


async def test_the_same_key_is_the_same_job_also_for_two_at_once(house):
    path = str(house.folder / uuid.uuid4().hex)
    both = await asyncio.gather(*[house.submit(key="k1", marks=path) for _ in range(5)])
    assert len({job.id for job, _ in both}) == 1
    job = await house.jobs.wait(both[0][0].id)
    again, _ = await house.submit(key="k1", marks=path)
    assert again.id == job.id and again.state == "done"
    assert marks(path) == OLD.plan and len(house.rows(AnalysisResult, job.id)) == 1
    with pytest.raises(Conflict, match="k1"):
        await house.submit(key="k1", marks="elsewhere")
    other, _ = await house.submit(owner_id="stranger", key="k1", marks=path + "2")
    assert other.id != job.id
    await house.jobs.wait(other.id)


async def test_a_message_delivered_twice_is_one_job(house):
    job, path = await house.submit(seconds={"middle": 1})
    workflows = Workflows(house.settings)
    for _ in range(3):
        await workflows.start(job.id, job.pipeline, job.plan)
    await house.jobs.wait(job.id)
    await workflows.start(job.id, job.pipeline, job.plan)
    await asyncio.sleep(1)
    assert marks(path) == OLD.plan
    workflows.close()


async def test_a_job_whose_submitter_died_before_enqueuing_is_found(house):
    path = house.folder / uuid.uuid4().hex
    with house.database.session() as session:
        job = AnalysisJob(owner_id="member", pipeline="trial", title="Scan", plan=OLD.plan, input={"marks": str(path)})
        session.add(job)
        session.flush()
        session.add(JobEvent(job_id=job.id, kind="queued"))
    assert (await house.jobs.wait(job.id)).state == "done"
    assert marks(path) == OLD.plan


async def test_a_cancel_interrupts_the_stage(house):
    job, path = await house.submit(seconds={"middle": 5})
    await house.until_marked(path, "middle")
    began = time.monotonic()
    cancelled = await house.jobs.cancel(job.id)
    assert cancelled.state == "cancelled"
    await house.until_marked(path, "middle", "cancelled")
    assert time.monotonic() - began < 5  # the stage would take so long by itself
    await asyncio.sleep(1.5)
    assert marks(path) == ["first", "middle"]
    assert (await house.kinds(job, "progress"))[-1] == ("cancelled", "middle")
    assert (await house.jobs.get(job.id)).state == "cancelled"
    assert (await house.jobs.cancel(job.id)).state == "cancelled"  # again is no error
    assert house.rows(Notification, job.id) == [] and house.rows(AnalysisResult, job.id) == []
    assert [event.kind for event in [event async for event in house.jobs.watch(job.id)]][-1] == "cancelled"


async def test_jobs_wait_in_the_queue_and_can_be_cancelled_there(house):
    busy = [await house.submit(seconds={"first": 3}) for _ in range(house.settings.jobs.at_once)]
    for _, path in busy:
        await house.until_marked(path, "first")  # both at once: the stages of two jobs do not wait for each other
    waiting, path = await house.submit()
    await asyncio.sleep(0.7)
    assert (await house.jobs.get(waiting.id)).state == "queued"
    assert (await house.jobs.cancel(waiting.id)).state == "cancelled"
    for job, _ in busy:
        assert (await house.jobs.wait(job.id)).state == "done"
    assert marks(path) == []


async def test_another_model_from_a_stage_on_is_a_new_job_that_keeps_what_was_finished(house):
    job, path = await house.submit(options={"models": {"segmentation": "1", "llm": "4"}})
    with pytest.raises(Conflict, match="still"):
        await house.jobs.retry(job.id)
    job = await house.jobs.wait(job.id)
    again = await house.jobs.retry(job.id, "removed", {"segmentation": "2"})
    assert (again.parent_id, again.options["models"]) == (job.id, {"segmentation": "2", "llm": "4"})
    again = await house.jobs.wait(again.id)
    assert again.state == "done" and marks(path) == [*OLD.plan, "removed", "last"]
    (result,) = house.rows(AnalysisResult, again.id)
    assert result.summary == {"seen": OLD.plan} and result.models == [{"role": "segmentation", "version": "2"}]
    assert house.rows(AnalysisResult, job.id)[0].models == [{"role": "segmentation", "version": "1"}]
    with pytest.raises(InvalidInput, match="Unknown stage 'nowhere'"):
        await house.jobs.retry(job.id, "nowhere")


async def test_a_failed_job_goes_on_where_it_failed(house):
    job, path = await house.submit(fail={"removed": ["corrupt_file", 1]})
    await house.jobs.wait(job.id)
    with pytest.raises(InvalidInput, match="has not finished stage 'removed'"):
        await house.jobs.retry(job.id, "last")
    again = await house.jobs.retry(job.id)
    assert (await house.jobs.wait(again.id)).state == "done"
    assert marks(path) == ["first", "middle", "removed", "removed", "last"]
    third = await house.jobs.retry(again.id, "last")  # a fork of a fork
    assert (await house.jobs.wait(third.id)).state == "done"
    assert marks(path)[-2:] == ["last", "last"]


async def test_another_persons_job_is_not_there_but_for_the_owner(house):
    job, _ = await house.submit()
    await house.jobs.wait(job.id)
    for ask in (
        house.jobs.get(job.id, "stranger"),
        house.jobs.events(job.id, owner_id="stranger"),
        house.jobs.cancel(job.id, owner_id="stranger"),
        house.jobs.retry(job.id, owner_id="stranger"),
        house.jobs.get("nothing", "owner"),
    ):
        with pytest.raises(NotFound):
            await ask
    assert (await house.jobs.get(job.id, "owner")).id == job.id
    assert job.id in {row.id for row in await house.jobs.list("member", 100)}
    assert job.id not in {row.id for row in await house.jobs.list("stranger", 100, everyone=True)}
    assert job.id in {row.id for row in await house.jobs.list("owner", 100, everyone=True)}
    assert job.id not in {row.id for row in await house.jobs.list("owner", 100)}


def finished_once(house, job, plan):
    """The proof from the log: every stage was finished once, and none began again after that."""
    lines = house.cluster.lines(job=job.id)
    finished = [line["stage"] for line in lines if line["event"] == "stage finished"]
    assert finished == plan
    for stage in plan:
        of_stage = [line["event"] for line in lines if line.get("stage") == stage]
        assert "stage started" not in of_stage[of_stage.index("stage finished") :]


async def test_a_killed_stage_worker_costs_one_try(house):
    job, path = await house.submit(kill={"middle": 1})
    assert (await house.jobs.wait(job.id)).state == "done"
    assert marks(path) == ["first", "middle", "middle", "removed", "last"]
    kinds = await house.kinds(job, "progress")
    assert ("retrying", "middle") in kinds
    finished_once(house, job, OLD.plan)


async def test_a_killed_runner_comes_back_and_no_finished_stage_runs_twice(house):
    job, path = await house.submit(seconds={"middle": 4})
    await house.until_marked(path, "middle")
    killed = house.cluster.kill_runner()
    began = time.monotonic()
    assert (await house.jobs.wait(job.id)).state == "done"
    print(f"from the runner's SIGKILL to the job's end: {time.monotonic() - began:.1f} s")
    # Not even the stage at work: its host lived on, and gave its answer to the new runner.
    assert marks(path) == OLD.plan
    assert house.cluster.runner_pid() != killed
    finished_once(house, job, OLD.plan)


async def test_a_stage_that_ended_while_no_runner_was_there_is_not_repeated(house):
    job, path = await house.submit(seconds={"middle": 1})
    await house.until_marked(path, "middle")
    house.cluster.kill_runner()
    assert (await house.jobs.wait(job.id)).state == "done"
    assert marks(path) == OLD.plan
    finished_once(house, job, OLD.plan)


async def test_a_killed_cluster_and_an_upgraded_program_finish_the_job_by_its_old_plan(house):
    job, path = await house.submit(seconds={"middle": 4})
    await house.until_marked(path, "middle")
    house.cluster.kill()
    assert (await house.jobs.get(job.id)).state == "running"
    left = house.settings.home / "work" / "trial"
    assert len(list(left.iterdir())) == 1  # what the killed stage had no time to remove
    before = marks(path)
    # What is submitted now waits for the runner. The new program plans another stage first, and one of the old no more.
    house.cluster.pipeline = "tests.integration.pipelines.trial:NEW"
    house.jobs.catalog = Catalog({"trial": "tests.integration.pipelines.trial:NEW"})
    newer, newer_path = await house.submit()
    await asyncio.to_thread(house.cluster.start)
    assert (await house.jobs.wait(job.id)).state == "done"
    assert before == ["first", "middle"]
    assert marks(path) == ["first", "middle", "middle", "removed", "last"]
    finished_once(house, job, OLD.plan)
    assert (await house.jobs.wait(newer.id)).state == "done"
    assert marks(newer_path) == ["inserted", "first", "middle", "last"]
    assert list(left.iterdir()) == []
    # From the first stage on, an old job follows the new plan; from a later one, its own.
    fresh = await house.jobs.retry(job.id)
    forked = await house.jobs.retry(job.id, "removed")
    assert (fresh.plan[0], forked.plan) == ("inserted", OLD.plan)
    assert (await house.jobs.wait(fresh.id)).state == (await house.jobs.wait(forked.id)).state == "done"
    assert os.getpid() not in {line["pid"] for line in house.cluster.lines("stage begins")}
