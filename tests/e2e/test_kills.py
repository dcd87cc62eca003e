"""Killed in the middle of a job, the workbench comes back and finishes it, and no finished stage runs twice."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.benchmarks.start_and_memory import template_bytes
from tests.running import House, RunningWorkbench

PATIENCE = 150


@pytest.fixture
def workbench(house: House) -> RunningWorkbench:
    """The workbench of these tests, started again where the test before left it dead."""
    if house.workbench.process.poll() is not None:
        house.restart()
    return house.workbench


def begin(workbench: RunningWorkbench) -> str:
    """Submit a scan; the id of its job."""
    with workbench.client as client:
        answer = client.post("/imaging/analyze", files={"file": ("mni152.nii.gz", template_bytes())})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def events(workbench: RunningWorkbench, job: str) -> list[dict]:
    with workbench.client as client:
        return client.get(f"/jobs/{job}/events").json()["events"]


def wait_for_stage(workbench: RunningWorkbench, job: str, stage: str) -> None:
    """Until the stage has started."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        if any(event["kind"] == "started" and event["stage"] == stage for event in events(workbench, job)):
            return
        time.sleep(0.05)
    pytest.fail(f"stage {stage} never started: {events(workbench, job)}")


def wait_for_end(workbench: RunningWorkbench, job: str) -> dict:
    limit = time.monotonic() + PATIENCE
    found: dict = {}
    while time.monotonic() < limit:
        try:
            with workbench.client as client:
                found = client.get(f"/jobs/{job}").json()
        except httpx.HTTPError:
            pass  # the gateway is coming back
        if found.get("state") in ("done", "failed", "cancelled"):
            return found
        time.sleep(0.3)
    pytest.fail(f"the job did not end: {found} {events(workbench, job)}")


def assert_nothing_ran_twice(workbench: RunningWorkbench, job: str, *, interrupted: str) -> None:
    """Every stage finished once; only the interrupted one was begun again."""
    told = events(workbench, job)
    finished = [event["stage"] for event in told if event["kind"] == "finished"]
    assert len(finished) == len(set(finished)), told
    begun = [event["stage"] for event in told if event["kind"] == "started"]
    again = {stage for stage in begun if begun.count(stage) > 1}
    assert again <= {interrupted}, told
    for stage in set(finished):
        last_start = max(event["id"] for event in told if event["kind"] == "started" and event["stage"] == stage)
        end = next(event["id"] for event in told if event["kind"] == "finished" and event["stage"] == stage)
        assert last_start < end, f"{stage} was begun again after it had finished"


@pytest.mark.timeout(600)
def test_killed_runner(workbench: RunningWorkbench) -> None:
    job = begin(workbench)
    wait_for_stage(workbench, job, "segment")
    (runner,) = workbench.find("ServeReplica", "runner")
    runner.kill()
    assert wait_for_end(workbench, job)["state"] == "done"
    assert_nothing_ran_twice(workbench, job, interrupted="segment")


@pytest.mark.timeout(600)
def test_killed_gateway(workbench: RunningWorkbench) -> None:
    job = begin(workbench)
    wait_for_stage(workbench, job, "segment")
    (gateway,) = workbench.find("workbench.gateway_process")
    gateway.kill()
    assert wait_for_end(workbench, job)["state"] == "done"
    assert_nothing_ran_twice(workbench, job, interrupted="")


@pytest.mark.timeout(600)
def test_killed_as_a_whole(workbench: RunningWorkbench, house: House) -> None:
    job = begin(workbench)
    wait_for_stage(workbench, job, "segment")
    workbench.kill()
    assert not workbench.processes()
    house.restart()
    again = house.workbench
    assert wait_for_end(again, job)["state"] == "done"
    assert_nothing_ran_twice(again, job, interrupted="segment")
    with again.client as client:
        assert client.get(f"/imaging/analysis/{job}").json()["measurements"]
