"""Requirements of the policies: review, edit, merge and disable them.

``/requirements`` lists the policies, ``?collection=ID`` shows the requirements of one.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import gradio as gr

from infra.database.tables import User
from infra.errors import NotFound
from knowledge.requirements import MODALITIES, SEVERITIES
from pipelines.compliance.samples import COLLECTION
from workbench.services import compliance, knowledge
from workbench.services.compliance_sending import policy_choices
from workbench.services.compliance_starter import starter_collection
from workbench.services.context import Services
from workbench.ui.compliance.html import last_line, sub_bar
from workbench.ui.compliance.requirements_html import ON_REQUIREMENT, history_html, policies_html, policy_title_html, requirements_html
from workbench.ui.shared.actions import GO
from workbench.ui.shared.formatting import capital, plural
from workbench.ui.shared.shell import HIDDEN, Updates, empty, html, person, told, top_bar

LEAD = """<div class="wb-lead"><h1>Requirements</h1>
<p>Obligations, prohibitions and permissions extracted from your policies. Review them, correct errors and disable what does not apply.
Each analysis records the version it used.</p></div>"""
SHOWN = 150
EVERY_SEVERITY, EVERY_KIND, FROM_WORDS = "All severities", "All types", "Automatic"


def requirements_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Compliance")
    sub_bar("Requirements")
    place = gr.Textbox(visible="hidden", elem_id="collection", label="Collection")
    count = gr.Number(SHOWN, visible="hidden", precision=0, label="Requirements shown")
    with gr.Column(visible=False) as start:
        html(LEAD)
        policies = html()
        with gr.Row(elem_classes="wb-form"):
            starter = gr.Button("Add starter policies", elem_id="starter", size="md", scale=0, min_width=200)
            html('<a class="wb-button" href="/knowledge">Collections and documents</a>')
    with gr.Column(visible=False) as view:
        title = html()
        with gr.Row(elem_classes="wb-form wb-filters"):
            severity = gr.Dropdown(
                [EVERY_SEVERITY, *map(capital, SEVERITIES)],
                value=EVERY_SEVERITY,
                label="Severity",
                show_label=False,
                container=False,
            )
            kind = gr.Dropdown([EVERY_KIND, *map(capital, MODALITIES)], value=EVERY_KIND, label="Type", show_label=False, container=False)
            containing = gr.Textbox(
                "", show_label=False, container=False, placeholder="Search requirements", max_lines=1, elem_id="containing", scale=2,
                label="Search requirements", min_width=220,
            )  # fmt: skip
        history = html(js_on_load=ON_REQUIREMENT)
        table = html(js_on_load=ON_REQUIREMENT, elem_id="requirements")
        with gr.Accordion("Add a requirement", open=False, visible=False, elem_id="by-hand") as by_hand:
            words = gr.Textbox("", label="Requirement", lines=2, max_length=4000, elem_id="new-text", placeholder="The firm must …")
            with gr.Row(elem_classes="wb-form"):
                degree = gr.Dropdown([FROM_WORDS, *SEVERITIES], value=FROM_WORDS, label="Severity", min_width=140)
                modality = gr.Dropdown([FROM_WORDS, *MODALITIES], value=FROM_WORDS, label="Type", min_width=140)
                topic = gr.Textbox("", label="Topic", max_lines=1, max_length=200, min_width=140)
            write = gr.Button("Add", elem_id="write", size="md", variant="primary", scale=0, min_width=120)
        with gr.Accordion("Import requirements", open=False, visible=False, elem_id="import") as bring:
            html('<p class="wb-quiet">CSV or XLSX: columns id, text (optional: severity, topic, modality); or one per line.</p>')
            file = gr.File(label="Requirements", show_label=False, height=110, elem_id="requirements-file", type="filepath")
    missing = html(visible=False)
    where = gr.Textbox(visible="hidden", label="Address")
    last_line()
    seen = [place, severity, kind, containing, count]
    changing = [title, table]

    async def show(user: User, collection: str, degree: str, modality: str, text: str, most: float, open_id: str = "") -> Updates:
        card = await knowledge.find_collection(services, user, collection)
        every = await compliance.list_requirements(services, user, card.id)
        narrowed = degree != EVERY_SEVERITY or modality != EVERY_KIND or bool(text.strip())
        found = [
            one
            for one in every
            if degree in (EVERY_SEVERITY, capital(one.requirement.severity))
            and modality in (EVERY_KIND, capital(one.requirement.modality))
            and text.strip().lower() in one.requirement.text.lower()
        ]
        version = await compliance.policy_version(services, user, card.id)
        return {
            title: policy_title_html(card, version, every),
            table: requirements_html(found, may_write=card.may_write, narrowed=narrowed, most=int(most), open_id=open_id),
        }

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        collection = str(request.query_params.get("collection") or "")
        if not collection:
            found = await policy_choices(services, user)
            here = any(one.name == COLLECTION for one in found)
            return {start: gr.Column(visible=True), policies: policies_html(found), starter: gr.Button(visible=not here)}
        try:
            card = await knowledge.find_collection(services, user, collection)
        except NotFound:
            text = 'It may have been deleted, or you do not have access. <a href="/requirements">See the policies</a>.'
            return {missing: gr.HTML(empty("Collection not found", text), visible=True)}
        return {
            place: card.id,
            view: gr.Column(visible=True),
            by_hand: gr.Accordion(visible=card.may_write),
            bring: gr.Accordion(visible=card.may_write),
            **await show(user, card.id, EVERY_SEVERITY, EVERY_KIND, "", SHOWN),
        }

    @told
    async def look(collection: str, severity: str, kind: str, text: str, most: float, request: gr.Request) -> Updates:
        return await show(person(request), collection, severity, kind, text, most)

    @told
    async def act(collection: str, severity: str, kind: str, text: str, most: float, request: gr.Request, event: gr.EventData) -> Updates:
        user, action, named = person(request), str(event.action), str(event.id)
        if action == "close":
            return {history: ""}
        if action == "history":
            return {history: history_html(await compliance.requirement_history(services, user, named))}
        if action == "save":
            fields = json.loads(str(event.fields))
            changed = {name: str(fields[name]).strip() for name in ("text", "severity", "modality", "topic") if name in fields}
            await compliance.edit_requirement(services, user, named, **changed)
            gr.Info("Saved as a new version.", duration=4)
        elif action in ("on", "off"):
            await compliance.switch_requirement(services, user, named, action == "on")
        elif action == "merge":
            merged = await compliance.merge_requirements(services, user, str(event.ticked).split())
            named = merged.requirement.id
            gr.Info("Merged. The originals are disabled.", duration=8)
        elif action == "more":
            most += SHOWN
        return {count: most, **await show(user, collection, severity, kind, text, most, named)}

    @told
    async def add(
        text: str, degree: str, modality: str, about: str, collection: str, severity: str, kind: str, only: str, most: float,
        request: gr.Request,
    ) -> Updates:  # fmt: skip
        user = person(request)
        made = await compliance.write_requirement(
            services, user, collection, text, topic=about,
            severity=None if degree == FROM_WORDS else degree, modality=None if modality == FROM_WORDS else modality,
        )  # fmt: skip
        gr.Info(f"Added as {made.requirement.modality}, {made.requirement.severity} severity.", duration=6)
        return {words: "", topic: "", **await show(user, collection, severity, kind, only, most, made.requirement.id)}

    @told
    async def take(path: str | None, collection: str, severity: str, kind: str, only: str, most: float, request: gr.Request) -> Updates:
        user = person(request)
        if not path:
            return {file: None}
        try:
            found = await compliance.import_requirements(services, user, collection, Path(path))
        finally:
            await asyncio.to_thread(Path(path).unlink, missing_ok=True)
        gr.Info(f"{plural(len(found), 'requirement')} imported.", duration=6)
        return {file: None, **await show(user, collection, severity, kind, only, most)}

    @told
    async def add_starter(request: gr.Request) -> str:
        return f"/requirements?collection={(await starter_collection(services, person(request))).id}"

    blocks.load(open_page, None, [start, policies, starter, place, view, by_hand, bring, missing, *changing], **HIDDEN)
    # While one types, and never on leaving the field: the click that leaves it would open a form that the list, drawn anew, closes.
    gr.on([severity.input, kind.input, containing.change], look, seen, changing, trigger_mode="always_last", **HIDDEN)
    for part in (table, history):
        part.submit(act, seen, [count, history, *changing], **HIDDEN)
    write.click(add, [words, degree, modality, topic, *seen], [words, topic, *changing], **HIDDEN)
    file.upload(take, [file, *seen], [file, *changing], **HIDDEN)
    starter.click(add_starter, None, where, show_progress="minimal", api_visibility="private").success(None, where, None, js=GO)
