"""The navigation of the compliance pages, below the bar."""

from __future__ import annotations

import gradio as gr

from pipelines.compliance.wording import LIMITS
from workbench.ui.shell import html

PARTS = (("Document analysis", "/compliance"), ("Requirements", "/requirements"), ("Dashboard", "/compliance-dashboard"))


def sub_bar(active: str) -> gr.HTML:
    """The programme's pages; ``active`` is the name of the one that is shown."""
    links = "".join(f'<a href="{address}"{" aria-current=page" if name == active else ""}>{name}</a>' for name, address in PARTS)
    return html(f'<nav class="wb-sub" aria-label="Compliance">{links}</nav>', elem_classes="wb-sub-holder")


def last_line() -> gr.HTML:
    """The footer of the compliance pages."""
    return html(f'<footer class="wb-foot">{LIMITS}</footer>')
