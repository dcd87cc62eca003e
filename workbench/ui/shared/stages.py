"""The stages of a job as HTML, and a list of running jobs."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.services.addresses import job_page
from workbench.services.progress import JobProgress, StageProgress
from workbench.ui.shared.formatting import duration, escape

_MARK = {"done": "✓", "failed": "✕", "cancelled": "–", "skipped": "✓"}
UNDERWAY = 5
"""Jobs shown at most where those underway stand above the results; a cohort has many."""


def stages_html(progress: JobProgress) -> str:
    """The list of stages under a bar of the whole."""
    job = progress.job
    percent = round(100 * (1.0 if job.state == "done" else job.fraction))
    heading = {
        "queued": "Queued",
        "running": "Running",
        "done": "Finished",
        "failed": "Failed",
        "cancelled": "Cancelled",
    }[job.state]
    told = f"{duration(progress.seconds)}" if progress.seconds is not None else ""
    bar = (
        f'<div class="wb-progress {job.state}" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        f'aria-label="{escape(job.title)}"><i style="width:{percent}%"></i></div>'
    )
    rows = "".join(_row(stage) for stage in progress.stages)
    return (
        f'<section class="wb-card wb-job" data-state="{job.state}"><div class="wb-card-head"><h2>{heading}</h2>'
        f'<span class="wb-quiet wb-number">{told}</span></div>{bar}<ol class="wb-stages" aria-live="polite">{rows}</ol>'
        f"{_advice(progress)}</section>"
    )


def underway_html(jobs: Sequence[JobProgress]) -> str:
    """Those of the jobs that wait or run, each with where it stands, as a link to it; "" where none does."""
    live = [one for one in jobs if one.live]
    rows = "".join(
        f'<tr><th scope="row"><a href="{job_page(one.job.pipeline, one.job.id)}">{escape(one.job.title)}</a></th>'
        f'<td class="wb-wrap">{_standing(one)}</td></tr>'
        for one in live[:UNDERWAY]
    )
    more = f"{len(live) - UNDERWAY} more in Activity" if len(live) > UNDERWAY else "Activity"
    table = f'<section class="wb-card"><table class="wb-table wb-jobs"><tbody>{rows}</tbody></table></section>'
    return f'<div class="wb-heading"><h2>In progress</h2><a href="/activity">{more}</a></div>{table}' if rows else ""


def _standing(progress: JobProgress) -> str:
    job = progress.job
    if job.state == "queued":
        return "Queued"
    stage = next((stage.title for stage in progress.stages if stage.name == job.stage), "Running")
    return f'{escape(stage)} <span class="wb-quiet wb-number">{round(100 * job.fraction)} %</span>'


def _row(stage: StageProgress) -> str:
    mark = _MARK.get(stage.state, "")
    message = escape(stage.message) if stage.state in ("running", "cancelled") else ""
    if stage.state == "skipped":
        message = "reused from the previous run"
    current = ' aria-current="step"' if stage.state == "running" else ""
    return (
        f'<li class="{stage.state}"{current}><span class="wb-mark" aria-hidden="true">{mark}</span>'
        f'<span class="wb-stage">{escape(stage.title)}'
        f'{f"<small>{message}</small>" if message else ""}</span><span class="wb-number">{duration(stage.seconds)}</span></li>'
    )


def _advice(progress: JobProgress) -> str:
    """The error or state, and what to do."""
    job = progress.job
    if job.state == "failed":
        error = job.error or {}
        stage = next((s.title for s in progress.stages if s.name == job.stage), None)
        where = f"Failed at stage “{escape(stage)}”. " if stage else ""
        again = (
            "This error may be temporary. Try again."
            if error.get("retryable")
            else "Retrying the same file gives the same error unless something has changed."
        )
        return (
            f'<div class="wb-note bad" role="alert"><strong>{where}</strong>{escape(str(error.get("message") or "No error message."))}'
            f'<p class="wb-quiet">{again}</p></div>'
        )
    if job.state == "cancelled":
        return '<div class="wb-note"><strong>Cancelled.</strong> Try again resumes at the stage where it stopped.</div>'
    if job.state == "queued":
        return '<p class="wb-quiet wb-after">Waiting for other analyses. You can close this page; progress is shown in Activity.</p>'
    if job.state == "running":
        return '<p class="wb-quiet wb-after">You can close this page; the analysis continues and is shown in Activity.</p>'
    return ""
