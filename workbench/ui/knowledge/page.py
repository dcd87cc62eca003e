"""Knowledge: collections, their documents, and what stands in them.

``/knowledge`` lists the collections, ``?collection=ID`` shows one (``?job=ID`` the one that a job adds to), and
``?collection=ID&document=ID`` a document with its chunks. Each is a part of the page with handlers of its own.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.services import knowledge
from workbench.services.addresses import knowledge_address
from workbench.services.context import Services
from workbench.ui.knowledge.collection import collection_part
from workbench.ui.knowledge.document import document_part
from workbench.ui.knowledge.html import collections_html
from workbench.ui.shared.actions import GO
from workbench.ui.shared.shell import HIDDEN, bottom_line, html, person, told, top_bar

LEAD = """<div class="wb-lead"><h1>Knowledge</h1>
<p>Collections of documents that answers and reports can cite. Supported: PDF, Word, HTML, Markdown, text and CSV.
Documents are processed on this machine.</p></div>"""


def knowledge_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Knowledge")
    _start_part(services, blocks)
    collection_part(services, blocks)
    document_part(services, blocks)
    bottom_line()


def _start_part(services: Services, blocks: gr.Blocks) -> None:
    where = gr.Textbox(visible="hidden", elem_id="made", label="Address")
    with gr.Column(visible=False) as start:
        html(LEAD)
        with gr.Row(elem_classes="wb-form wb-narrow"):
            name = gr.Textbox(
                "", show_label=False, container=False, placeholder="Name of the new collection", max_lines=1, max_length=100,
                label="Name of the new collection", elem_id="new-name", scale=1, min_width=200,
            )  # fmt: skip
            make = gr.Button("Create collection", variant="primary", elem_id="make", size="md", scale=0, min_width=180)
        cards = html()

    @told
    async def open_page(request: gr.Request) -> dict[Any, Any]:
        user = person(request)
        if request.query_params.get("collection") or request.query_params.get("job"):
            return {start: gr.Column(visible=False)}
        return {start: gr.Column(visible=True), cards: collections_html(await knowledge.list_collections(services, user))}

    @told
    async def create(wanted: str, request: gr.Request) -> str:
        return knowledge_address((await knowledge.new_collection(services, person(request), wanted)).id)

    blocks.load(open_page, None, [start, cards], **HIDDEN)
    for event in (make.click, name.submit):
        event(create, name, where, **HIDDEN).success(None, where, None, js=GO)
