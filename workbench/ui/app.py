"""All pages in one Blocks."""

from __future__ import annotations

import gradio as gr

from workbench.services.context import Services
from workbench.ui.activity import activity_page
from workbench.ui.home import home_page
from workbench.ui.imaging import imaging_page


def build_pages(services: Services) -> gr.Blocks:
    """The pages that exist. Files that people dropped are removed from Gradio's folder within two hours."""
    with gr.Blocks(title="Workbench", analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.Navbar(visible=False)
        home_page(services, blocks)
    with blocks.route("Imaging", "/imaging"):
        gr.Navbar(visible=False)
        imaging_page(services, blocks)
    with blocks.route("Activity", "/activity"):
        gr.Navbar(visible=False)
        activity_page(services, blocks)
    blocks.queue(default_concurrency_limit=None)
    return blocks
