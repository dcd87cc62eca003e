"""Activity: every analysis of a person, running and ended; open it, cancel it, run it again."""

from __future__ import annotations

import gradio as gr

from infra.database import as_utc
from infra.database.tables import AnalysisJob
from workbench.services.addresses import job_page
from workbench.services.context import Services
from workbench.services.progress import JobProgress, list_progress
from workbench.ui.shell import HIDDEN, bottom_line, chip, empty, html, person, told, top_bar
from workbench.ui.words import capital, duration, escape, moment

SHOWN = 100
FILTERS = ("All", "Running", "Done", "Failed", "Cancelled")
_KIND = {"done": "good", "failed": "bad", "running": "live", "queued": "live", "cancelled": "plain"}
_NAMES = {"done": "Done", "failed": "Failed", "running": "Running", "queued": "Waiting", "cancelled": "Cancelled"}

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
    html('<div class="wb-lead"><h1>Activity</h1><p>Every analysis, running and ended. What runs goes on when you close the page.</p></div>')
    chosen = gr.Radio(list(FILTERS), value="All", label="Which to show", show_label=False, container=False, elem_classes="wb-filter")
    table = html(js_on_load=_ON_CLICK, elem_classes="wb-activity")
    timer = gr.Timer(2.0)
    bottom_line()

    @told
    async def show(wanted: str, request: gr.Request) -> str:
        jobs = await list_progress(services, person(request), limit=SHOWN)
        return activity_html(jobs, wanted)

    @told
    async def act(wanted: str, request: gr.Request, event: gr.EventData) -> str:
        user = person(request)
        action, job_id = str(event.action), str(event.job)
        if action == "cancel":
            await services.jobs.cancel(job_id, owner_id=user.id)
        elif action == "retry":
            await services.jobs.retry(job_id, owner_id=user.id)
        return activity_html(await list_progress(services, user, limit=SHOWN), wanted)

    blocks.load(show, chosen, table, **HIDDEN)
    chosen.change(show, chosen, table, **HIDDEN)
    timer.tick(show, chosen, table, **HIDDEN)
    table.submit(act, chosen, table, **HIDDEN)


def activity_html(jobs: list[JobProgress], wanted: str) -> str:
    """The table; ``wanted`` is one of ``FILTERS``."""
    if not jobs:
        return empty("Nothing yet", 'Begin with a scan of yours, or with a sample: <a href="/imaging">analyse a scan</a>.')
    states = {"Running": ("queued", "running"), "Done": ("done",), "Failed": ("failed",), "Cancelled": ("cancelled",)}.get(wanted)
    shown = [item for item in jobs if states is None or item.job.state in states]
    if not shown:
        return empty(f"No analysis is {wanted.lower()}", "Choose another filter to see the rest.")
    rows = "".join(_row(item) for item in shown)
    return (
        '<section class="wb-card"><table class="wb-table wb-jobs"><thead><tr>'
        "<th>Analysis</th><th>State</th><th>Stage</th><th>Took</th><th>Sent</th>"
        f'<th><span class="wb-hidden">What to do</span></th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _row(item: JobProgress) -> str:
    job = item.job
    stage = next((s.title for s in item.stages if s.name == job.stage), "") if job.state != "done" else ""
    if job.state == "running":
        stage += f' <span class="wb-quiet wb-number">{round(100 * job.fraction)} %</span>'
    why = f"<small>{escape(str((job.error or {}).get('message', '')))}</small>" if job.state == "failed" else ""
    return (
        f'<tr data-state="{job.state}"><th scope="row"><a href="{job_page(job.pipeline, job.id)}">{escape(job.title)}</a>{why}</th>'
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
