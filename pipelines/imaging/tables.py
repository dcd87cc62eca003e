"""The report's tables: one row a structure, with the texts that page and PDF print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.imaging.labels import LABELS, LESION
from pipelines.imaging.report import Measurement, Report
from pipelines.imaging.wording import amount, confidence, larger_side, number


@dataclass(frozen=True)
class StructureRow:
    """One structure.

    Attributes:
        name: without its side.
        labels: ids of its sides, left first.
        left, right: its volumes by side; None where the structure has no sides.
        middle: the volume of a structure without sides.
        index: its asymmetry index; None without sides, or where one side was not found.
    """

    name: str
    labels: tuple[int, ...]
    left: Measurement | None
    right: Measurement | None
    middle: Measurement | None
    index: Measurement | None

    @property
    def sides(self) -> list[Measurement]:
        return [item for item in (self.left, self.right, self.middle) if item is not None]

    @property
    def total(self) -> float:
        """Millilitres of all sides."""
        return sum(item.value for item in self.sides)

    @property
    def left_text(self) -> str:
        return number(self.left.value, "ml") if self.left else ""

    @property
    def right_text(self) -> str:
        return number(self.right.value, "ml") if self.right else ""

    @property
    def middle_text(self) -> str:
        return number(self.middle.value, "ml") if self.middle else ""

    @property
    def asymmetry_text(self) -> str:
        """``17.0 % R``: the index and the larger side; ``0.0 %`` where it rounds to zero; a dash without one."""
        if self.index is None:
            return "–"
        side = {"left larger": " L", "right larger": " R"}.get(larger_side(self.index), "")
        return amount(self.index) + side

    @property
    def confidence_text(self) -> str:
        """The lowest confidence of its sides, as in the sentence about it."""
        known = [item.confidence for item in self.sides if item.confidence is not None]
        return confidence(min(known, default=None))


def structure_rows(report: Report) -> list[StructureRow]:
    """Every structure that was found, the largest first; lesions have a table of their own."""
    indices = {item.name.removesuffix(" asymmetry index"): item for item in report.measurements if item.name.endswith(" asymmetry index")}
    grouped: dict[str, dict[str, Measurement]] = {}
    for item in report.measurements:
        if item.label and item.label != LESION and item.unit == "ml":
            known = LABELS.get(item.label)
            grouped.setdefault(known.name if known else f"structure {item.label}", {})[item.side or "middle"] = item
    rows = [
        StructureRow(
            name=name,
            labels=tuple(sides[side].label or 0 for side in ("left", "right", "middle") if side in sides),
            left=sides.get("left"),
            right=sides.get("right"),
            middle=sides.get("middle"),
            index=indices.get(name),
        )
        for name, sides in grouped.items()
    ]
    return sorted((row for row in rows if row.total > 0), key=lambda row: row.total, reverse=True)


def find_measurements(report: Report, names: Sequence[str]) -> list[Measurement]:
    """The measurements of these names, in this order; unknown names are left out."""
    by_name = {measurement.name: measurement for measurement in report.measurements}
    return [by_name[name] for name in names if name in by_name]
