"""Home: the pages, the latest results, open reviews, and the models in use."""

from __future__ import annotations

import gradio as gr

from workbench.services import compliance
from workbench.services.context import Services
from workbench.services.models import list_roles
from workbench.services.progress import list_progress
from workbench.services.results import list_results
from workbench.ui.compliance.html import analyses_html
from workbench.ui.shared.cards import results_html, roles_html
from workbench.ui.shared.formatting import plural
from workbench.ui.shared.shell import HIDDEN, bottom_line, empty, html, panel, person, told, top_bar
from workbench.ui.shared.stages import underway_html

LEAD = """<div class="wb-lead"><h1>Workbench</h1>
<p>Analyse brain MRI scans, check documents against policies, and ask questions about your documents. Results link to their evidence
and name the model versions used.</p></div>"""

ROOMS = (
    (
        "Imaging",
        "/imaging",
        "Upload a brain MRI (NIfTI, MGZ, NRRD or DICOM) to get a segmentation, volumes and a report.",
        "Analyse a scan",
    ),
    (
        "Cohorts",
        "/cohorts",
        "Analyse many scans at once, compare their volumes, or combine the sequences of one visit.",
        "Analyse a cohort",
    ),
    (
        "Compliance",
        "/compliance",
        "Check a contract, procedure or privacy policy against the requirements of your policies.",
        "Check a document",
    ),
    ("Knowledge", "/knowledge", "Create collections of documents, and search and edit what was read from them.", "Open collections"),
    ("Ask", "/ask", "Ask questions about your collections. Answers cite their sources.", "Ask a question"),
    ("Activity", "/activity", "See, cancel and retry all your jobs.", "Open activity"),
)


def rooms_html() -> str:
    """What each page is for, with the way to it."""
    return (
        '<div class="wb-rooms">'
        + "".join(
            f'<a class="wb-room" href="{address}"><b>{name}</b><span>{text}</span><em>{action}</em></a>'
            for name, address, text, action in ROOMS
        )
        + "</div>"
    )


def home_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Home")
    html(LEAD + rooms_html())
    latest = html()
    checked = html()
    serving = html(panel("Models", '<p class="wb-quiet">Loading …</p>'))
    bottom_line()

    @told
    async def show_latest(request: gr.Request) -> str:
        user = person(request)
        cards = await list_results(services, user, limit=4)
        underway = underway_html(await list_progress(services, user))
        if not cards and underway:
            return underway
        if not cards:
            body = empty("No results yet", 'Upload a scan or use a sample: <a href="/imaging">analyse a scan</a>.')
        else:
            body = results_html(cards)
        return f'{underway}<div class="wb-heading"><h2>Latest results</h2><a href="/activity">All jobs</a></div>{body}'

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
        return panel("Models", roles_html(await list_roles(services)))

    blocks.load(show_latest, None, latest, **HIDDEN)
    blocks.load(show_checked, None, checked, **HIDDEN)
    blocks.load(show_serving, None, serving, **HIDDEN)
