"""How numbers and names stand in sentences; :mod:`pipelines.imaging.verify` reads them back by the same rules."""

from __future__ import annotations

from pipelines.imaging.report import Lesion, Measurement


def number(value: float, unit: str) -> str:
    """As many digits as a reader can use: whole millilitres from 100 on, one decimal from 10, two below; one for percent."""
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


def larger_side(index: Measurement) -> str:
    """``2.8 % larger on the left``, or ``equal on both sides`` below what is shown."""
    if number(index.value, "%") == "0.0":
        return "equal on both sides"
    return f"{amount(index)} larger on the {'left' if index.value > 0 else 'right'}"


def place(lesion: Lesion) -> str:
    """Zone and side: ``periventricular, left``."""
    return ", ".join([lesion.zone or "place unclear", lesion.side or "on the midline or both sides"])
