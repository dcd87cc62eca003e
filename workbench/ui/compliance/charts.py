"""Charts of the compliance dashboard, in the theme's colours; grounds are transparent, so one figure serves light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from infra.database import as_utc
from knowledge.requirements.contract import SEVERITIES
from pipelines.compliance.scoring import LIKELIHOODS, MATRIX
from pipelines.compliance.wording import RISK_WORDS
from workbench.ui.shared.formatting import capital, escape
from workbench.ui.theme import chart_template

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from workbench.services.compliance import AnalysisCard

# From the palest blue to the darkest: the risk is read from the depth, not from the hue.
RISK_COLOURS = {"low": "#9fb8d3", "medium": "#5e93cc", "high": "#2563a8", "critical": "#a3282d"}
SYMBOLS = {"low": "circle", "medium": "square", "high": "diamond", "critical": "x"}
_GROUNDS = [[0.0, "rgba(138,154,176,.16)"], [1 / 3, "rgba(58,124,192,.30)"], [2 / 3, "rgba(37,99,168,.58)"], [1.0, "rgba(163,40,45,.55)"]]
DAY = 86_400_000
"""In milliseconds, in which plotly counts a date axis."""
BANDS = (0, 20, 40, 60, 80, 100)


def scores_chart(cards: Sequence[AnalysisCard]) -> go.Figure:
    """Each analysis as a dot: when, and which score; colour and shape tell its risk. A line joins analyses of one document.

    At least one analysis is needed.
    """
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": chart_template(), "height": 280})
    by_document: dict[str, list[AnalysisCard]] = {}
    for card in cards:
        by_document.setdefault(card.document, []).append(card)
    for group in by_document.values():
        if len(group) > 1:
            figure.add_trace(
                go.Scatter(
                    x=[as_utc(card.created_at) for card in group], y=[card.score for card in group], mode="lines",
                    line={"color": "rgba(138,154,176,.6)", "width": 1.5}, showlegend=False, hoverinfo="skip",
                )
            )  # fmt: skip
    for risk, colour in RISK_COLOURS.items():
        points = [card for card in cards if card.risk == risk]
        if points:
            figure.add_trace(
                go.Scatter(
                    x=[as_utc(card.created_at) for card in points], y=[card.score for card in points], mode="markers",
                    name=RISK_WORDS[risk], marker={"color": colour, "symbol": SYMBOLS[risk], "size": 11},
                    customdata=[escape(card.document) for card in points],
                    hovertemplate="%{customdata}<br>%{x|%d %b %Y, %H:%M}: %{y:.0f} of 100<extra></extra>",
                )
            )  # fmt: skip
    figure.update_yaxes(range=[-4, 104], dtick=20, title_text="Score")
    # On the first day all ticks are of one date: then they tell the hour too, and one analysis alone has an hour around it.
    at = [as_utc(card.created_at) for card in cards]
    room = max(timedelta(minutes=30), (max(at) - min(at)) * 0.05)
    hours, days = {"dtickrange": [None, DAY - 1], "value": "%H:%M\n%d %b"}, {"dtickrange": [DAY, None], "value": "%d %b"}
    figure.update_xaxes(tickformatstops=[hours, days], nticks=7, range=[min(at) - room, max(at) + room])
    return figure


def distribution(cards: Sequence[AnalysisCard]) -> dict[str, int]:
    """How many analyses scored in each fifth of the scale: ``80 to 100`` includes 100."""
    found = {f"{low} to {high}": 0 for low, high in pairwise(BANDS)}
    names = list(found)
    for card in cards:
        found[names[min(int(card.score // 20), len(names) - 1)]] += 1
    return found


def distribution_chart(cards: Sequence[AnalysisCard]) -> go.Figure:
    """How the scores of the analyses spread."""
    import plotly.graph_objects as go

    found = distribution(cards)
    figure = go.Figure(
        go.Bar(
            x=list(found), y=list(found.values()), width=0.72, marker={"color": "#2563a8"}, showlegend=False,
            hovertemplate="Score %{x}: %{y}<extra></extra>",
        ),
        layout={"template": chart_template(), "height": 280},
    )  # fmt: skip
    most = max(found.values(), default=0)
    figure.update_yaxes(title_text="Analyses", rangemode="tozero", dtick=max(1, -(-most // 5)), showgrid=True)
    figure.update_xaxes(title_text="Score", type="category")
    return figure


def risk_chart(matrix: Mapping[str, Mapping[str, int]]) -> go.Figure:
    """The risk matrix: how many requirements stand at each likelihood and severity; the ground tells the risk of the cell."""
    import plotly.graph_objects as go

    from pipelines.compliance.contract import RISKS

    levels = [[RISKS.index(MATRIX[likelihood][severity]) for severity in SEVERITIES] for likelihood in LIKELIHOODS]
    counts = [[matrix.get(likelihood, {}).get(severity, 0) for severity in SEVERITIES] for likelihood in LIKELIHOODS]
    told = [
        [[count, RISK_WORDS[MATRIX[likelihood][severity]].lower()] for severity, count in zip(SEVERITIES, row, strict=True)]
        for likelihood, row in zip(LIKELIHOODS, counts, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=levels, x=[capital(name) for name in SEVERITIES], y=[capital(name) for name in LIKELIHOODS], xgap=3, ygap=3,
            zmin=0, zmax=3, showscale=False, text=[[str(count) if count else "" for count in row] for row in counts],
            texttemplate="%{text}", textfont={"size": 17}, customdata=told, colorscale=_GROUNDS,
            hovertemplate="%{y}, %{x} severity (%{customdata[1]}): %{customdata[0]}<extra></extra>",
        ),
        layout={"template": chart_template(), "height": 300},
    )  # fmt: skip
    figure.update_xaxes(title_text="Severity", showgrid=False)
    figure.update_yaxes(title={"text": "Likelihood", "standoff": 14}, showgrid=False)
    return figure
