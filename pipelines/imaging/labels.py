"""FreeSurfer ids of the segmentation with name, side and colour.

The colours are FreeSurfer's, except for the lesion and for structures that would be confused with it or with a
neighbour. The lesion's yellow is at least 20 (CIE 1976 colour difference) from every structure, for normal vision and
for protanopia, deuteranopia and tritanopia. Every output uses this table: viewer, overlay, PDF, DICOM SEG, colour table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right"]
LESION = 77


@dataclass(frozen=True)
class Label:
    """One id. ``name`` has no side in it; ``freesurfer`` is the name in FreeSurfer's colour table."""

    id: int
    name: str
    side: Side | None
    freesurfer: str
    colour: tuple[int, int, int]

    @property
    def full(self) -> str:
        return f"{self.side} {self.name}" if self.side else self.name


_PAIRS = (
    (2, 41, "cerebral white matter", "Cerebral-White-Matter", (235, 235, 240)),
    (3, 42, "cerebral cortex", "Cerebral-Cortex", (205, 62, 78)),
    (4, 43, "lateral ventricle", "Lateral-Ventricle", (120, 18, 134)),
    (5, 44, "inferior lateral ventricle", "Inf-Lat-Vent", (196, 58, 250)),
    (7, 46, "cerebellum white matter", "Cerebellum-White-Matter", (176, 200, 150)),
    (8, 47, "cerebellum cortex", "Cerebellum-Cortex", (230, 148, 34)),
    (10, 49, "thalamus", "Thalamus", (0, 118, 14)),
    (11, 50, "caudate", "Caudate", (122, 186, 220)),
    (12, 51, "putamen", "Putamen", (236, 13, 176)),
    (13, 52, "pallidum", "Pallidum", (12, 48, 255)),
    (17, 53, "hippocampus", "Hippocampus", (122, 132, 28)),
    (18, 54, "amygdala", "Amygdala", (103, 255, 255)),
    (26, 58, "accumbens", "Accumbens-area", (200, 84, 20)),
    (28, 60, "ventral DC", "VentralDC", (112, 66, 36)),
)
_SINGLE = (
    (14, "third ventricle", "3rd-Ventricle", (170, 140, 110)),
    (15, "fourth ventricle", "4th-Ventricle", (42, 204, 164)),
    (16, "brain stem", "Brain-Stem", (84, 122, 146)),
    (24, "cerebrospinal fluid", "CSF", (60, 60, 60)),
    # FreeSurfer's violet for 77 is also the colour of the inferior lateral ventricle.
    (LESION, "lesion", "WM-hypointensities", (255, 225, 0)),
)

LABELS: dict[int, Label] = {
    label.id: label
    for label in sorted(
        [Label(left, name, "left", f"Left-{long}", colour) for left, _, name, long, colour in _PAIRS]
        + [Label(right, name, "right", f"Right-{long}", colour) for _, right, name, long, colour in _PAIRS]
        + [Label(id, name, None, long, colour) for id, name, long, colour in _SINGLE],
        key=lambda label: label.id,
    )
}
PAIRS: dict[str, tuple[int, int]] = {name: (left, right) for left, right, name, _, _ in _PAIRS}

VENTRICLES = (4, 43, 5, 44, 14, 15)
LATERAL_VENTRICLES = (4, 43, 5, 44)
CEREBRAL_WHITE = (2, 41)
CEREBRAL_CORTEX = (3, 42)
CEREBELLUM = (7, 46, 8, 47)
DEEP_GREY = tuple(
    id for name in ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "accumbens") for id in PAIRS[name]
)
WHITE = (2, 41, 7, 46)
GREY = (3, 42, 8, 47, *DEEP_GREY)
INFRATENTORIAL = (*CEREBELLUM, 16, 15)
CSF = 24
BRAIN = (*WHITE, *GREY, 28, 60, 16, LESION)
"""Brain tissue: everything but ventricles and cerebrospinal fluid."""
HEMISPHERES = {
    side: tuple(
        PAIRS[name][number]
        for name in PAIRS
        if name not in ("lateral ventricle", "inferior lateral ventricle", "cerebellum white matter", "cerebellum cortex")
    )
    for number, side in enumerate(("left", "right"))
}


def colour_table() -> str:
    """The labels as a FreeSurfer colour table (what Freeview and ``mri_segstats --ctab`` read)."""
    rows = ["#No. Label Name:                            R   G   B   A", "  0  Unknown                                  0   0   0   0"]
    rows += [
        f"{label.id:3d}  {label.freesurfer:<40s} {label.colour[0]:3d} {label.colour[1]:3d} {label.colour[2]:3d}   0"
        for label in LABELS.values()
    ]
    return "\n".join(rows) + "\n"
