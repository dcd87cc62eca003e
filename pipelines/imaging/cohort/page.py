"""``quality.html``: the cohort on one page that needs nothing else: outliers first, failures named, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

from pipelines.imaging.cohort.entries import Entry
from pipelines.imaging.cohort.outliers import FAR, FEWEST, Spread, plain, scores, spreads
from pipelines.imaging.report import RESEARCH_ONLY

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(("html", "j2")))
SHOWN = ("brain volume (ml)", "grey matter volume (ml)", "white matter volume (ml)", "ventricle volume (ml)", "lesion load (ml)")
WIDE, TALL, EDGE = 300, 64, 10  # of one distribution, in the picture's units


def quality_page(title: str, entries: Sequence[Entry], *, models: Sequence[str] = (), table: str = "measurements.csv") -> str:
    """The page.

    Args:
        title: what the cohort is called.
        models: what measured, a phrase each.
        table: address of the table, relative to the page.
    """
    found = spreads(entries)
    far = scores(entries, found)
    done = sorted((entry for entry in entries if entry.state == "done"), key=lambda entry: (-far[entry.name][0], entry.name))
    failed = [entry for entry in entries if entry.state == "failed"]
    return _TEMPLATES.get_template("quality.html.j2").render(
        title=title, made=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"), models=models, table=table, limits=RESEARCH_ONLY,
        cards=[_card(entry, *far[entry.name]) for entry in done], failed=failed, plots=[_plot(spread) for spread in found],
        waiting=sum(entry.state == "waiting" for entry in entries), cancelled=sum(entry.state == "cancelled" for entry in entries),
        counts={
            "scans": len(entries), "analysed": len(done), "failed": len(failed),
            "outliers": sum(far[entry.name][0] >= FAR for entry in done), "limited": sum(entry.quality == "limited" for entry in done),
        },
        far=FAR, fewest=FEWEST, compared=len([entry for entry in done if entry.same_as is None]) >= FEWEST,
    )  # fmt: skip


def _card(entry: Entry, z: float, sentence: str) -> dict[str, Any]:
    picture = base64.b64encode(entry.thumbnail).decode() if entry.thumbnail else ""
    shown = [(name.removesuffix(" volume (ml)").removesuffix(" (ml)"), entry.row[name]) for name in SHOWN if name in entry.row]
    values = [(name, f"{value:,.1f} ml") for name, value in shown if isinstance(value, int | float)]
    return {"entry": entry, "z": z, "far": z >= FAR, "sentence": sentence, "picture": picture, "values": values}


def _plot(spread: Spread) -> dict[str, Any]:
    """One measure as dots on a line: place along it by value, height by how many lie near (a beeswarm of a kind)."""
    low, high = min(spread.values.values()), max(spread.values.values())

    def across(value: float) -> float:
        return EDGE + (WIDE - 2 * EDGE) * ((value - low) / (high - low) if high > low else 0.5)

    stacked: dict[int, int] = {}
    dots = []
    for name, value in sorted(spread.values.items(), key=lambda item: item[1]):
        x = across(value)
        level = stacked[round(x / 7)] = stacked.get(round(x / 7), 0) + 1
        up = (level // 2) * (6 if level % 2 else -6)
        y = TALL / 2 + max(-TALL / 2 + 6, min(TALL / 2 - 6, up))
        z = spread.z.get(name)
        told = f"{name}: {plain(value)} {spread.unit}" + (f", z {z:+.1f}" if z is not None else "")
        dots.append({"x": round(x, 1), "y": round(y, 1), "far": z is not None and abs(z) >= FAR, "told": told})
    unit = f" {spread.unit}" if spread.unit else ""
    return {
        "title": spread.title, "dots": dots, "median": round(across(min(max(spread.median, low), high)), 1), "wide": WIDE, "tall": TALL,
        "low": plain(low), "high": f"{plain(high)}{unit}", "middle": f"median {plain(spread.median)}{unit}",
    }  # fmt: skip
