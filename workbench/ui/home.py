"""Home: what this is, the latest results, the two programmes, and what serves."""

from __future__ import annotations

import gradio as gr

from workbench.services.context import Services
from workbench.services.models import list_roles
from workbench.services.results import list_results
from workbench.ui.cards import results_html, roles_html
from workbench.ui.shell import bottom_line, empty, html, panel, person, told, top_bar

LEAD = """<div class="wb-lead"><h1>A brain MRI in, a report out</h1>
<p>Workbench segments a scan, measures its structures and writes a report in which every sentence is measured, seen or cited.
Each sentence opens what it rests on, and each result names the model versions that made it.</p></div>"""

PROGRAMMES = """<p><b>Imaging.</b> Drop a brain MRI (NIfTI, MGZ, NRRD or DICOM). You get a segmentation, volumes of left and right,
and a report to check and download. <a href="/imaging">Analyse a scan</a></p>
<p><b>Compliance.</b> Policies and regulations as a knowledge base, a document checked against them requirement by requirement,
questions answered with citations to the page. It is being built and is not here yet.</p>"""


def home_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Home")
    html(LEAD)
    latest = html()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            html(panel("Two programmes", f'<div class="wb-prose">{PROGRAMMES}</div>'))
        with gr.Column(scale=3, min_width=320):
            serving = html(panel("What serves", '<p class="wb-quiet">Asking the models …</p>'))
    bottom_line()

    @told
    async def show_latest(request: gr.Request) -> str:
        cards = await list_results(services, person(request), limit=4)
        if not cards:
            body = empty("No results yet", 'Begin with a scan of yours, or with a sample: <a href="/imaging">analyse a scan</a>.')
        else:
            body = results_html(cards)
        return f'<div class="wb-heading"><h2>Latest results</h2><a href="/activity">All analyses</a></div>{body}'

    @told
    async def show_serving(request: gr.Request) -> str:
        person(request)
        return panel("What serves", roles_html(await list_roles(services)))

    blocks.load(show_latest, None, latest, show_progress="hidden", api_visibility="private")
    blocks.load(show_serving, None, serving, show_progress="hidden", api_visibility="private")
