"""Rows of a table of measures: printed, logged, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measure; ``low`` says that small is good."""

    measure: str
    value: float
    must: float | None = None
    aim: float | None = None
    of: int = 0
    low: bool = False

    @property
    def passed(self) -> bool | None:
        if self.must is None:
            return None
        return self.value <= self.must if self.low else self.value >= self.must


def as_table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| measure | value | must | aim | of |", "|---|---|---|---|---|"]
    for row in rows:
        mark = " (missed)" if row.passed is False else ""
        limits = " | ".join("" if limit is None else f"{limit:.3g}" for limit in (row.must, row.aim))
        lines.append(f"| {row.measure} | {row.value:.3f}{mark} | {limits} | {row.of or ''} |")
    return "\n".join(lines)


def as_metrics(rows: Sequence[Row]) -> dict[str, float]:
    """Names that MLflow takes."""
    return {"".join(c if c.isalnum() else "_" for c in row.measure.strip())[:200]: row.value for row in rows}


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{**asdict(row), "passed": row.passed} for row in rows]
