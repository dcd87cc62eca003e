"""How pages say numbers and times, and how text becomes HTML."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape

from infra.database import as_utc

__all__ = ["ago", "capital", "duration", "escape", "moment", "number", "percent", "plural", "said", "size"]


def duration(seconds: float | None) -> str:
    """``0.31 s``, ``2.8 s``, ``47 s``, ``3 min 12 s``; nothing for None."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def ago(when: datetime, at: datetime | None = None) -> str:
    """``just now``, ``5 minutes ago``, ``yesterday``, ``12 March 2026``."""
    when, at = as_utc(when), at or datetime.now(UTC)
    seconds = (at - when).total_seconds()
    if seconds < 45:
        return "just now"
    for limit, size, unit in ((3600, 60, "minute"), (86400, 3600, "hour"), (7 * 86400, 86400, "day")):
        if seconds < limit:
            count = max(1, round(seconds / size))
            return f"{count} {unit}{'s' if count > 1 else ''} ago" if (unit, count) != ("day", 1) else "yesterday"
    return f"{when.day} {when:%B %Y}"


def moment(when: datetime) -> str:
    """A ``<time>`` that says how long ago, and exactly when on pointing at it (the browser turns it to local time)."""
    exact = as_utc(when).isoformat(timespec="seconds")
    return f'<time datetime="{exact}" title="{exact}">{ago(when)}</time>'


def number(value: float, *, digits: int = 1) -> str:
    """With a real minus sign, and thousands apart."""
    return f"{value:,.{digits}f}".replace("-", "−").replace(",", "\u202f")


def percent(value: float, *, sign: bool = False) -> str:
    text = f"{value:+.1f}" if sign else f"{value:.1f}"
    return ("0.0" if float(text) == 0 else text.replace("-", "−")) + " %"


def size(count: int) -> str:
    """Bytes as people say them: ``0 B``, ``340 kB``, ``24 MB``, ``1.3 GB``."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    digits = 1 if unit != "B" and value < 9.95 else 0
    return f"{value:.{digits}f} {unit}"


def plural(count: int, word: str) -> str:
    """``1 document``, ``12 documents``, ``3 400 chunks``; the thousands apart."""
    return f"{number(count, digits=0)} {word}{'' if count == 1 else 's'}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def said(text: str) -> str:
    """A sentence as HTML; a number and its unit stay on one line."""
    return re.sub(r"(?<=\d) (?=(?:ml|mm|%|voxels)(?!\w))", "\u00a0", escape(text))
