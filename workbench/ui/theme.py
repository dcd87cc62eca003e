"""One look: blue-grey neutrals, one accent, a type scale, in light and dark; charts with the same colours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

if TYPE_CHECKING:
    import plotly.graph_objects as go

STYLES = Path(__file__).parent / "styles.css"
SCRIPT = Path(__file__).parent / "pages.js"
FAVICON = Path(__file__).parent / "favicon.png"

# The accent reads on white (5.9:1) and, lightened, on the dark ground (7.4:1).
ACCENT = gr.themes.Color(
    name="accent", c50="#eef5fc", c100="#d9e8f7", c200="#b3d0ee", c300="#8ab7e4", c400="#6ea8e6", c500="#3a7cc0",
    c600="#2563a8", c700="#1d4f88", c800="#173f6c", c900="#122f51", c950="#0b1f36",
)  # fmt: skip
NEUTRAL = gr.themes.Color(
    name="blue-grey", c50="#f5f8fb", c100="#edf1f6", c200="#dbe3ec", c300="#c3cedb", c400="#8a9ab0", c500="#64748b",
    c600="#4a5a70", c700="#2e3b52", c800="#182234", c900="#0f172a", c950="#0b1120",
)  # fmt: skip
SANS = (
    "-apple-system",
    "BlinkMacSystemFont",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "Ubuntu",
    "Cantarell",
    "Helvetica Neue",
    "Arial",
    "sans-serif",
)
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

LEFT = "#2563a8"
RIGHT = "#8a9ab0"


def theme() -> gr.themes.Base:
    """Gradio's theme. System fonts only: nothing is fetched from other hosts."""
    made = gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=NEUTRAL,
        neutral_hue=NEUTRAL,
        font=list(SANS),
        font_mono=list(MONO),
        text_size=gr.themes.sizes.text_md,
        spacing_size=gr.themes.sizes.spacing_md,
        radius_size=gr.themes.sizes.radius_md,
    )
    return made.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="#e6ecf5",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="#9babc4",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#111a2b",
        background_fill_secondary="*neutral_50",
        background_fill_secondary_dark="*neutral_900",
        block_background_fill="#ffffff",
        block_background_fill_dark="#111a2b",
        block_border_color="*neutral_200",
        block_border_color_dark="#26334a",
        block_border_width="1px",
        block_shadow="none",
        block_radius="10px",
        border_color_primary="*neutral_200",
        border_color_primary_dark="#26334a",
        border_color_accent="*primary_300",
        input_background_fill="#ffffff",
        input_background_fill_dark="#0f172a",
        input_border_color="*neutral_300",
        input_border_color_dark="#33425d",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#0b1220",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="#182338",
        button_secondary_background_fill_hover_dark="#22304a",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="#33425d",
        button_secondary_text_color="*neutral_900",
        button_secondary_text_color_dark="#e6ecf5",
        button_border_width="1px",
        button_large_radius="8px",
        button_medium_radius="8px",
        button_small_radius="6px",
        link_text_color="*primary_600",
        link_text_color_dark="*primary_400",
        link_text_color_hover="*primary_700",
        link_text_color_hover_dark="*primary_300",
        color_accent="*primary_600",
        color_accent_soft="*primary_50",
        color_accent_soft_dark="#17273e",
    )


# The pages' styles arrive after Gradio has drawn its own navigation and footer once; these must be hidden from the first paint.
EARLY_STYLES = (
    ".nav-holder, gradio-app footer:not(.wb-foot), body > footer { display: none !important; }"
    "html { background: #f5f8fb; } @media (prefers-color-scheme: dark) { html { background: #0b1120; } }"
)


def head() -> str:
    """What goes into every page's head: the pages' own script, and the wish for the person's light or dark."""
    return f'<meta name="color-scheme" content="light dark"><style>{EARLY_STYLES}</style><script>{SCRIPT.read_text()}</script>'


def chart_template() -> go.layout.Template:
    """Plotly's template. Grounds are transparent and text takes the page's colour by CSS, so light and dark need one figure."""
    import plotly.graph_objects as go

    line = "rgba(138,154,176,.28)"
    axis = {
        "gridcolor": line, "linecolor": line, "zerolinecolor": "rgba(138,154,176,.6)", "tickcolor": line, "title": {"font": {"size": 12}},
        "automargin": True, "fixedrange": True,
    }  # fmt: skip
    return go.layout.Template(
        layout={
            "font": {"family": ", ".join(SANS), "size": 12.5, "color": "#64748b"},
            "colorway": [LEFT, RIGHT],
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 12, "t": 8, "b": 36},
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "xref": "container", "x": 0, "xanchor": "left"},
            "hoverlabel": {"font": {"size": 12.5}},
            "dragmode": False,
        }
    )
