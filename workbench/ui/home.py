"""Home: what this is, the latest results of both programmes, what waits for a person, and what serves."""

from __future__ import annotations

import gradio as gr

from workbench.services import compliance
from workbench.services.context import Services
from workbench.services.models import list_roles
from workbench.services.progress import list_progress
from workbench.services.results import list_results
from workbench.ui.cards import results_html, roles_html
from workbench.ui.compliance_html import analyses_html
from workbench.ui.shell import HIDDEN, bottom_line, empty, html, panel, person, told, top_bar
from workbench.ui.stages import underway_html
from workbench.ui.words import plural

LEAD = """<div class="wb-lead"><h1>Findings that open what they rest on</h1>
<p>A brain MRI becomes a report in which every sentence is measured, seen or cited. A document is checked against your policies,
requirement by requirement, with the evidence on both sides. Each result names the model versions that made it.</p></div>"""

PROGRAMMES = """<p><b>Imaging.</b> Drop a brain MRI (NIfTI, MGZ, NRRD or DICOM). You get a segmentation, volumes of left and right,
and a report to check and download. <a href="/imaging">Analyse a scan</a></p>
<p><b>Compliance.</b> Drop a contract, a procedure or a privacy policy. Every requirement of your policies gets a verdict with its
evidence, a score that explains itself, and what to do about each gap. <a href="/compliance">Check a document</a></p>"""


def home_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Home")
    html(LEAD)
    latest = html()
    checked = html()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            html(panel("Two programmes", f'<div class="wb-prose">{PROGRAMMES}</div>'))
        with gr.Column(scale=3, min_width=320):
            serving = html(panel("What serves", '<p class="wb-quiet">Asking the models …</p>'))
    bottom_line()

    @told
    async def show_latest(request: gr.Request) -> str:
        user = person(request)
        cards = await list_results(services, user, limit=4)
        underway = underway_html(await list_progress(services, user))
        if not cards and underway:
            return underway
        if not cards:
            body = empty("No results yet", 'Begin with a scan of yours, or with a sample: <a href="/imaging">analyse a scan</a>.')
        else:
            body = results_html(cards)
        return f'{underway}<div class="wb-heading"><h2>Latest results</h2><a href="/activity">All analyses</a></div>{body}'

    @told
    async def show_checked(request: gr.Request) -> str:
        cards = await compliance.list_analyses(services, person(request), 4)
        if not cards:
            return ""
        waiting = sum(card.open_reviews for card in cards)
        reviews = f'<a href="/compliance-dashboard">{plural(waiting, "open review")}</a>' if waiting else ""
        heading = (
            f'<div class="wb-heading"><h2>Checked documents</h2><span>{reviews}<a href="/compliance-dashboard">Dashboard</a></span></div>'
        )
        return heading + analyses_html(cards)

    @told
    async def show_serving(request: gr.Request) -> str:
        person(request)
        return panel("What serves", roles_html(await list_roles(services)))

    blocks.load(show_latest, None, latest, **HIDDEN)
    blocks.load(show_checked, None, checked, **HIDDEN)
    blocks.load(show_serving, None, serving, **HIDDEN)
