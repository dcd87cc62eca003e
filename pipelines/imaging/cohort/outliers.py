"""Outliers of a cohort: robust z-scores of the main measures.

z is (x - median) / (1.4826 x median absolute deviation), of the logarithm for volumes (they spread by factors) and of
the value itself for quality. From :data:`FEWEST` finished scans on; with fewer, nobody can be said to stand apart. A
scan is an outlier from :data:`FAR` on. Duplicates (``same_as``) count once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.imaging.cohort.entries import Entry

FEWEST = 5
LEAST = 0.005  # robust deviations are at least this (of the logarithm: half a percent): copies of one head are not a scale
FAR = 3.5  # Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993
MEASURES: tuple[tuple[str, str], ...] = (
    ("intracranial volume (ml)", "Intracranial volume"),
    ("brain volume (ml)", "Brain"),
    ("grey matter volume (ml)", "Grey matter"),
    ("white matter volume (ml)", "White matter"),
    ("ventricle volume (ml)", "Ventricles"),
    ("left hippocampus volume (ml)", "Left hippocampus"),
    ("right hippocampus volume (ml)", "Right hippocampus"),
    ("lesion load (ml)", "Lesion load"),
    ("quality_score", "Quality"),
)
"""Column of the table, and what a person reads."""


@dataclass(frozen=True)
class Spread:
    """One measure over the cohort: its values by scan, their median, and each scan's z (empty where too few)."""

    column: str
    title: str
    unit: str
    values: Mapping[str, float]
    median: float
    z: Mapping[str, float]


def spreads(entries: Sequence[Entry]) -> list[Spread]:
    """The main measures of the finished scans; those that no scan has are left out."""
    return [found for column, title in MEASURES if (found := _spread(entries, column, title))]


def scores(entries: Sequence[Entry], found: Sequence[Spread]) -> dict[str, tuple[float, str]]:
    """By scan: its largest ``|z|`` and the sentence that says of what; (0, "") where there is none."""
    said: dict[str, tuple[float, str]] = {}
    for entry in entries:
        best: tuple[float, str] = (0.0, "")
        for spread in found:
            z = spread.z.get(entry.name, 0.0)
            if abs(z) > best[0]:
                where = "above" if z > 0 else "below"
                unit = f" {spread.unit}" if spread.unit else ""
                value, middle = plain(spread.values[entry.name]), f"the median of {plain(spread.median)}{unit}"
                best = abs(z), f"{spread.title} {value}{unit}, {abs(z):.1f} robust deviations {where} {middle}"
        said[entry.name] = best
    return said


def plain(value: float) -> str:
    """A number as a person writes it: three digits that count, never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _spread(entries: Sequence[Entry], column: str, title: str) -> Spread | None:
    values: dict[str, float] = {}
    once: list[float] = []
    for entry in entries:
        value = entry.row.get(column) if entry.state == "done" else None
        if isinstance(value, int | float) and math.isfinite(value):
            values[entry.name] = float(value)
            if entry.same_as is None:
                once.append(float(value))
    if not once or (column.startswith("lesion") and not any(values.values())):
        return None
    unit = "ml" if column.endswith("(ml)") else ""
    logarithm = unit == "ml" and min(values.values()) > 0
    scale = np.log if logarithm else np.asarray
    points = np.asarray(scale(np.array(once)), dtype=float)
    middle = float(np.median(points))
    width = max(1.4826 * float(np.median(np.abs(points - middle))), LEAST)
    z: dict[str, float] = {}
    if len(once) >= FEWEST:
        z = {name: round((float(scale(np.float64(value))) - middle) / width, 2) for name, value in values.items()}
    return Spread(column, title, unit, values, float(np.exp(middle)) if logarithm else middle, z)
