"""An analysis on the real application, killed in the middle: it is finished, and nothing that was read is read again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from sqlmodel import select

from infra.database import Database, migrate
from infra.database.people import owner_of
from infra.database.tables import AnalysisResult, JobEvent
from infra.objectstore import make_object_store
from knowledge.requirements import Policy, Requirement
from pipelines.compliance.analysing import REQUIREMENTS_AT_ONCE
from pipelines.compliance.reading import folder_of
from pipelines.jobs.service import Jobs
from tests.integration.conftest import Served

pytestmark = pytest.mark.timeout(600)

THINGS = ("keys", "doors", "gates", "lamps", "boats", "ropes", "tanks", "pumps", "bells", "flags", "carts", "nets")
DUTIES = ("must be locked at night", "must be counted every week", "must not be lent to visitors", "should be painted in spring")


def pids(home: Path, component: str, event: str) -> list[int]:
    """Of the processes that logged ``event``, the newest last."""
    found = []
    path = home / "logs" / f"pipelines-{component}.log"
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            if (said := json.loads(line)).get("event") == event:
                found.append(said["pid"])
    return found


def wait_for_their_end(pids: list[int]) -> None:
    """A killed process may write for a moment yet."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)


async def test_killed_in_the_middle_it_goes_on_and_reads_nothing_twice(served: Served, tmp_path: Path):
    settings, name = served.settings, "harbour.md"
    database, store = Database(settings.database_url), make_object_store(settings)
    migrate(database)
    owner = await database.run(lambda session: owner_of(session)[0].id)
    bucket, uploads = settings.storage.buckets.analysis_reports, settings.storage.buckets.uploads_raw
    harbour = "\n\n".join(f"Our {thing} {duty}, and the warden writes it down." for thing in THINGS for duty in DUTIES)
    put = store.put(uploads, "harbour.md", f"# Harbour\n\n{harbour}\n".encode())
    asked = [Requirement(f"{thing} {row}", f"All {thing} {duty}.") for row, duty in enumerate(DUTIES) for thing in THINGS]
    policy = Policy("harbour rules", requirements=tuple(asked))
    store.put(bucket, "compliance/requirements/harbour.json", json.dumps([policy.as_dict()]).encode())
    given = {"bucket": uploads, "key": put.key, "name": name, "sha256": put.sha256, "upload": None}
    jobs = Jobs(settings, database)

    def kept() -> dict[str, tuple[int, int]]:
        """Key of each requirement's readings to how many there are, and when they were written."""
        found = {}
        for info in store.list(bucket, folder_of(owner, name)):
            path = store.local_path(bucket, info.key, folder=tmp_path)
            found[info.key] = (len(json.loads(path.read_text())), path.stat().st_mtime_ns)
        return found

    job = await jobs.submit(
        "compliance", owner_id=owner, title=name, input={"document": given, "requirements": "compliance/requirements/harbour.json"}
    )
    while len(await asyncio.to_thread(kept)) < REQUIREMENTS_AT_ONCE:
        assert (await jobs.get(job.id)).state in ("queued", "running")
        await asyncio.sleep(0.02)
    victims = [pids(settings.home, "compliance", "stage worker ready")[-1], pids(settings.home, "runner", "runner ready")[-1]]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(wait_for_their_end, victims)
    before = kept()
    assert REQUIREMENTS_AT_ONCE <= len(before) < len(asked), "it was killed too late"
    async with asyncio.timeout(300):
        assert (await jobs.wait(job.id)).state == "done"

    after = kept()
    assert len(after) == len(asked) and before.items() <= after.items()
    with database.session() as session:
        result = session.exec(select(AnalysisResult).where(AnalysisResult.job_id == job.id)).one()
        told = Counter((event.kind, event.stage) for event in session.exec(select(JobEvent).where(JobEvent.job_id == job.id)))
    new = sum(count for count, _ in after.values()) - sum(count for count, _ in before.values())
    assert result.summary["pairs"] == new
    assert sum(result.summary["counts"][verdict] for verdict in ("satisfied", "violated", "not_addressed")) == len(asked)
    assert {stage: told["finished", stage] for stage in job.plan} == {stage: 1 for stage in job.plan}
    assert (told["started", "read"], told["started", "report"]) == (1, 1) and told["started", "check"] >= 2
    jobs.close()
    database.close()
