"""Imaging: upload a scan, follow its stages, read its report. One address a job: ``/imaging?job=ID``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr

from infra.database.tables import AnalysisJob, User
from infra.errors import NotFound
from pipelines.imaging.samples import SAMPLES
from pipelines.imaging.tables import structure_rows
from workbench.services.context import Services
from workbench.services.progress import JobProgress, job_progress, list_progress
from workbench.services.results import find_result, list_results, load_report
from workbench.services.uploads import save_upload, start_analysis, start_sample
from workbench.ui.imaging.charts import asymmetry_chart, volume_chart
from workbench.ui.imaging.report import finding_html, lesions_html, made_html, sentences_html, title_html, viewer_html, volumes_html
from workbench.ui.shared.cards import results_html
from workbench.ui.shared.job_frame import JobFrame
from workbench.ui.shared.shell import HIDDEN, Updates, bottom_line, empty, html, person, told, top_bar
from workbench.ui.shared.stages import underway_html

LEAD = """<div class="wb-lead"><h1>Analyse a brain MRI</h1>
<p>Upload a scan to segment and measure it. Processing runs on this server; no data is sent to third parties.</p></div>"""


def imaging_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Imaging")
    frame = JobFrame(services, elem_id="job", label="Job")
    with frame.start:
        html(LEAD)
        with gr.Row(equal_height=True):
            with gr.Column(scale=3, min_width=320):
                drop = gr.File(label="Scan", show_label=False, height=232, elem_id="drop", elem_classes="wb-drop", type="filepath")
            with gr.Column(scale=2, min_width=300, elem_classes="wb-samples"):
                # The first line is the title, the second the description.
                samples = [
                    (sample.name, gr.Button(f"{sample.title}\n{sample.text}", elem_id=f"sample-{sample.name}", elem_classes="wb-sample"))
                    for sample in SAMPLES.values()
                ]
        candidates = gr.Checkbox(
            label="List lesion candidates where lesions cannot be measured (not FLAIR)", value=False, container=False, elem_id="candidates"
        )
        earlier = html()

    with frame.result:
        with gr.Row(elem_classes="wb-pair wb-reading"):  # on a wide screen the viewer stands on the left (styles.css)
            with gr.Column(scale=5, min_width=320):
                finding = html()
                sentences = html(elem_classes="wb-below-viewer")
            with gr.Column(scale=9, min_width=340, elem_classes="wb-stick"):
                viewer = html()
        with gr.Row(elem_classes="wb-pair"):
            with gr.Column(scale=1, min_width=340):
                lesions = html()
                volumes = html()
                made = html()
            with gr.Column(scale=1, min_width=340, elem_classes="wb-card wb-charts"):
                html('<h2 class="wb-over">Volume by side</h2>')
                chart = gr.Plot(label="Volumes", show_label=False, container=False, elem_classes="wb-chart", elem_id="volume-chart")
                html('<h2 class="wb-over">Asymmetry index</h2>')
                sides = gr.Plot(label="Asymmetry", show_label=False, container=False, elem_classes="wb-chart", elem_id="asymmetry-chart")
    missing = html(visible=False)
    bottom_line()

    everything = [*frame.parts, earlier, finding, viewer, sentences, lesions, volumes, chart, sides, made, missing, drop]

    async def show_start(user: User) -> Updates:
        cards = await list_results(services, user, limit=4)
        heading = '<div class="wb-heading"><h2>Earlier results</h2><a href="/activity">All analyses</a></div>'
        underway = underway_html(await list_progress(services, user, pipeline="imaging"))
        return {
            **frame.before(),
            earlier: underway + (heading + results_html(cards) if cards else ""),
        }

    async def show_job(user: User, job_id: str) -> Updates:
        progress = await job_progress(services, user, job_id)
        job = progress.job
        updates: Updates = {drop: None, **frame.showing(progress, title_html(job, None, [], progress.seconds))}
        return updates | await show_result(user, job, progress) if job.state == "done" else updates

    async def show_result(user: User, job: AnalysisJob, progress: JobProgress) -> Updates:
        found = await find_result(services, user, job.id)
        report = await load_report(services, user, job.id)
        rows = structure_rows(report)
        return {
            frame.title: title_html(job, report, list(found.artifacts), progress.seconds),
            finding: finding_html(report),
            viewer: viewer_html(job.id),
            sentences: sentences_html(report),
            lesions: gr.HTML(lesions_html(report), visible=bool(report.lesions)),
            volumes: volumes_html(rows),
            chart: volume_chart(rows) if rows else None,
            sides: asymmetry_chart(rows) if rows else None,
            made: made_html(report, {stage.name: stage.title for stage in progress.stages}),
        }

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        job_id = str(request.query_params.get("job") or "")
        try:
            return await (show_job(user, job_id) if job_id else show_start(user))
        except NotFound:
            text = 'It does not exist or belongs to another account. <a href="/imaging">New analysis</a> · <a href="/activity">Activity</a>'
            return {missing: gr.HTML(empty("Analysis not found", text), visible=True)}

    @told
    async def send(path: str | None, candidates: bool, request: gr.Request) -> Updates:
        user = person(request)
        if not path:
            return {drop: None}
        file = Path(path)
        try:
            upload = await save_upload(services, user, file.name, file)
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)  # the store has it now; Gradio would keep its copy for an hour
        job = await start_analysis(services, user, upload.id, _options(candidates))
        return await show_job(user, job.id)

    def send_sample(name: str) -> Any:
        @told
        async def send_this(candidates: bool, request: gr.Request) -> Updates:
            user = person(request)
            job = await start_sample(services, user, name, _options(candidates))
            return await show_job(user, job.id)

        return send_this

    named = "(job) => { window.workbenchOpenJob(job); }"
    blocks.load(open_page, None, everything, **HIDDEN)
    frame.wire(everything, show_job, named)
    drop.upload(send, [drop, candidates], everything, **HIDDEN).then(None, frame.box, None, js=named)
    for name, button in samples:
        button.click(send_sample(name), candidates, everything, **HIDDEN).then(None, frame.box, None, js=named)


def _options(candidates: bool) -> dict[str, Any]:
    """The choices of the start page as an analysis' options."""
    return {"lesion_candidates": True} if candidates else {}
