"""Numbers, confidences and places as text: one format for sentences, tables, page and PDF.

:mod:`pipelines.imaging.verify` checks sentences by the same functions.
"""

from __future__ import annotations

from pipelines.imaging.report import Lesion, Measurement

OVER = "structures over 1 ml"
"""The structures that the summary compares besides the largest asymmetry of all."""
OVER_ML = 1.0
FLAIR_CONTRAST = "FLAIR contrast"
"""The measurement that tells whether lesions can be measured on a scan."""


def number(value: float, unit: str) -> str:
    """Millilitres: no decimals from 100, one from 10, two below. Percent: absolute value, one decimal. Other units: two decimals."""
    if unit == "count":
        return f"{value:,.0f}"
    if unit == "%":
        return f"{abs(value):.1f}"
    if unit == "ml":
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return f"{value:.2f}"


def amount(item: Measurement) -> str:
    """Number and unit: ``3.91 ml``, ``2.8 %``, ``0.93``."""
    text = number(item.value, item.unit)
    return f"{text} {item.unit}" if item.unit in ("ml", "%") else text


def joined(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def asymmetry(index: Measurement) -> str:
    """An asymmetry index with its larger side: ``asymmetry index 17.0 %, right larger``; the side is left out at 0.0 %."""
    side = larger_side(index)
    return f"asymmetry index {amount(index)}" + (f", {side}" if side else "")


def larger_side(index: Measurement) -> str:
    """``left larger``, ``right larger``, or nothing where the index rounds to zero."""
    if number(index.value, "%") == "0.0":
        return ""
    return "left larger" if index.value > 0 else "right larger"


def confidence(value: float | None) -> str:
    """A confidence from 0 to 1 with two decimals; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def place(lesion: Lesion) -> str:
    """Zone and side: ``periventricular, left``."""
    return ", ".join([lesion.zone or "zone undetermined", lesion.side or "midline or bilateral"])
