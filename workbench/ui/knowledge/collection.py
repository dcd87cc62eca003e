"""One collection: add documents, watch them, search, and say who may use it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import gradio as gr

from infra.database.tables import User
from infra.errors import NotFound, Unavailable
from pipelines.jobs import LIVE
from workbench.services import knowledge
from workbench.services.context import Services
from workbench.services.results import find_job
from workbench.ui.knowledge.folder import ON_FOLDER, folder_html
from workbench.ui.knowledge.html import (
    adding_html,
    collection_title_html,
    delete_collection_html,
    documents_html,
    members_html,
    passages_html,
)
from workbench.ui.shared.actions import GO, ON_CLICK
from workbench.ui.shared.formatting import escape, plural
from workbench.ui.shared.shell import HIDDEN, Updates, empty, html, person, told

SHOWN = 100  # documents at first, and more at each "Show more"
STATES = {"All": None, "In progress": "working", "Ready": "ready", "Failed": "failed"}
RIGHTS = {"Read": "read", "Read and write": "write", "No access": None}


def collection_part(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the part in the current Blocks."""
    place = gr.Textbox(visible="hidden", elem_id="collection", label="Collection")
    count = gr.Number(SHOWN, visible="hidden", precision=0, label="Documents shown")
    timer = gr.Timer(2.0, active=False)
    with gr.Column(visible=False) as view:
        title = html()
        drop = gr.File(
            label="Documents", show_label=False, file_count="multiple", height=150, elem_id="drop", elem_classes="wb-drop wb-documents",
            type="filepath", visible=False,
        )  # fmt: skip
        folder = html(js_on_load=ON_FOLDER, elem_id="folder")
        adding = html(js_on_load=ON_CLICK)
        with gr.Column(visible=False) as filled:
            with gr.Row(elem_classes="wb-form"):
                question = gr.Textbox(
                    "", show_label=False, container=False, placeholder="Search this collection: a question or keywords", max_lines=1,
                    label="Search this collection", elem_id="question", scale=1, min_width=220,
                )  # fmt: skip
                config = gr.Radio(
                    [("Fast", "fast"), ("Accurate", "accurate")], value="fast", show_label=False, container=False, elem_id="config",
                    label="Search mode", elem_classes="wb-filter", scale=0, min_width=170,
                )  # fmt: skip
                ask = gr.Button("Search", elem_id="ask", size="md", scale=0, min_width=110)
            found = html(elem_id="found", js_on_load=ON_CLICK)
            with gr.Row(elem_classes="wb-form wb-filters"):
                state = gr.Radio(
                    list(STATES),
                    value="All",
                    label="State",
                    show_label=False,
                    container=False,
                    elem_classes="wb-filter",
                    min_width=300,
                )
                containing = gr.Textbox(
                    "", show_label=False, container=False, placeholder="Filter by name or title", max_lines=1, elem_id="containing",
                    label="Filter by name or title", scale=0, min_width=240,
                )  # fmt: skip
        table = html(js_on_load=ON_CLICK, elem_id="documents")
        with gr.Accordion("Name, sharing and deletion", open=False, visible=False, elem_id="settings") as settings:
            with gr.Row():
                name = gr.Textbox("", label="Name", max_lines=1, max_length=100, elem_id="name")
                about = gr.Textbox("", label="Description", max_lines=2, max_length=2000, elem_id="about")
            shared = gr.Checkbox(label="Everyone who signs in can read it", elem_id="shared")
            save = gr.Button("Save", elem_id="save", size="md", scale=0, min_width=120)
            members = html()
            with gr.Row(elem_classes="wb-form"):
                member = gr.Textbox(
                    "",
                    label="User name",
                    show_label=False,
                    container=False,
                    placeholder="User name",
                    max_lines=1,
                    elem_id="member",
                    min_width=200,
                )
                right = gr.Dropdown(
                    list(RIGHTS),
                    value="Read",
                    label="Permission",
                    show_label=False,
                    container=False,
                    elem_id="right",
                    min_width=200,
                )
                give = gr.Button("Set permission", elem_id="give", size="md", scale=0, min_width=150)
            delete = html(js_on_load=ON_CLICK)
    missing = html(visible=False)
    where = gr.Textbox(visible="hidden", label="Address")
    changing = [place, timer, view, title, drop, adding, filled, table]
    owned = [settings, name, about, shared, members, delete]
    once = [folder, *owned]  # what a look again leaves as it is: a folder may be on its way

    async def show(user: User, collection: str, wanted: str, text: str, limit: float) -> Updates:
        """What changes while documents are added."""
        card = await knowledge.find_collection(services, user, collection)
        jobs = await knowledge.list_adding(services, user, card.id)
        chosen = STATES.get(wanted)
        documents, following = await knowledge.list_documents(
            services, user, card.id, limit=int(limit), state=chosen, containing=text.strip() or None
        )
        try:
            storage = await knowledge.storage_used(services, user, card.id)
        except Unavailable:  # the index service is being restarted: counted at the next look
            storage = None
        live = card.working > 0 or any(progress.job.state in LIVE for progress in jobs)
        return {
            place: card.id,
            timer: gr.Timer(active=live),
            view: gr.Column(visible=True),
            title: collection_title_html(card, storage),
            drop: gr.File(visible=card.may_write),
            adding: adding_html(jobs),
            filled: gr.Column(visible=card.documents > 0),
            table: documents_html(card, documents, more=following is not None, narrowed=bool(chosen or text.strip())),
        }

    async def show_owned(user: User, collection: str) -> Updates:
        """What its owner may change."""
        card = await knowledge.find_collection(services, user, collection)
        if not card.mine:
            return {settings: gr.Accordion(visible=False)}
        return {
            settings: gr.Accordion(visible=True),
            name: card.name,
            about: card.description,
            shared: card.shared,
            members: members_html(await knowledge.list_members(services, user, card.id)),
            delete: delete_collection_html(card),
        }

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        collection, job = (str(request.query_params.get(key) or "") for key in ("collection", "job"))
        if request.query_params.get("document") or not (collection or job):
            return {view: gr.Column(visible=False)}
        try:
            if not collection:
                collection = str((await find_job(services, user, job)).input.get("collection") or "")
            card = await knowledge.find_collection(services, user, collection)
            updates = {**await show(user, collection, "All", "", SHOWN), **await show_owned(user, collection)}
            return {**updates, folder: folder_html(card)}
        except NotFound:
            text = 'It may have been deleted, or you do not have access. <a href="/knowledge">See your collections</a>.'
            return {missing: gr.HTML(empty("Collection not found", text), visible=True)}

    @told
    async def look(collection: str, wanted: str, text: str, limit: float, request: gr.Request) -> Updates:
        user = person(request)
        return await show(user, collection, wanted, text, limit) if collection else {timer: gr.Timer(active=False)}

    @told
    async def send(paths: list[str] | None, collection: str, wanted: str, text: str, limit: float, request: gr.Request) -> Updates:
        user = person(request)
        if not paths:
            return {drop: None}
        files = [(Path(path).name, Path(path)) for path in paths]
        try:
            sent = await knowledge.add_files(services, user, collection, files)
        finally:
            for _, path in files:
                await asyncio.to_thread(path.unlink, missing_ok=True)  # the store has it now
        if sent.refused:
            told_why = " ".join(why if called in why else f"{called}: {why}" for called, why in sent.refused.items())
            gr.Warning(escape(told_why), title="Some files were rejected", duration=20)
        updates = await show(user, collection, wanted, text, limit)
        return {**updates, drop: gr.File(None, visible=True)}

    @told
    async def act(collection: str, wanted: str, text: str, limit: float, request: gr.Request, event: gr.EventData) -> Updates:
        user, action = person(request), str(event.action)
        if action == "remove":
            await knowledge.remove_documents(services, user, collection, [str(event.id)])
        elif action == "more":
            limit += SHOWN
        elif action == "cancel":
            await services.jobs.cancel(str(event.id), owner_id=user.id)
        elif action == "retry":
            await services.jobs.retry(str(event.id), owner_id=user.id)
        return {count: limit, **await show(user, collection, wanted, text, limit)}

    @told
    async def find(words: str, how: str, collection: str, request: gr.Request) -> str:
        user = person(request)
        if not words.strip():
            return ""
        return passages_html(words, await knowledge.search_collections(services, user, [collection], words, 10, None, how))

    @told
    async def change(
        called: str, described: str, everybody: bool, collection: str, wanted: str, text: str, limit: float, request: gr.Request
    ) -> Updates:
        user = person(request)
        await knowledge.change_collection(services, user, collection, new_name=called, description=described, shared=everybody)
        gr.Info("Saved.", duration=4)
        return {**await show(user, collection, wanted, text, limit), **await show_owned(user, collection)}

    @told
    async def set_right(collection: str, somebody: str, wanted: str, request: gr.Request) -> Updates:
        user = person(request)
        await knowledge.set_member(services, user, collection, somebody.strip(), RIGHTS[wanted])
        return {member: "", **await show_owned(user, collection)}

    @told
    async def drop_all(collection: str, request: gr.Request) -> str:
        user = person(request)
        card = await knowledge.find_collection(services, user, collection)
        await knowledge.delete_collection(services, user, collection)
        gr.Info(f"{escape(card.name)} and its {plural(card.documents, 'document')} deleted.")
        return "/knowledge"

    seen = [place, state, containing, count]
    blocks.load(open_page, None, [*changing, *once, missing], **HIDDEN)
    timer.tick(look, seen, changing, **HIDDEN)
    state.change(look, seen, changing, **HIDDEN)
    containing.change(look, seen, changing, **HIDDEN)
    drop.upload(send, [drop, *seen], changing, **HIDDEN)
    for part in (table, adding, folder):
        part.submit(act, seen, [count, *changing], **HIDDEN)
    for event in (ask.click, question.submit):
        event(find, [question, config, place], found, show_progress="minimal", api_visibility="private")
    save.click(change, [name, about, shared, *seen], [*changing, *owned], **HIDDEN)
    give.click(set_right, [place, member, right], [member, *owned], **HIDDEN)
    found.submit(lambda: ("", ""), None, [found, question], **HIDDEN)
    delete.submit(drop_all, place, where, **HIDDEN).success(None, where, None, js=GO)
