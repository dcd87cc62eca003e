"""Cohorts: upload many scans and follow their table. One address a cohort: ``/cohorts?cohort=ID``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import gradio as gr

from infra.database.tables import User
from infra.errors import NotFound, WorkbenchError
from pipelines.imaging.study.inline import sequence_name
from pipelines.imaging.wording import joined
from workbench.services.cohort_study import FEWEST, load_study, study_state
from workbench.services.cohorts import add_scan, cancel_cohort, create_cohort, list_cohorts, retry_cohort, show_cohort
from workbench.services.context import Services
from workbench.services.uploads import save_upload
from workbench.ui.cohorts.study import study_html
from workbench.ui.cohorts.table import cohort_progress_html, cohort_table_html, cohort_title_html, cohorts_html
from workbench.ui.shared.formatting import escape
from workbench.ui.shared.shell import HIDDEN, Updates, bottom_line, empty, html, person, told, top_bar

LEAD = """<div class="wb-lead"><h1>Analyse many scans</h1>
<p>Upload many scans at once. Each gets its own report; together they give one table and one quality page with outliers
first. Upload a DICOM series as one zip file.</p></div>"""
ONE_VISIT = "One person, one session (T1, FLAIR, ...). Co-registered; lesions reported once."


def cohorts_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Cohorts")
    cohort_box = gr.Textbox(visible="hidden", elem_id="cohort", label="Cohort")
    timer = gr.Timer(2.0, active=False)
    with gr.Column(visible=False) as start:
        html(LEAD)
        name = gr.Textbox(label="Name", placeholder="Cohort name", max_lines=1, max_length=200, elem_id="cohort-name")
        visit = gr.Checkbox(label="Sequences of one visit", info=ONE_VISIT, elem_id="one-visit")
        drop = gr.File(
            label="Scans",
            show_label=False,
            file_count="multiple",
            height=232,
            elem_id="drop",
            elem_classes="wb-drop wb-many",
            type="filepath",
        )
        html('<div class="wb-heading"><h2>Your cohorts</h2></div>')
        earlier = html()
    with gr.Column(visible=False) as view:
        title = html()
        study = html(visible=False)
        progress = html()
        with gr.Row():
            cancel = gr.Button("Cancel", visible=False, elem_id="cancel", size="md", scale=0, min_width=120)
            again = gr.Button("Retry failed scans", visible=False, elem_id="again", size="md", scale=0, min_width=180)
        table = html()
    missing = html(visible=False)
    bottom_line()
    everything = [cohort_box, timer, start, name, visit, drop, earlier, view, title, study, progress, cancel, again, table, missing]

    async def show_start(user: User) -> Updates:
        return {
            cohort_box: "",
            timer: gr.Timer(active=False),
            start: gr.Column(visible=True),
            view: gr.Column(visible=False),
            earlier: cohorts_html(await list_cohorts(services, user)),
        }

    async def show(user: User, cohort_id: str) -> Updates:
        found = await show_cohort(services, user, cohort_id)
        state = study_state(services, found)
        together = await load_study(services, state) if state and state.state == "done" else None
        failed = found.count("failed", "cancelled") > 0 or (state is not None and state.may_pass)
        return {
            cohort_box: found.cohort.id,
            timer: gr.Timer(active=found.live or (state is not None and state.state == "merging")),
            start: gr.Column(visible=False),
            view: gr.Column(visible=True),
            title: cohort_title_html(found),
            study: gr.HTML(study_html(found.cohort.id, state, together) if state else "", visible=state is not None),
            progress: cohort_progress_html(found),
            table: cohort_table_html(found),
            cancel: gr.Button(visible=found.live),
            again: gr.Button(visible=not found.live and failed),
        }

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        cohort_id = str(request.query_params.get("cohort") or "")
        try:
            return await (show(user, cohort_id) if cohort_id else show_start(user))
        except NotFound:
            text = 'It does not exist or belongs to another account. <a href="/cohorts">Your cohorts</a>'
            return {missing: gr.HTML(empty("Cohort not found", text), visible=True)}

    @told
    async def tick(cohort_id: str, request: gr.Request) -> Updates:
        user = person(request)
        return await show(user, cohort_id) if cohort_id else {timer: gr.Timer(active=False)}

    @told
    async def send(paths: list[str] | None, wanted: str, one_visit: bool, request: gr.Request) -> Updates:
        user = person(request)
        if not paths:
            return {drop: None}
        if one_visit and len(paths) < FEWEST:
            gr.Warning("A study needs at least two sequences. Upload all sequences of the visit together, or clear the checkbox.")
            return {drop: None}
        names = dict.fromkeys(sequence_name(Path(path).name) for path in paths)
        called = wanted.strip() or (joined(list(names)) if one_visit else f"{len(paths)} scans")
        cohort = await create_cohort(services, user, called, study=one_visit)
        refused: list[str] = []
        for file in map(Path, paths):
            try:
                upload = await save_upload(services, user, file.name, file)
                await add_scan(services, user, cohort.id, upload, upload.name)
            except WorkbenchError as error:  # an empty file, for example: the others go on
                refused.append(f"{file.name}: {error.message}")
            finally:
                await asyncio.to_thread(file.unlink, missing_ok=True)  # the store has it now
        if refused:
            gr.Warning(escape(" ".join(refused)), title="Some files were rejected", duration=20)
        return {drop: None, name: "", visit: False, **await show(user, cohort.id)}

    @told
    async def stop(cohort_id: str, request: gr.Request) -> Updates:
        user = person(request)
        await cancel_cohort(services, user, cohort_id)
        return await show(user, cohort_id)

    @told
    async def retry(cohort_id: str, request: gr.Request) -> Updates:
        user = person(request)
        await retry_cohort(services, user, cohort_id)
        return await show(user, cohort_id)

    named = "(id) => { if (id) { history.pushState({}, '', `/cohorts?cohort=${encodeURIComponent(id)}`); scrollTo({ top: 0 }); } }"
    blocks.load(open_page, None, everything, **HIDDEN)
    timer.tick(tick, cohort_box, everything, **HIDDEN)
    drop.upload(send, [drop, name, visit], everything, **HIDDEN).then(None, cohort_box, None, js=named)
    cancel.click(stop, cohort_box, everything, **HIDDEN)
    again.click(retry, cohort_box, everything, **HIDDEN)
