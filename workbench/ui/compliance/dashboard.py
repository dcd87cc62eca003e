"""Compliance dashboard: how documents stand, what is broken most, the state of the policies, and what waits for a person."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.services import compliance
from workbench.services.context import Services
from workbench.services.progress import list_progress
from workbench.ui.compliance.charts import distribution_chart, risk_chart, scores_chart
from workbench.ui.compliance.dashboard_html import figures_html, policies_html, reviews_html, violated_html
from workbench.ui.compliance.html import last_line, sub_bar
from workbench.ui.shared.shell import HIDDEN, empty, html, person, told, top_bar
from workbench.ui.shared.stages import underway_html

LEAD = """<div class="wb-lead"><h1>Compliance dashboard</h1>
<p>Scores, risks and open reviews of the checked documents.</p></div>"""
SHOWN = 6  # open reviews
NOTHING = 'Check a document or a sample in <a href="/compliance">Document analysis</a>. Its scores, risks and open reviews appear here.'


def compliance_dashboard_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Compliance")
    sub_bar("Dashboard")
    html(LEAD)
    nothing = html(visible=False)
    with gr.Column(visible=False) as filled:
        figures = html()
        with gr.Row(elem_classes="wb-pair"):
            with gr.Column(scale=3, min_width=320, elem_classes="wb-card wb-charts"):
                html('<h2 class="wb-over">Analyses over time</h2>')
                scores = gr.Plot(label="Scores", show_label=False, container=False, elem_classes="wb-chart", elem_id="scores-chart")
            with gr.Column(scale=2, min_width=300, elem_classes="wb-card wb-charts"):
                html('<h2 class="wb-over">Score distribution</h2>')
                spread = gr.Plot(label="Verdicts", show_label=False, container=False, elem_classes="wb-chart", elem_id="spread-chart")
        with gr.Row(elem_classes="wb-pair wb-even"):
            with gr.Column(scale=1, min_width=320):
                with gr.Column(elem_classes="wb-card wb-charts"):
                    html('<h2 class="wb-over">Risk matrix: requirements in the latest analysis of each document</h2>')
                    risk = gr.Plot(label="Risk", show_label=False, container=False, elem_classes="wb-chart wb-heat", elem_id="risk-chart")
                policies = html()
            with gr.Column(scale=1, min_width=320):
                waiting = html()
        violated = html(elem_classes="wb-across")
    last_line()

    @told
    async def show(request: gr.Request) -> dict[Any, Any]:
        user = person(request)
        found = await compliance.dashboard(services, user)
        if not found.analyses:
            underway = underway_html(await list_progress(services, user, pipeline="compliance"))
            return {nothing: gr.HTML(underway or empty("No analyses yet", NOTHING), visible=True)}
        return {
            filled: gr.Column(visible=True),
            figures: figures_html(found),
            scores: scores_chart(found.analyses),
            spread: distribution_chart(found.analyses),
            risk: risk_chart(found.matrix),
            waiting: reviews_html(await compliance.open_reviews(services, user, limit=SHOWN), found.open_reviews),
            violated: violated_html(found.violated),
            policies: policies_html(found.policies),
        }

    parts = [nothing, filled, figures, scores, spread, risk, waiting, violated, policies]
    blocks.load(show, None, parts, **HIDDEN)
