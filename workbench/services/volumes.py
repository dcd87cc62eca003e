"""Structure volumes of a report side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.services.structures import structure

if TYPE_CHECKING:
    from pipelines.imaging.report import Measurement, Report


@dataclass(frozen=True)
class VolumeRow:
    """One structure.

    Attributes:
        name: without its side.
        left: millilitres on the left; None where the structure has no sides.
        right: likewise on the right.
        middle: millilitres of a structure that has no sides.
        asymmetry: percent, as measured; positive where the left is larger, None where it was not measured.
        labels: the label ids behind the row.
        colour: its colour in the viewer.
    """

    name: str
    left: float | None
    right: float | None
    middle: float | None
    asymmetry: float | None
    labels: tuple[int, ...]
    colour: str

    @property
    def total(self) -> float:
        return (self.left or 0.0) + (self.right or 0.0) + (self.middle or 0.0)


def volume_rows(report: Report) -> list[VolumeRow]:
    """Every structure that was found, the largest first."""
    asymmetries = {m.name.removesuffix(" asymmetry index"): m.value for m in report.measurements if m.name.endswith(" asymmetry index")}
    grouped: dict[str, dict[str, Measurement]] = {}
    for measurement in report.measurements:
        if measurement.label and measurement.unit == "ml":
            grouped.setdefault(structure(measurement.label).name, {})[measurement.side or "middle"] = measurement
    rows = []
    for name, sides in grouped.items():
        value = {side: measurement.value for side, measurement in sides.items()}
        labels = tuple(m.label for m in sides.values() if m.label)
        colour = structure(labels[0]).colour
        rows.append(VolumeRow(name, value.get("left"), value.get("right"), value.get("middle"), asymmetries.get(name), labels, colour))
    return sorted((row for row in rows if row.total > 0), key=lambda row: row.total, reverse=True)


def find_measurements(report: Report, names: Sequence[str]) -> list[Measurement]:
    """The measurements of these names, in this order; names that are not there are left out."""
    by_name = {measurement.name: measurement for measurement in report.measurements}
    return [by_name[name] for name in names if name in by_name]
