"""All pages in one Blocks."""

from __future__ import annotations

import gradio as gr

from workbench.services.context import Services
from workbench.ui.account.people import people_page
from workbench.ui.account.settings import settings_page
from workbench.ui.activity import activity_page
from workbench.ui.ask.page import ask_page
from workbench.ui.cohorts.page import cohorts_page
from workbench.ui.compliance.dashboard import compliance_dashboard_page
from workbench.ui.compliance.page import compliance_page
from workbench.ui.compliance.requirements import requirements_page
from workbench.ui.home import home_page
from workbench.ui.imaging.page import imaging_page
from workbench.ui.knowledge.page import knowledge_page


def build_pages(services: Services) -> gr.Blocks:
    """The pages that exist."""
    with gr.Blocks(title="Workbench", analytics_enabled=False) as blocks:
        gr.Navbar(visible=False)
        home_page(services, blocks)
    with blocks.route("Imaging", "/imaging"):
        gr.Navbar(visible=False)
        imaging_page(services, blocks)
    with blocks.route("Cohorts", "/cohorts"):
        gr.Navbar(visible=False)
        cohorts_page(services, blocks)
    with blocks.route("Document analysis", "/compliance"):
        gr.Navbar(visible=False)
        compliance_page(services, blocks)
    with blocks.route("Policies", "/requirements"):
        gr.Navbar(visible=False)
        requirements_page(services, blocks)
    with blocks.route("Compliance dashboard", "/compliance-dashboard"):
        gr.Navbar(visible=False)
        compliance_dashboard_page(services, blocks)
    with blocks.route("Knowledge", "/knowledge"):
        gr.Navbar(visible=False)
        knowledge_page(services, blocks)
    with blocks.route("Ask", "/ask"):
        gr.Navbar(visible=False)
        ask_page(services, blocks)
    with blocks.route("Activity", "/activity"):
        gr.Navbar(visible=False)
        activity_page(services, blocks)
    with blocks.route("Settings", "/settings"):
        gr.Navbar(visible=False)
        settings_page(services, blocks)
    with blocks.route("People", "/people"):
        gr.Navbar(visible=False)
        people_page(services, blocks)
    blocks.queue(default_concurrency_limit=None)
    return blocks
