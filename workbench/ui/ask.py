"""Ask: a chat over collections; every sentence opens its page beside it. One address a conversation: ``/ask?conversation=ID``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from infra.database.tables import User
from infra.errors import InvalidInput, NotFound, WorkbenchError
from pipelines.questions import Piece, Said, Searched
from pipelines.questions.writers import Writer
from workbench.services import knowledge, questions
from workbench.services.cited_pages import cited
from workbench.services.context import Services
from workbench.ui.ask_html import history_html, live_html, reading_text, turns_html, viewer_html
from workbench.ui.knowledge_html import ON_CLICK, button
from workbench.ui.shell import HIDDEN, Updates, bottom_line, empty, html, person, told, top_bar
from workbench.ui.words import escape

LEAD = """<div class="wb-lead"><h1>Ask</h1>
<p>Questions to your documents. Every sentence of an answer opens the page it stands on.</p></div>"""
WRITERS = [("Quoted from the documents", "quotes"), ("Written by the model, and checked", "model")]


def ask_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Ask")
    html(LEAD)
    conversation = gr.Textbox(visible="hidden", elem_id="conversation", label="Conversation")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            chat = html(js_on_load=ON_CLICK, elem_id="chat")
            places = gr.Dropdown([], multiselect=True, label="Collections", elem_id="collections", visible=False)
            with gr.Row(elem_classes="wb-form", visible=False) as form:
                question = gr.Textbox(
                    show_label=False, container=False, placeholder="Ask a question", max_length=4000, lines=1, max_lines=5,
                    label="Question", elem_id="question", scale=1, min_width=200,
                )  # fmt: skip
                send = gr.Button("Ask", variant="primary", elem_id="send", size="md", scale=0, min_width=100)
            writer = gr.Radio(
                WRITERS,
                value="quotes",
                label="How answers are written",
                show_label=False,
                container=False,
                elem_id="writer",
                elem_classes="wb-filter",
                visible=False,
            )
            with gr.Accordion("Earlier conversations", open=False, elem_id="history"):
                find = gr.Textbox(
                    label="Conversations to look for",
                    show_label=False,
                    container=False,
                    placeholder="Search them",
                    max_lines=1,
                    elem_id="find",
                )
                earlier = html()
            with gr.Accordion("This conversation", open=False, visible=False, elem_id="this") as this:
                with gr.Row(elem_classes="wb-form"):
                    title = gr.Textbox(
                        label="Name of this conversation",
                        show_label=False,
                        container=False,
                        max_lines=1,
                        max_length=120,
                        elem_id="title",
                        scale=1,
                    )
                    rename = gr.Button("Rename", elem_id="rename", size="md", scale=0, min_width=100)
                tools = html(js_on_load=ON_CLICK, elem_id="tools")
        with gr.Column(scale=2, min_width=320):
            viewer = html(elem_id="viewer-beside")
    where = gr.Textbox(visible="hidden", label="Address")
    bottom_line()
    everything = [conversation, chat, places, form, writer, question, earlier, this, title, tools, viewer]

    async def show(user: User, identifier: str) -> Updates:
        turns: list[dict[str, Any]] = []
        updates: Updates = {conversation: identifier, this: gr.Accordion(visible=bool(identifier))}
        if identifier:
            found = await questions.show_conversation(services, user, identifier)
            turns = found["turns"]
            updates |= {title: found["title"], tools: _tools(identifier)}
        return {
            **updates,
            chat: turns_html(turns),
            earlier: history_html(await questions.list_conversations(services, user), identifier),
        }

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        cards = [card for card in await knowledge.list_collections(services, user) if card.chunks]
        if not cards:
            text = 'Add documents first: <a href="/knowledge">make a collection</a>.'
            return {chat: empty("There is nothing to ask yet", text)}
        identifier, chosen = str(request.query_params.get("conversation") or ""), [cards[0].id]
        try:
            updates = await show(user, identifier)
        except NotFound:
            return {chat: empty("There is no conversation at this address", '<a href="/ask">Begin a new one</a>.')}
        if identifier:
            known = {card.id for card in cards}
            asked = (await questions.show_conversation(services, user, identifier))["collections"]
            chosen = [one for one in asked if one in known] or chosen
        choices = [(card.name if card.mine else f"{card.name} ({card.owner})", card.id) for card in cards]
        return {
            **updates,
            places: gr.Dropdown(choices, value=chosen, visible=True),
            form: gr.Row(visible=True),
            writer: gr.Radio(
                value=questions.default_writer(services), visible=services.connected is not None and services.connected.llm is not None
            ),
        }

    async def ask(text: str, chosen: list[str], how: Writer, identifier: str, request: gr.Request) -> AsyncIterator[Updates]:
        user = person(request)
        if not text.strip():
            yield {question: ""}
            return
        before = turns_html((await questions.show_conversation(services, user, identifier))["turns"]) if identifier else ""
        yield {question: "", chat: before + live_html(text, "Searching", [])}
        sentences: list[dict[str, Any]] = []
        status, written = "Searching", ""
        try:
            async for event in questions.ask(services, user, text, chosen, conversation=identifier or None, writer=how):
                if isinstance(event, Searched):
                    status = reading_text(len(event.passages))
                elif isinstance(event, Piece):
                    written += event.text
                elif isinstance(event, Said):
                    sentences.append(event.sentence.as_dict())
                else:
                    yield await show(user, event.conversation)
                    return
                yield {chat: before + live_html(text, status, sentences, written)}
        except WorkbenchError as error:
            yield {question: text, chat: before + live_html(text, f"That did not work. {error.message}", [])}

    @told
    async def act(identifier: str, request: gr.Request, event: gr.EventData) -> Updates:
        user = person(request)
        action, named = str(event.action), str(event.id)
        if action in ("up", "down"):
            await questions.give_feedback(services, user, named, 1 if action == "up" else -1)
            return await show(user, identifier)
        answer, _, place = named.partition(" ")
        turns = (await questions.show_conversation(services, user, identifier))["turns"]
        passage = cited_passage(next(turn for turn in turns if turn["id"] == answer), place)
        found = await cited(
            services, user, passage["collection_id"], passage["document"],
            page=passage["page"], start=passage["start"], end=passage["end"], text=passage["text"],
        )  # fmt: skip
        return {viewer: viewer_html(found, passage)}

    @told
    async def search(text: str, identifier: str, request: gr.Request) -> str:
        return history_html(await questions.list_conversations(services, person(request), containing=text), identifier)

    @told
    async def name_it(identifier: str, wanted: str, request: gr.Request) -> Updates:
        user = person(request)
        await questions.rename_conversation(services, user, identifier, wanted)
        return await show(user, identifier)

    @told
    async def remove(identifier: str, request: gr.Request, event: gr.EventData) -> str:
        await questions.delete_conversation(services, person(request), identifier)
        return "/ask"

    named = "(id) => { if (id) history.replaceState({}, '', `/ask?conversation=${encodeURIComponent(id)}`); }"
    leave = "(to) => { if (to) setTimeout(() => { location.href = to; }, 200); }"
    seen = "() => { setTimeout(() => document.getElementById('viewer-beside')?.scrollIntoView({ block: 'nearest' }), 80); }"
    blocks.load(open_page, None, everything, **HIDDEN)
    for event in (send.click, question.submit):
        event(ask, [question, places, writer, conversation], everything, **HIDDEN).then(None, conversation, None, js=named)
    chat.submit(act, conversation, everything, **HIDDEN).success(None, None, None, js=seen)
    find.change(search, [find, conversation], earlier, **HIDDEN)
    rename.click(name_it, [conversation, title], everything, **HIDDEN)
    tools.submit(remove, conversation, where, **HIDDEN).success(None, where, None, js=leave)


def cited_passage(turn: dict[str, Any], place: str) -> dict[str, Any]:
    """The passage that a button of :func:`workbench.ui.ask_html.turns_html` means. Raises InvalidInput."""
    try:
        if place.startswith("p"):
            return turn["passages"][int(place[1:])]
        sentence, _, number = place[1:].partition(".")
        return turn["sentences"][int(sentence)]["passages"][int(number)]
    except (ValueError, IndexError) as error:
        raise InvalidInput("There is no such citation.") from error


def _tools(identifier: str) -> str:
    export = f'<a class="wb-link" href="/mlops/history/{escape(identifier)}/export">Export as Markdown</a>'
    begin = '<a class="wb-link" href="/ask">Begin a new one</a>'
    delete = button("Delete it", "delete", identifier, ask="Delete this conversation, with its answers and their traces in MLflow?")
    return f'<p class="wb-tools">{begin}{export}{delete}</p>'
