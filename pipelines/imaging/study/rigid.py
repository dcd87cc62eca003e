"""Rigid registration of two scans of one head, from their labels.

The same structures are labelled in both, whatever the contrast: the rotation and shift that lay their centres over each
other are found in closed form (Kabsch; scipy's ``Rotation.align_vectors``). Iglesias, "A ready-to-use machine learning
tool for symmetric multi-modality registration of brain MRI", Scientific Reports 13, 2023, does the same for its linear
part. Structures that the field of view cuts are left out where enough others are there, and those that do not fit the
rest weigh less (Huber's weights), so that a badly drawn one does not turn the head.

All places are scanner millimetres (RAS+).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from infra.errors import InvalidInput
from pipelines.imaging.labels import CSF, LABELS, LESION

FEWEST = 4
"""Structures that both scans must show."""
DOUBTFUL_MM, FARTHEST_MM = 1.8, 4.0
"""Residuals from which a person should look again, and from which the scans are refused. Measured with early weights: two
sequences of one head 0.7 mm, heads of different people 2.4 to 5.0: some of those pass, and the person is asked to look."""
_TURNS = 10
_HUBER_MM = 1.0


@dataclass(frozen=True)
class Alignment:
    """Where a scan lies in the reference's scanner space.

    Attributes:
        matrix: 4 x 4, scanner mm of the scan to scanner mm of the reference; a rotation and a shift.
        structures: how many structures it rests on.
        residual_mm: median distance of their centres afterwards.
    """

    matrix: np.ndarray
    structures: int
    residual_mm: float

    @property
    def rotation_degrees(self) -> float:
        """Angle of the rotation about its axis."""
        return float(np.degrees(Rotation.from_matrix(self.matrix[:3, :3]).magnitude()))

    def shift_mm(self, place: np.ndarray) -> float:
        """How far ``place`` (scanner mm of the scan) moves."""
        return float(np.linalg.norm(self.matrix[:3, :3] @ place + self.matrix[:3, 3] - place))


def align(labels: np.ndarray, affine: np.ndarray, reference: np.ndarray, reference_affine: np.ndarray) -> Alignment:
    """The rigid transform from one scan's scanner space to another's.

    Args:
        labels, reference: FreeSurfer ids ``(i, j, k)``, each in its own grid.
        affine, reference_affine: voxel to scanner mm of each.

    Raises:
        InvalidInput: they share too few structures, or do not lie over each other: not two scans of one head.
    """
    here, there = _centres(labels, affine), _centres(reference, reference_affine)
    shared = sorted(here.keys() & there.keys())
    if len(shared) < FEWEST:
        raise InvalidInput(f"The two scans share {len(shared)} structures; {FEWEST} are needed for registration.")
    whole = [id for id in shared if not here[id].cut and not there[id].cut]
    shared = whole if len(whole) >= 2 * FEWEST else shared
    source, target = (np.array([side[id].place for id in shared]) for side in (here, there))
    size = np.array([min(here[id].ml, there[id].ml) for id in shared]) ** (1 / 3)  # a centre is as sure as its structure is wide
    weights = size
    for _ in range(_TURNS):
        matrix = _fit(source, target, weights)
        apart = np.linalg.norm(source @ matrix[:3, :3].T + matrix[:3, 3] - target, axis=1)
        weights = size * np.minimum(1.0, _HUBER_MM / np.maximum(apart, 1e-9))
    residual = float(np.median(apart))
    if residual > FARTHEST_MM:
        raise InvalidInput(
            f"Structures are {residual:.0f} mm apart after registration: the scans do not show the same head. "
            "Use only sequences of one person and one session."
        )
    return Alignment(matrix, len(shared), round(residual, 3))


@dataclass(frozen=True)
class _Centre:
    """A structure's centre in scanner mm, its volume in ml, and whether the border of the grid cuts it."""

    place: np.ndarray
    ml: float
    cut: bool


def _centres(labels: np.ndarray, affine: np.ndarray) -> dict[int, _Centre]:
    """By id, of the structures that have a place of their own (no lesion, no fluid around the brain)."""
    voxels = np.argwhere(labels > 0)
    ids = labels[tuple(voxels.T)].astype(np.int64)
    counts = np.bincount(ids)
    sums = [np.bincount(ids, weights=voxels[:, axis]) for axis in range(3)]
    border = ((voxels == 0) | (voxels == np.array(labels.shape) - 1)).any(axis=1)
    cut = set(np.unique(ids[border]).tolist())
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    found = {}
    for id in np.flatnonzero(counts).tolist():
        if id in LABELS and id not in (LESION, CSF):
            mean = np.array([total[id] for total in sums]) / counts[id]
            found[id] = _Centre(affine[:3, :3] @ mean + affine[:3, 3], float(counts[id]) * voxel_ml, id in cut)
    return found


def _fit(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The rigid 4 x 4 matrix that brings ``source`` nearest to ``target``, both ``(n, 3)`` in mm."""
    middle, aim = np.average(source, axis=0, weights=weights), np.average(target, axis=0, weights=weights)
    rotation = Rotation.align_vectors(target - aim, source - middle, weights=weights)[0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.as_matrix()
    matrix[:3, 3] = aim - matrix[:3, :3] @ middle
    return matrix
