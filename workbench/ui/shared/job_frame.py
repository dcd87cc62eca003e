"""A page that starts a job and then shows it: what one sends, or the job's stages with Cancel and Try again, or its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import gradio as gr

from infra.database.tables import User
from workbench.services.context import Services
from workbench.services.progress import JobProgress, job_progress
from workbench.ui.shared.shell import HIDDEN, Updates, html, person, told
from workbench.ui.shared.stages import stages_html


class JobFrame:
    """Laid out where it is made; the page fills ``start`` and ``result``.

    Attributes:
        box: hidden; the id of the job that is shown, "" for none.
        start: what is there before a job; shown by the page.
        title: above the job, and above its result.
    """

    def __init__(self, services: Services, *, elem_id: str, label: str) -> None:
        self._services = services
        self.box = gr.Textbox(visible="hidden", elem_id=elem_id, label=label)
        self._timer = gr.Timer(1.0, active=False)
        self.start = gr.Column(visible=False)
        self._view = gr.Column(visible=False)
        with self._view:
            self.title = html()
            with gr.Column(elem_classes="wb-narrow"):
                self._stages = html()
                with gr.Row():
                    self._cancel = gr.Button("Cancel", visible=False, elem_id="cancel", scale=0, min_width=120)
                    self._again = gr.Button("Try again", visible=False, variant="primary", elem_id="again", scale=0, min_width=120)
            self.result = gr.Column(visible=False)

    @property
    def parts(self) -> list[Any]:
        """What its updates may name."""
        return [self.box, self._timer, self.start, self._view, self.title, self._stages, self._cancel, self._again, self.result]

    def before(self) -> Updates:
        """No job yet."""
        return {
            self.box: "",
            self._timer: gr.Timer(active=False),
            self.start: gr.Column(visible=True),
            self._view: gr.Column(visible=False),
        }

    def showing(self, progress: JobProgress, title: str) -> Updates:
        """The job in place of the start; of one that is done, the column for its result in place of the stages."""
        job = progress.job
        return {
            self.box: job.id,
            self._timer: gr.Timer(active=progress.live),
            self.start: gr.Column(visible=False),
            self._view: gr.Column(visible=True),
            self.title: title,
            self._stages: gr.HTML(stages_html(progress), visible=job.state != "done"),
            self._cancel: gr.Button(visible=progress.live),
            # Trying again is the thing to do only where it can help.
            self._again: gr.Button(
                visible=job.state in ("failed", "cancelled"),
                variant="primary" if job.state == "cancelled" or (job.error or {}).get("retryable") else "secondary",
            ),
            self.result: gr.Column(visible=job.state == "done"),
        }

    def wire(self, everything: Sequence[Any], show_job: Callable[[User, str], Awaitable[Updates]], opened: str) -> None:
        """Let the clock and the buttons work.

        Args:
            everything: all that ``show_job``, the page's own, may change.
            opened: script that takes the job's id to the address.
        """

        @told
        async def tick(job_id: str, request: gr.Request) -> Updates:
            user = person(request)
            if not job_id:
                return {self._timer: gr.Timer(active=False)}
            progress = await job_progress(self._services, user, job_id)
            # While it runs only the stages change; the end brings the rest.
            return {self._stages: stages_html(progress)} if progress.live else await show_job(user, job_id)

        @told
        async def stop(job_id: str, request: gr.Request) -> Updates:
            user = person(request)
            await self._services.jobs.cancel(job_id, owner_id=user.id)
            return await show_job(user, job_id)

        @told
        async def retry(job_id: str, request: gr.Request) -> Updates:
            user = person(request)
            return await show_job(user, (await self._services.jobs.retry(job_id, owner_id=user.id)).id)

        self._timer.tick(tick, self.box, everything, **HIDDEN)
        self._cancel.click(stop, self.box, everything, **HIDDEN)
        self._again.click(retry, self.box, everything, **HIDDEN).then(None, self.box, None, js=opened)
