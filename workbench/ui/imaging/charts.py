"""Charts of a report's volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.imaging.tables import StructureRow
from pipelines.imaging.wording import amount, larger_side
from workbench.ui.shared.formatting import capital
from workbench.ui.theme import LEFT, RIGHT, chart_template

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROW = 24  # pixels a structure
LEAST = 0.01  # millilitres: below it a dot would only stretch the axis


def volume_chart(rows: list[StructureRow]) -> go.Figure:
    """Left and right volume of each structure as two dots on one line; logarithmic axis, since they span 1 to 500 ml."""
    import plotly.graph_objects as go

    shown = list(reversed(rows))
    figure = go.Figure(layout={"template": chart_template(), "height": ROW * len(shown) + 96})
    for row in shown:
        if row.left and row.right and min(row.left.value, row.right.value) >= LEAST:
            figure.add_trace(
                go.Scatter(
                    x=[row.left.value, row.right.value], y=[capital(row.name)] * 2, mode="lines",
                    line={"color": "rgba(138,154,176,.7)", "width": 2},
                    showlegend=False, hoverinfo="skip",
                )
            )  # fmt: skip
    for name, colour, symbol, pick in (
        ("Left", LEFT, "circle", lambda row: row.left),
        ("Right", "#7d8ca3", "circle-open", lambda row: row.right),
        ("Midline", "#7d8ca3", "diamond", lambda row: row.middle),
    ):
        points = [(item.value, row) for row in shown if (item := pick(row)) and item.value >= LEAST]
        figure.add_trace(
            go.Scatter(
                x=[value for value, _ in points], y=[capital(row.name) for _, row in points], mode="markers", name=name,
                marker={"color": colour, "size": 9, "symbol": symbol, "line": {"width": 2 if symbol.endswith("open") else 0}},
                hovertemplate=f"%{{y}}, {name.lower()}: %{{x:.2f}} ml<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(type="log", title_text="Volume, ml (log scale)", dtick=1)
    figure.update_yaxes(categoryorder="array", categoryarray=[capital(row.name) for row in shown], showgrid=True)
    return figure


def asymmetry_chart(rows: list[StructureRow]) -> go.Figure:
    """Asymmetry index of each pair; bars point to the larger side."""
    import plotly.graph_objects as go

    shown = [(row.name, row.index) for row in reversed(rows) if row.index is not None]
    # The person's left is drawn to the left, whatever the sign.
    values = [-index.value for _, index in shown]
    names = [capital(name) for name, _ in shown]
    reach = max(10.0, 1.15 * max((abs(v) for v in values), default=10.0))
    figure = go.Figure(
        go.Bar(
            x=values, y=names, orientation="h", width=0.5, showlegend=False, marker={"color": [LEFT if v < 0 else RIGHT for v in values]},
            customdata=[[amount(index), larger_side(index)] for _, index in shown],
            hovertemplate="%{y}: asymmetry index %{customdata[0]}, %{customdata[1]}<extra></extra>",
        ),
        layout={"template": chart_template(), "height": ROW * len(shown) + 76},
    )  # fmt: skip
    step = next((size for size in (5, 10, 20, 50) if reach <= 4.5 * size), 100)
    ticks = [n * step for n in range(-int(reach // step), int(reach // step) + 1)]
    figure.update_xaxes(
        range=[-reach, reach],
        tickvals=ticks,
        ticktext=[f"{abs(t)} %" for t in ticks],
        title_text="← left larger        right larger →",
        zeroline=True,
    )
    return figure
