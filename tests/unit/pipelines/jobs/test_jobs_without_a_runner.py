"""Jobs before the first runner has made its database: accepted, seen, cancelled, and never an error of a library."""

import pytest

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, User
from infra.errors import NotFound, Unavailable
from pipelines.jobs.catalog import Catalog
from pipelines.jobs.service import Jobs
from pipelines.jobs.workflows import Workflows


@pytest.fixture
def jobs(settings):
    database = Database(settings.database_url)
    migrate(database)
    with database.session() as session:
        session.add(User(id="u", name="u", role="member"))
    jobs = Jobs(settings, database, Catalog({"trial": "tests.integration.pipelines.trial:OLD"}))
    jobs.database = database
    yield jobs
    jobs.close()
    database.close()


async def test_a_job_is_accepted_and_waits(jobs):
    job = await jobs.submit("trial", owner_id="u", title="T", input={"marks": "m"}, idempotency_key="k")
    assert (await jobs.get(job.id, "u")).state == "queued"
    assert [event.kind for event in await jobs.events(job.id)] == ["queued"]
    assert (await jobs.submit("trial", owner_id="u", title="T", input={"marks": "m"}, idempotency_key="k")).id == job.id
    assert [row.id for row in await jobs.list("u", pipeline="trial")] == [job.id] and await jobs.list("u", pipeline="other") == []


async def test_it_can_be_cancelled_and_then_watched_to_its_end(jobs):
    job = await jobs.submit("trial", owner_id="u", title="T", input={"marks": "m"})
    assert (await jobs.cancel(job.id)).state == "cancelled"
    assert [event.kind async for event in jobs.watch(job.id)] == ["queued", "cancelled"]
    again = await jobs.retry(job.id)  # from the first stage: nothing has to be read from the runner's database
    assert again.state == "queued" and again.parent_id == job.id


async def test_what_needs_the_runners_database_says_so(jobs):
    with jobs.database.session() as session:
        job = AnalysisJob(owner_id="u", pipeline="trial", title="T", plan=["first", "middle"], state="failed", stage="middle")
        session.add(job)
    with pytest.raises(Unavailable, match="Try again"):
        await jobs.retry(job.id)


async def test_an_unknown_pipeline_is_not_accepted(jobs):
    with pytest.raises(NotFound, match="Available: trial"):
        await jobs.submit("other", owner_id="u", title="T", input={})


async def test_a_database_that_is_away_is_unavailable(settings):
    away = settings.model_copy(update={"database": settings.database.model_copy(update={"jobs_url": "postgresql://127.0.0.1:9/none"})})
    workflows = Workflows(away)
    with pytest.raises(Unavailable):
        await workflows.start("j", "trial", ["a"])
    workflows.close()


async def test_pages_of_jobs_are_narrowed_by_type_state_and_title(jobs):
    for title in ("First scan", "Second scan", "A 100 % contract"):
        await jobs.submit("trial", owner_id="u", title=title, input={"marks": "m"})
    found, count = await jobs.page("u", limit=2)
    assert count == 3 and [one.title for one in found] == ["A 100 % contract", "Second scan"]
    assert [one.title for one in (await jobs.page("u", limit=2, offset=2))[0]] == ["First scan"]
    assert (await jobs.page("u", limit=5, containing="SCAN"))[1] == 2
    assert (await jobs.page("u", limit=5, containing="100 %"))[1] == 1 and (await jobs.page("u", limit=5, containing="_"))[1] == 0
    assert (await jobs.page("u", limit=5, states=("done",))) == ([], 0)
    assert (await jobs.page("u", limit=5, pipeline="other"))[1] == 0 and (await jobs.page("someone", limit=5))[1] == 0
