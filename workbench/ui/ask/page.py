"""Ask: a chat over collections; a citation opens its source beside the chat. One address a conversation: ``/ask?conversation=ID``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from infra.database.tables import User
from infra.errors import InvalidInput, NotFound, WorkbenchError
from infra.telemetry import correlation_id, logger
from pipelines.questions import Piece, Said, Searched
from pipelines.questions.writers import Writer
from workbench.services import knowledge, questions
from workbench.services.cited_pages import cited
from workbench.services.context import Services
from workbench.ui.ask.html import NO_SOURCE, failed_html, history_html, live_html, reading_text, turns_html, viewer_html
from workbench.ui.shared.actions import ON_CLICK, button
from workbench.ui.shared.formatting import escape
from workbench.ui.shared.shell import HIDDEN, Updates, bottom_line, empty, html, person, told, top_bar

log = logger(__name__)

LEAD = """<div class="wb-lead"><h1>Ask</h1>
<p>Ask questions about your documents. Every sentence of an answer links to its source.</p></div>"""
WRITERS = [("Quotes from the documents", "quotes"), ("Written by the language model, checked", "model")]

# The chat is drawn anew while an answer comes, also between the press and the release of a button: what was pressed counts.
# The chosen source stays marked; the latest question is brought into sight when it appears.
ON_CHAT = """let pressed = null, released = -Infinity, opened = null, live = false;
const mark = () => {
  for (const one of element.querySelectorAll('[data-do=open]')) {
    if (one.dataset.id === opened) one.setAttribute('aria-current', 'true');
    else one.removeAttribute('aria-current');
  }
};
const act = (action, id) => {
  if (action === 'open') {
    opened = id;
    mark();
    window.workbenchSourceClosed = false;
    document.querySelector('#viewer-beside .wb-cited')?.removeAttribute('hidden');
  }
  trigger('submit', { action, id });
};
const hit = (event) => event.target instanceof Element ? event.target.closest('[data-do]') : null;
element.addEventListener('pointerdown', (event) => {
  const one = event.isPrimary && event.button === 0 ? hit(event) : null;
  pressed = one && { action: one.dataset.do, id: one.dataset.id, x: event.clientX, y: event.clientY };
});
window.addEventListener('pointercancel', () => { pressed = null; });
window.addEventListener('pointerup', (event) => {
  const one = pressed;
  pressed = null;
  if (!one || Math.hypot(event.clientX - one.x, event.clientY - one.y) > 8) return;
  released = performance.now();
  act(one.action, one.id);
});
element.addEventListener('click', (event) => {
  const one = hit(event);
  if (one && (event.detail === 0 || performance.now() - released > 300)) act(one.dataset.do, one.dataset.id);
});
new MutationObserver(() => {
  mark();
  const now = element.querySelector('.wb-turn[data-live]');
  if (!now) window.workbenchBusy = '';
  const note = now?.querySelector('[data-note]');
  if (note && window.workbenchBusy && note.textContent !== window.workbenchBusy) note.textContent = window.workbenchBusy;
  if (now && !live) now.scrollIntoView({ block: 'nearest' });
  live = Boolean(now);
}).observe(element, { childList: true, subtree: true });"""
# A source that is closed while it still loads stays closed when it arrives (SEEN).
ON_SOURCE = """const close = () => {
  window.workbenchSourceClosed = true;
  const shown = element.querySelector('.wb-cited');
  if (shown) shown.hidden = true;
};
element.addEventListener('click', (event) => { if (event.target.closest('[data-close]')) close(); });
window.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(); });"""
NAMED = "(id) => { if (id) history.replaceState({}, '', `/ask?conversation=${encodeURIComponent(id)}`); }"
LEAVE = "(to) => { if (to) setTimeout(() => { location.href = to; }, 200); }"
AT_END = """() => { if (new URLSearchParams(location.search).get('conversation'))
  setTimeout(() => [...document.querySelectorAll('#chat .wb-turn')].at(-1)?.scrollIntoView({ block: 'end' }), 120); }"""
SEEN = """() => { setTimeout(() => {
  const pane = document.querySelector('#viewer-beside .wb-cited');
  if (!pane) return;
  const mark = pane.querySelector('mark');
  pane.hidden = Boolean(window.workbenchSourceClosed);
  if (pane.hidden) return;
  pane.scrollTop = mark ? mark.offsetTop - pane.clientHeight / 3 : 0;
  if (innerWidth <= 720) pane.focus({ preventScroll: true });
}, 80); }"""
# Enter while an answer is being written sends nothing: the page says what to do instead, until the answer has ended (ON_CHAT).
BUSY = """() => {
  const note = document.querySelector('#chat [data-live] [data-note]');
  if (note) note.textContent = window.workbenchBusy = 'An answer is in progress. Wait for it, or select Stop.';
}"""


def ask_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Ask")
    html(LEAD)
    conversation = gr.Textbox(visible="hidden", elem_id="conversation", label="Conversation")
    asked = gr.Textbox(visible="hidden", elem_id="asked", label="Question in progress")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            chat = html(js_on_load=ON_CHAT, elem_id="chat")
            with gr.Row(elem_classes="wb-form wb-asking", visible=False) as form:
                question = gr.Textbox(
                    show_label=False, container=False, placeholder="Ask a question", max_length=4000, lines=1, max_lines=5,
                    label="Question", elem_id="question", scale=1, min_width=200,
                )  # fmt: skip
                send = gr.Button("Ask", variant="primary", elem_id="send", size="md", scale=0, min_width=100)
                stop = gr.Button("Stop", elem_id="stop", size="md", scale=0, min_width=100, visible=False)
            with gr.Row(visible=False) as scope:
                places = gr.Dropdown([], multiselect=True, label="Collections", elem_id="collections", scale=1, min_width=240)
                documents = gr.Dropdown(
                    [], multiselect=True, label="Documents (all if none is selected)", elem_id="documents", scale=1, min_width=240
                )
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
                    label="Search conversations",
                    show_label=False,
                    container=False,
                    placeholder="Search conversations",
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
        with gr.Column(scale=2, min_width=320, elem_classes="wb-source"):
            viewer = html(NO_SOURCE, js_on_load=ON_SOURCE, elem_id="viewer-beside")
    where = gr.Textbox(visible="hidden", label="Address")
    bottom_line()
    everything = [
        conversation, chat, scope, places, documents, form, writer, question, send, stop, asked, earlier, this, title, tools, viewer,
    ]  # fmt: skip
    waiting: Updates = {send: gr.update(visible=True), stop: gr.update(visible=False)}

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

    async def choices(user: User, chosen: list[str], kept: list[str]) -> gr.Dropdown:
        # A collection may have been deleted, or no longer be shared, since the page was opened.
        readable = {card.id for card in await knowledge.list_collections(services, user)}
        found = await questions.list_choices(services, user, [one for one in chosen if one in readable])
        several = len({card.collection_id for card in found}) > 1
        named = [
            (f"{card.document} ({card.collection})" if several else card.document, f"{card.collection_id} {card.id}") for card in found
        ]
        known = {value for _, value in named}
        return gr.Dropdown(named, value=[value for value in kept if value in known])

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        cards = [card for card in await knowledge.list_collections(services, user) if card.chunks]
        if not cards:
            text = 'Add documents first: <a href="/knowledge">create a collection</a>.'
            return {chat: empty("No documents to search", text), viewer: ""}
        identifier, chosen = str(request.query_params.get("conversation") or ""), [cards[0].id]
        try:
            updates = await show(user, identifier)
        except NotFound:
            text = 'It may have been deleted. <a href="/ask">Start a new conversation</a>.'
            return {chat: empty("Conversation not found", text), viewer: ""}
        if identifier:
            known = {card.id for card in cards}
            asked_before = (await questions.show_conversation(services, user, identifier))["collections"]
            chosen = [one for one in asked_before if one in known] or chosen
        named = [(card.name if card.mine else f"{card.name} ({card.owner})", card.id) for card in cards]
        return {
            **updates,
            scope: gr.Row(visible=True),
            places: gr.Dropdown(named, value=chosen),
            documents: await choices(user, chosen, []),
            form: gr.Row(visible=True),
            writer: gr.Radio(
                value=questions.default_writer(services), visible=services.connected is not None and services.connected.llm is not None
            ),
        }

    @told
    async def offer(chosen: list[str], kept: list[str], request: gr.Request) -> gr.Dropdown:
        return await choices(person(request), chosen or [], kept or [])

    async def ask(
        text: str, chosen: list[str], only: list[str], how: Writer, identifier: str, request: gr.Request
    ) -> AsyncIterator[Updates]:
        user = person(request)
        if not text.strip():
            yield {question: ""}
            return
        before = turns_html((await questions.show_conversation(services, user, identifier))["turns"]) if identifier else ""
        running: Updates = {send: gr.Button(visible=False), stop: gr.Button(visible=True)}
        yield {question: "", asked: text, chat: before + live_html(text, "Searching", []), **running}
        sentences: list[dict[str, Any]] = []
        status, written = "Searching", ""
        named = [(place, document) for place, _, document in (one.partition(" ") for one in only or [])]
        try:
            async for event in questions.ask(services, user, text, chosen, conversation=identifier or None, documents=named, writer=how):
                if isinstance(event, Searched):
                    status = reading_text(len(event.passages))
                elif isinstance(event, Piece):
                    written += event.text
                elif isinstance(event, Said):
                    sentences.append(event.sentence.as_dict())
                else:
                    yield {**await show(user, event.conversation), **waiting}
                    return
                yield {chat: before + live_html(text, status, sentences, written)}
        except WorkbenchError as error:
            yield {question: text, chat: before + failed_html(text, error.message), **waiting}
        except Exception as error:
            log.error("a question failed", exc_info=error)
            told_where = f"Unexpected error. Details are in the gateway's log (correlation ID {correlation_id()})."
            yield {question: text, chat: before + failed_html(text, told_where), **waiting}

    @told
    async def stopped(identifier: str, text: str, typed: str, request: gr.Request) -> Updates:
        return {**await show(person(request), identifier), question: typed if typed.strip() else text, **waiting}

    @told
    async def act(identifier: str, request: gr.Request, event: gr.EventData) -> Updates:
        user = person(request)
        action, named = str(event.action), str(event.id)
        if action in ("up", "down"):
            await questions.give_feedback(services, user, named, 1 if action == "up" else -1)
            return await show(user, identifier)
        answer, _, place = named.partition(" ")
        turns = (await questions.show_conversation(services, user, identifier))["turns"]
        turn = next((turn for turn in turns if turn["id"] == answer), None)
        if turn is None:
            raise NotFound("This answer no longer exists. Reload the page.")
        passage = cited_passage(turn, place)
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

    blocks.load(open_page, None, everything, **HIDDEN).then(None, None, None, js=AT_END)
    asking = []
    for event in (send.click, question.submit):
        event(None, None, None, js=BUSY)
        asking.append(event(ask, [question, places, documents, writer, conversation], everything, **HIDDEN))
        asking[-1].then(None, conversation, None, js=NAMED)
    stop.click(stopped, [conversation, asked, question], everything, cancels=asking, **HIDDEN)
    places.input(offer, [places, documents], documents, trigger_mode="always_last", **HIDDEN)
    # Every click counts, also while an answer comes or another source is being opened.
    chat.submit(act, conversation, everything, trigger_mode="multiple", **HIDDEN).success(None, None, None, js=SEEN)
    find.change(search, [find, conversation], earlier, **HIDDEN)
    rename.click(name_it, [conversation, title], everything, **HIDDEN)
    tools.submit(remove, conversation, where, **HIDDEN).success(None, where, None, js=LEAVE)


def cited_passage(turn: dict[str, Any], place: str) -> dict[str, Any]:
    """The passage that a button of :func:`workbench.ui.ask.html.turns_html` means. Raises InvalidInput."""
    try:
        if place.startswith("p"):
            return turn["passages"][int(place[1:])]
        sentence, _, number = place[1:].partition(".")
        return turn["sentences"][int(sentence)]["passages"][int(number)]
    except (ValueError, IndexError) as error:
        raise InvalidInput("This citation does not exist.") from error


def _tools(identifier: str) -> str:
    export = f'<a class="wb-link" href="/mlops/history/{escape(identifier)}/export">Export as Markdown</a>'
    begin = '<a class="wb-link" href="/ask">New conversation</a>'
    delete = button("Delete", "delete", identifier, ask="Delete this conversation, its answers and their traces in MLflow?")
    return f'<p class="wb-tools">{begin}{export}{delete}</p>'
