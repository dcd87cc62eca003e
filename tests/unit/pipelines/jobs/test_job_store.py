"""What the job store writes when a job ends."""

from __future__ import annotations

import pytest
from sqlmodel import select

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, Notification, User
from infra.errors import CorruptFile
from pipelines.jobs.job_store import JobStore


@pytest.fixture
def job_store(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'tables.sqlite'}")
    migrate(database)
    with database.session() as session:
        session.add(User(id="member", name="member", role="member"))
    with database.session() as session:
        session.add(AnalysisJob(id="j", owner_id="member", pipeline="imaging", title="scan.nii.gz", plan=["read", "measure"], input={}))
    yield JobStore(database)
    database.close()


@pytest.mark.parametrize("started", [True, False])
async def test_a_failed_job_names_the_title_of_its_stage(job_store, started):
    if started:
        await job_store.begin_stage("j", "measure")
        await job_store.event("j", "started", stage="measure", message="Measuring structures")
    await job_store.failed("j", "measure", CorruptFile("It is cut off."))
    with job_store.database.session() as session:
        text = session.exec(select(Notification.text)).one()
    where = ' at the stage "Measuring structures"' if started else ""
    assert text == f"scan.nii.gz failed{where}: It is cut off."
