"""The structures that the segmentation network knows, and how they map to FreeSurfer ids.

The network predicts *merged* structures (left and right together) as one softmax, and one extra
"side" logit per voxel (positive = the person's right). Doubling the channels would cost twice the
head and let the two halves of a structure compete with each other; one side logit does neither.

Everything that serves imports this file, so it needs numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LESION_ID = 77
"""FreeSurfer id that every lesion voxel gets, of whatever kind (DESIGN.md)."""


@dataclass(frozen=True)
class Structure:
    """One softmax class.

    name: what it is called; left, right: FreeSurfer ids written to the output (equal where the
    structure has no side; 0 = not written); sources: ids in label maps that train this class.
    """

    name: str
    left: int
    right: int
    sources: tuple[int, ...]

    @property
    def lateral(self) -> bool:
        """True where left and right are told apart."""
        return self.left != self.right


STRUCTURES: tuple[Structure, ...] = (
    Structure("background", 0, 0, (0,)),
    Structure("other head tissue", 0, 0, ()),  # every 5xx id
    Structure("CSF", 24, 24, (24,)),
    Structure("cerebral white matter", 2, 41, (2, 41, 25, 57)),
    Structure("cerebral cortex", 3, 42, (3, 42)),
    Structure("lateral ventricle", 4, 43, (4, 43)),
    Structure("inferior lateral ventricle", 5, 44, (5, 44)),
    Structure("cerebellum white matter", 7, 46, (7, 46)),
    Structure("cerebellum cortex", 8, 47, (8, 47)),
    Structure("thalamus", 10, 49, (10, 49)),
    Structure("caudate", 11, 50, (11, 50)),
    Structure("putamen", 12, 51, (12, 51)),
    Structure("pallidum", 13, 52, (13, 52)),
    Structure("third ventricle", 14, 14, (14,)),
    Structure("fourth ventricle", 15, 15, (15,)),
    Structure("brain stem", 16, 16, (16,)),
    Structure("hippocampus", 17, 53, (17, 53)),
    Structure("amygdala", 18, 54, (18, 54)),
    Structure("accumbens", 26, 58, (26, 58)),
    Structure("ventral DC", 28, 60, (28, 60, 30, 62, 85)),
    # Choroid plexus is a class of its own because FreeSurfer keeps it apart from the ventricle;
    # DESIGN.md's list of ids has no place for it, so it is written as CSF.
    Structure("choroid plexus", 24, 24, (31, 63, 136, 137, 163, 164, 72)),
    Structure("lesion", LESION_ID, LESION_ID, (77,)),
)

NAMES: tuple[str, ...] = tuple(s.name for s in STRUCTURES)
CLASS_COUNT = len(STRUCTURES)
INDEX: dict[str, int] = {s.name: i for i, s in enumerate(STRUCTURES)}
BACKGROUND, OTHER, CSF = INDEX["background"], INDEX["other head tissue"], INDEX["CSF"]
LESION = INDEX["lesion"]

LEFT_IDS = np.array([s.left for s in STRUCTURES], dtype=np.uint8)
RIGHT_IDS = np.array([s.right for s in STRUCTURES], dtype=np.uint8)
LATERAL = np.array([s.lateral for s in STRUCTURES])

RIGHT_SOURCE_IDS = frozenset({41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 63, 163, 164})
"""Ids in the label maps that lie on the person's right."""

MERGED_15: tuple[str, ...] = (
    "cerebral white matter", "cerebral cortex", "lateral ventricle", "cerebellum white matter",
    "cerebellum cortex", "thalamus", "caudate", "putamen", "pallidum", "third ventricle",
    "fourth ventricle", "brain stem", "hippocampus", "amygdala", "ventral DC",
)  # fmt: skip
"""The structures of issue 4's headline measure: brainchop's 18 without unknown, inferior lateral
ventricle and accumbens."""


def class_of_id(label_id: int) -> int:
    """Softmax class of a FreeSurfer or SynthSeg id; 5xx is other head tissue, unknown ids are 0."""
    if label_id >= 500:
        return OTHER
    for i, structure in enumerate(STRUCTURES):
        if label_id in structure.sources:
            return i
    return BACKGROUND


def freesurfer_ids(classes: np.ndarray, right: np.ndarray) -> np.ndarray:
    """FreeSurfer ids (uint8) from class indices and a boolean array "is right", same shape."""
    return np.where(right, RIGHT_IDS[classes], LEFT_IDS[classes])


def merge_sides(ids: np.ndarray) -> np.ndarray:
    """Class indices (uint8) of an array of FreeSurfer ids: left and right become one."""
    ids = np.asarray(ids).astype(np.int64)
    table = np.array([class_of_id(i) for i in range(int(ids.max(initial=0)) + 1)], dtype=np.uint8)
    return table[np.clip(ids, 0, None)]
