"""What people see of a label id: its name, its side and its colour (the pipeline's own table)."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.imaging.labels import LABELS

_UNKNOWN = (154, 167, 181)


@dataclass(frozen=True)
class StructureInfo:
    """One label id as people see it.

    Attributes:
        label: FreeSurfer id.
        name: without its side, for example ``hippocampus``.
        side: ``left``, ``right``, or None where the structure has no side.
        rgb: its colour, 0 to 255.
    """

    label: int
    name: str
    side: str | None
    rgb: tuple[int, int, int]

    @property
    def full_name(self) -> str:
        return f"{self.side} {self.name}" if self.side else self.name

    @property
    def colour(self) -> str:
        """``#rrggbb``."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)


def structure(label: int) -> StructureInfo:
    """The structure of a label id; an id that the table does not know is shown by its number."""
    known = LABELS.get(label)
    if known is None:
        return StructureInfo(label, f"structure {label}", None, _UNKNOWN)
    return StructureInfo(label, known.name, known.side, known.colour)
