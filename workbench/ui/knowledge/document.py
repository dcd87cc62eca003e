"""One document: what is known of it, and its chunks, which can be reworded for search and switched off."""

from __future__ import annotations

import gradio as gr

from infra.database.tables import User
from infra.errors import NotFound
from workbench.services import knowledge
from workbench.services.addresses import knowledge_address
from workbench.services.context import Services
from workbench.ui.knowledge.document_html import chunks_html, document_title_html, versions_html
from workbench.ui.shared.actions import GO, ON_CLICK
from workbench.ui.shared.formatting import escape
from workbench.ui.shared.shell import HIDDEN, Updates, empty, html, person, told

AT_ONCE = 25  # chunks
FACTS = {
    "title": "Title",
    "organisation": "Organisation",
    "kind": "Document type",
    "year": "Year covered",
    "quarter": "Quarter",
    "date": "Document date",
    "language": "Language",
}
SHOW_HERE = "() => { setTimeout(() => document.querySelector('[data-here]')?.scrollIntoView({ block: 'center' }), 80); }"


def document_part(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the part in the current Blocks."""
    place = gr.Textbox(visible="hidden", label="Collection of the document")
    named = gr.Textbox(visible="hidden", elem_id="document", label="Document")
    first = gr.Number(0, visible="hidden", precision=0, label="First chunk shown")
    where = gr.Textbox(visible="hidden", label="Address")
    with gr.Column(visible=False) as view:
        title = html(js_on_load=ON_CLICK)
        with gr.Accordion("Document details", open=False, visible=False, elem_id="facts") as facts:
            html('<p class="wb-quiet">Extracted from the document and used when a question mentions them. Your corrections are kept.</p>')
            with gr.Row():
                boxes = {
                    name: gr.Textbox(label=label, max_lines=1, elem_id=f"fact-{name}", min_width=150, scale=2 if name == "title" else 1)
                    for name, label in FACTS.items()
                }
            save = gr.Button("Save", elem_id="save-facts", size="md", scale=0, min_width=120)
        versions = html(elem_id="versions")
        chunks = html(js_on_load=ON_CLICK, elem_id="chunks")
    missing = html(visible=False)
    shown = [place, named, first, view, title, facts, *boxes.values(), versions, chunks]

    async def show_chunks(user: User, collection: str, document: str, start: int, here: int | None = None) -> Updates:
        """The title and some chunks; facts that are being typed stay."""
        holder = await knowledge.find_collection(services, user, collection)
        card = await knowledge.find_document(services, user, holder.id, document)
        start = max(0, min(start, card.chunks - 1)) // AT_ONCE * AT_ONCE
        some = await knowledge.list_chunks(services, user, holder.id, card.id, after=start - 1, limit=AT_ONCE)
        return {
            first: start,
            title: document_title_html(card, may_write=holder.may_write),
            chunks: chunks_html(card, some, may_write=holder.may_write, at_once=AT_ONCE, here=here),
        }

    async def show(user: User, collection: str, document: str, start: int, here: int | None = None) -> Updates:
        holder = await knowledge.find_collection(services, user, collection)
        card = await knowledge.find_document(services, user, holder.id, document)
        return {
            place: holder.id,
            named: card.id,
            view: gr.Column(visible=True),
            facts: gr.Accordion(visible=holder.may_write and card.state == "ready"),
            versions: versions_html(card, await knowledge.list_versions(services, user, holder.id, card.id)),
            **{box: "" if card.facts[name] is None else str(card.facts[name]) for name, box in boxes.items()},
            **await show_chunks(user, holder.id, card.id, start, here),
        }

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        collection, document, at = (str(request.query_params.get(key) or "") for key in ("collection", "document", "at"))
        if not (collection and document):
            return {view: gr.Column(visible=False)}
        try:
            here = None
            if at.isdecimal():
                here = await knowledge.position_at(services, user, collection, document, int(at))
            return await show(user, collection, document, here or 0, here)
        except NotFound:
            text = 'It may have been deleted, or you do not have access. <a href="/knowledge">See your collections</a>.'
            return {missing: gr.HTML(empty("Document not found", text), visible=True)}

    @told
    async def act(collection: str, document: str, start: float, request: gr.Request, event: gr.EventData) -> Updates:
        user, action = person(request), str(event.action)
        if action in ("on", "off"):
            await knowledge.edit_chunk(services, user, collection, int(event.id), enabled=action == "on")
        elif action == "reword":
            await knowledge.edit_chunk(services, user, collection, int(event.id), search_text=str(event.words))
        elif action == "own-words":
            await knowledge.edit_chunk(services, user, collection, int(event.id), search_text="")
        elif action == "from":
            start = int(event.id)
        return await show_chunks(user, collection, document, int(start))

    @told
    async def correct(
        collection: str, document: str, start: float, called: str, organisation: str, kind: str, year: str, quarter: str, date: str,
        language: str, request: gr.Request,
    ) -> Updates:  # fmt: skip
        user = person(request)
        typed = (called, organisation, kind, year, quarter, date, language)
        card = await knowledge.find_document(services, user, collection, document)
        changed = knowledge.facts_as_typed(card, dict(zip(FACTS, typed, strict=True)))
        if changed:
            await knowledge.edit_document(services, user, collection, document, changed)
            gr.Info("Saved.", duration=4)
        return await show(user, collection, document, int(start))

    @told
    async def remove(collection: str, document: str, request: gr.Request) -> str:
        user = person(request)
        card = await knowledge.find_document(services, user, collection, document)
        await knowledge.remove_documents(services, user, collection, [document])
        gr.Info(f"{escape(card.document)} removed.")
        return knowledge_address(collection)

    blocks.load(open_page, None, [*shown, missing], **HIDDEN).then(None, None, None, js=SHOW_HERE)
    chunks.submit(act, [place, named, first], [first, title, chunks], **HIDDEN)
    save.click(correct, [place, named, first, *boxes.values()], shown, **HIDDEN)
    title.submit(remove, [place, named], where, **HIDDEN).success(None, where, None, js=GO)
