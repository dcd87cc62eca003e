"""The stages of a job as a person sees them, told from its row and events."""

from __future__ import annotations

from datetime import timedelta

from infra.database.tables import AnalysisJob, JobEvent, now
from workbench.services.progress import JobProgress, StageProgress, stages_of
from workbench.ui.shared.stages import UNDERWAY, stages_html, underway_html

PLAN = ["receive", "segment", "store"]
TITLES = {"receive": "Reading", "segment": "Segmenting"}
BEGAN = now()


def job(state: str, stage: str | None = None, **more: object) -> AnalysisJob:
    return AnalysisJob(id="j", owner_id="u", pipeline="imaging", title="<scan>.nii", plan=PLAN, state=state, stage=stage, **more)


def event(kind: str, stage: str | None, seconds_in: float, **more: object) -> JobEvent:
    return JobEvent(job_id="j", kind=kind, stage=stage, created_at=BEGAN + timedelta(seconds=seconds_in), **more)


def told(row: AnalysisJob, *events: JobEvent, after: float = 10) -> tuple[StageProgress, ...]:
    return stages_of(row, list(events), TITLES, BEGAN + timedelta(seconds=after))


def test_running() -> None:
    stages = told(
        job("running", "segment"),
        event("started", "receive", 0),
        event("finished", "receive", 2, seconds=1.9),
        event("started", "segment", 2),
        event("progress", "segment", 5, message="Half"),
    )
    assert [s.state for s in stages] == ["done", "running", "waiting"]
    assert (stages[0].seconds, stages[1].seconds) == (1.9, 8.0)
    assert stages[1].message == "Half"
    assert [s.title for s in stages] == ["Reading", "Segmenting", "Store"]


def test_failed_says_where_why_and_what_to_do() -> None:
    row = job("failed", "segment", error={"code": "corrupt_file", "message": "It is <cut>.", "retryable": False})
    row.finished_at = BEGAN + timedelta(seconds=5)
    stages = told(row, event("started", "receive", 0), event("finished", "receive", 1, seconds=1.0), event("started", "segment", 2))
    assert [s.state for s in stages] == ["done", "failed", "waiting"]
    assert stages[1].seconds == 3.0
    html = stages_html(JobProgress(row, stages, 5.0))
    assert "Failed at stage “Segmenting”" in html
    assert "It is &lt;cut&gt;." in html
    assert "corrupt_file" not in html  # a code is for programs


def test_a_stage_begun_again_after_a_kill_runs_again() -> None:
    stages = told(job("running", "segment"), event("started", "segment", 0), event("started", "segment", 7))
    assert stages[1].state == "running"
    assert stages[1].seconds == 3.0


def test_a_job_that_continues_another_shows_what_it_took_over() -> None:
    stages = told(job("running", "store"), event("queued", None, 0), event("started", "store", 1))
    assert [s.state for s in stages] == ["skipped", "skipped", "running"]


def test_waiting_and_done() -> None:
    assert {s.state for s in told(job("queued"))} == {"waiting"}
    events = [e for n, s in enumerate(PLAN) for e in (event("started", s, n), event("finished", s, n + 1, seconds=1.0))]
    assert {s.state for s in told(job("done"), *events)} == {"done"}


def test_cancelled() -> None:
    stages = told(
        job("cancelled", "segment"), event("started", "receive", 0), event("finished", "receive", 1), event("started", "segment", 1)
    )
    assert stages[1].state == "cancelled"
    assert "Cancelled." in stages_html(JobProgress(job("cancelled", "segment"), stages, None))


def test_what_is_underway_stands_as_links_and_what_has_ended_does_not() -> None:
    running, waiting, ended = job("running", "segment", fraction=0.4), job("queued"), job("done")
    html = underway_html([JobProgress(one, told(one, event("started", "segment", 0)), 1.0) for one in (running, waiting, ended)])
    assert html.count('href="/imaging?job=j"') == 2
    assert "Segmenting" in html and "40 %" in html and "Queued" in html and "&lt;scan&gt;.nii" in html


def test_nothing_underway_is_nothing_and_of_many_the_first_stand() -> None:
    assert underway_html([JobProgress(job("failed", "segment"), (), 1.0)]) == ""
    many = [JobProgress(job("queued"), (), None)] * (UNDERWAY + 3)
    html = underway_html(many)
    assert html.count("Queued") == UNDERWAY and "3 more" in html
