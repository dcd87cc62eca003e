"""Activity: all jobs of a person; filter and search them, open, cancel or retry one."""

from __future__ import annotations

from typing import Any

import gradio as gr

from infra.database import as_utc
from infra.database.tables import AnalysisJob, User
from workbench.services.addresses import job_page
from workbench.services.context import Services
from workbench.services.progress import JobProgress, page_of_progress
from workbench.ui.shared.formatting import capital, duration, escape, moment
from workbench.ui.shared.shell import HIDDEN, bottom_line, chip, empty, html, person, told, top_bar

SHOWN = 25
FILTERS = ("All", "Running", "Done", "Failed", "Cancelled")
STATES = {"Running": ("queued", "running"), "Done": ("done",), "Failed": ("failed",), "Cancelled": ("cancelled",)}
EVERY_TYPE = "All types"
TYPES = {"Imaging": "imaging", "Compliance": "compliance", "Knowledge": "ingestion"}
"""What each pipeline is called here: the name of its page."""
_KIND = {"done": "good", "failed": "bad", "running": "live", "queued": "live", "cancelled": "plain"}
_TYPE_NAMES = {pipeline: name for name, pipeline in TYPES.items()}
_NAMES = {"done": "Done", "failed": "Failed", "running": "Running", "queued": "Queued", "cancelled": "Cancelled"}

