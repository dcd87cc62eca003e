"""The page Activity: types are named, pages are counted, an empty table says what to do."""

from __future__ import annotations

from infra.database.tables import AnalysisJob, now
from workbench.services.progress import JobProgress
from workbench.ui.activity import SHOWN, activity_html


def job(state: str = "done", pipeline: str = "compliance") -> JobProgress:
    row = AnalysisJob(
        id="j1", pipeline=pipeline, title="terms <b>.pdf", state=state, owner_id="u", plan=["check"], input={}, created_at=now()
    )
    return JobProgress(row, (), 3.0)


def test_a_job_has_its_type_state_and_page() -> None:
    html = activity_html([job()], count=1, first=0, narrowed=False)
    assert "Compliance</td>" in html and "terms &lt;b&gt;.pdf" in html and "/compliance?job=j1" in html and "Done" in html
    assert "Knowledge</td>" in activity_html([job(pipeline="ingestion")], count=1, first=0, narrowed=False)
    assert "Newer" not in html


def test_pages_are_counted_and_end() -> None:
    html = activity_html([job()], count=2 * SHOWN + 1, first=2 * SHOWN, narrowed=False)
    assert f"{2 * SHOWN + 1}–{2 * SHOWN + 1} of {2 * SHOWN + 1}" in html
    assert f'data-job="{SHOWN}">Newer' in html and f'data-job="{3 * SHOWN}" disabled>Older' in html


def test_nothing_found_and_nothing_there_are_told_apart() -> None:
    assert "No matching jobs" in activity_html([], count=0, first=0, narrowed=True)
    assert "No jobs yet" in activity_html([], count=0, first=0, narrowed=False)
