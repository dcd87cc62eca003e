"""Charts of a report's volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.services.volumes import VolumeRow
from workbench.ui.theme import LEFT, RIGHT, chart_template
from workbench.ui.words import capital

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROW = 24  # pixels a structure
LEAST = 0.01  # millilitres: below it a dot would only stretch the axis


def volume_chart(rows: list[VolumeRow]) -> go.Figure:
    """Left and right millilitres of each structure as two dots on one line; the axis is logarithmic, since they span 1 to 500 ml."""
    import plotly.graph_objects as go

    shown = list(reversed(rows))
    figure = go.Figure(layout={"template": chart_template(), "height": ROW * len(shown) + 96})
    for row in shown:
        if min(row.left or 0.0, row.right or 0.0) >= LEAST:
            figure.add_trace(
                go.Scatter(
                    x=[row.left, row.right], y=[capital(row.name)] * 2, mode="lines", line={"color": "rgba(138,154,176,.7)", "width": 2},
                    showlegend=False, hoverinfo="skip",
                )
            )  # fmt: skip
    for name, colour, symbol, pick in (
        ("Left", LEFT, "circle", lambda row: row.left),
        ("Right", "#7d8ca3", "circle-open", lambda row: row.right),
        ("Midline", "#7d8ca3", "diamond", lambda row: row.middle),
    ):
        points = [(pick(row), row) for row in shown if (pick(row) or 0.0) >= LEAST]
        figure.add_trace(
            go.Scatter(
                x=[value for value, _ in points], y=[capital(row.name) for _, row in points], mode="markers", name=name,
                marker={"color": colour, "size": 9, "symbol": symbol, "line": {"width": 2 if symbol.endswith("open") else 0}},
                hovertemplate=f"%{{y}}, {name.lower()}: %{{x:.2f}} ml<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(type="log", title_text="Millilitres (logarithmic)", dtick=1)
    figure.update_yaxes(categoryorder="array", categoryarray=[capital(row.name) for row in shown], showgrid=True)
    return figure


def asymmetry_chart(rows: list[VolumeRow]) -> go.Figure:
    """Left against right in percent of their mean: to the left where the left side is larger."""
    import plotly.graph_objects as go

    shown = [row for row in reversed(rows) if row.asymmetry is not None]
    # The person's left is drawn to the left, whatever the sign.
    values = [-float(row.asymmetry or 0.0) for row in shown]
    names = [capital(row.name) for row in shown]
    reach = max(10.0, 1.15 * max((abs(v) for v in values), default=10.0))
    figure = go.Figure(
        go.Bar(
            x=values, y=names, orientation="h", width=0.5, showlegend=False, marker={"color": [LEFT if v < 0 else RIGHT for v in values]},
            customdata=[[abs(v), "left" if v < 0 else "right"] for v in values],
            hovertemplate="%{y}: %{customdata[1]} larger by %{customdata[0]:.1f} %<extra></extra>",
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