# A button in a row says which job and what to do; the page's two hidden fields carry it to the handler.
_ON_CLICK = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-job-action]');
  if (!button) return;
  button.disabled = true;
  trigger('submit', { action: button.dataset.jobAction, job: button.dataset.job });
});"""


def activity_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Activity")
    html('<div class="wb-lead"><h1>Activity</h1><p>All your jobs. They continue when you close the page.</p></div>')
    offset = gr.Number(0, visible="hidden", precision=0, label="First job shown")
    with gr.Row(elem_classes="wb-form wb-filters"):
        chosen = gr.Radio(
            list(FILTERS), value="All", label="State", show_label=False, container=False, elem_classes="wb-filter", scale=0, min_width=460
        )
        kind = gr.Dropdown(
            [EVERY_TYPE, *TYPES], value=EVERY_TYPE, label="Type", show_label=False, container=False, elem_id="type", scale=0, min_width=170
        )
        find = gr.Textbox(
            label="Search jobs by name", show_label=False, container=False, placeholder="Search by name", max_lines=1, elem_id="find",
            min_width=200,
        )  # fmt: skip
    table = html(js_on_load=_ON_CLICK, elem_classes="wb-activity")
    timer = gr.Timer(2.0)
    bottom_line()
    filters = [chosen, kind, find]

    async def listed(user: User, state: str, named: str, text: str, first: float) -> dict[Any, Any]:
        first = max(0, int(first or 0))
        pipeline, states = TYPES.get(named), STATES.get(state, ())
        jobs, count = await page_of_progress(services, user, limit=SHOWN, offset=first, pipeline=pipeline, states=states, text=text)
        if not jobs and first:  # the last page is gone: jobs were deleted, or left this state
            first = max(0, (count - 1) // SHOWN * SHOWN)
            jobs, count = await page_of_progress(services, user, limit=SHOWN, offset=first, pipeline=pipeline, states=states, text=text)
        narrowed = state != "All" or pipeline is not None or bool(text.strip())
        return {offset: first, table: activity_html(jobs, count=count, first=first, narrowed=narrowed)}

    @told
    async def show(state: str, named: str, text: str, first: float, request: gr.Request) -> dict[Any, Any]:
        return await listed(person(request), state, named, text, first)

    @told
    async def narrow(state: str, named: str, text: str, request: gr.Request) -> dict[Any, Any]:
        return await listed(person(request), state, named, text, 0)

    @told
    async def act(state: str, named: str, text: str, first: float, request: gr.Request, event: gr.EventData) -> dict[Any, Any]:
        user = person(request)
        action, job_id = str(event.action), str(event.job)
        if action == "cancel":
            await services.jobs.cancel(job_id, owner_id=user.id)
        elif action == "retry":
            await services.jobs.retry(job_id, owner_id=user.id)
        elif action == "page":
            first = int(job_id)
        return await listed(user, state, named, text, first)

    blocks.load(show, [*filters, offset], [offset, table], **HIDDEN)
    gr.on([chosen.change, kind.change, find.change], narrow, filters, [offset, table], trigger_mode="always_last", **HIDDEN)
    timer.tick(show, [*filters, offset], [offset, table], **HIDDEN)
    table.submit(act, [*filters, offset], [offset, table], **HIDDEN)


def activity_html(jobs: list[JobProgress], *, count: int, first: int, narrowed: bool) -> str:
    """One page of the table.

    Args:
        count: jobs on all pages.
        first: number of the first job on this page, from 0.
        narrowed: a filter or a search is set.
    """
    if not jobs and narrowed:
        return empty("No matching jobs", "Change the filters or the search.")
    if not jobs:
        return empty("No jobs yet", '<a href="/imaging">Analyse a scan</a> or <a href="/compliance">check a document</a> to start one.')
    rows = "".join(_row(item) for item in jobs)
    return (
        '<section class="wb-card"><table class="wb-table wb-jobs"><thead><tr>'
        "<th>Name</th><th>Type</th><th>State</th><th>Stage</th><th>Duration</th><th>Created</th>"
        f'<th><span class="wb-hidden">Actions</span></th></tr></thead><tbody>{rows}</tbody></table>{_pages(count, first)}</section>'
    )


def _pages(count: int, first: int) -> str:
    if count <= SHOWN:
        return ""
    newer = _page_button("Newer", first - SHOWN, first > 0)
    older = _page_button("Older", first + SHOWN, first + SHOWN < count)
    where = f'<span class="wb-quiet wb-number">{first + 1}–{min(first + SHOWN, count)} of {count}</span>'
    return f'<nav class="wb-pages" aria-label="Pages of jobs">{newer}{where}{older}</nav>'


def _page_button(text: str, first: int, enabled: bool) -> str:
    off = "" if enabled else " disabled"
    return f'<button type="button" class="wb-button small" data-job-action="page" data-job="{max(first, 0)}"{off}>{text}</button>'


def _row(item: JobProgress) -> str:
    job = item.job
    stage = next((s.title for s in item.stages if s.name == job.stage), "") if job.state != "done" else ""
    if job.state == "running":
        stage += f' <span class="wb-quiet wb-number">{round(100 * job.fraction)} %</span>'
    why = f"<small>{escape(str((job.error or {}).get('message', '')))}</small>" if job.state == "failed" else ""
    return (
        f'<tr data-state="{job.state}"><th scope="row"><a href="{job_page(job.pipeline, job.id)}">{escape(job.title)}</a>{why}</th>'
        f'<td class="wb-quiet">{_TYPE_NAMES.get(job.pipeline, escape(job.pipeline))}</td>'
        f"<td>{chip(_NAMES.get(job.state, capital(job.state)), _KIND.get(job.state, 'plain'))}</td><td>{stage}</td>"
        f'<td class="wb-number">{duration(item.seconds)}</td><td class="wb-when">{moment(as_utc(job.created_at))}</td>'
        f'<td class="wb-actions">{_actions(job)}</td></tr>'
    )


def _actions(job: AnalysisJob) -> str:
    if job.state in ("queued", "running"):
        return f'<button type="button" class="wb-link" data-job-action="cancel" data-job="{job.id}">Cancel</button>'
    if job.state in ("failed", "cancelled"):
        return f'<button type="button" class="wb-link" data-job-action="retry" data-job="{job.id}">Try again</button>'
    return f'<a class="wb-link" href="{job_page(job.pipeline, job.id)}">Open</a>'
