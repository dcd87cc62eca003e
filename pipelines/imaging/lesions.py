"""Lesions one by one: connected groups of voxels labelled 77.

A lesion is a group of voxels that touch by faces, edges or corners (26 neighbours), of at least :data:`LEAST_VOXELS`
voxels and :data:`LEAST_MM3` (a ball of 2.7 mm; what is smaller cannot be told from noise at usual resolutions).
:func:`keep_lesions` removes smaller groups from the segmentation, so that label, list and load are one set.
Its centre is the mean place of its voxels in scanner mm (RAS+).

Side: that of the nearest labelled structures that have one, for four fifths of its voxels or more; else None.

Zones, by the distance between voxel centres and structures, in this order (distances in scanner mm, so oblique,
sheared and anisotropic grids measure the same):

- infratentorial: the nearest structure of most of its voxels is cerebellum, brain stem or fourth ventricle;
- periventricular: a voxel of it lies within ``CONTACT_MM`` of a lateral ventricle (touching it, give or take a voxel);
- juxtacortical: a voxel of it lies within ``CONTACT_MM`` of cerebral cortex;
- deep: none of these.

``CONTACT_MM`` is 3 mm, or one and a half of the grid's largest spacing where voxels are coarser. A zone is None where
there is nothing labelled to measure from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from pipelines.imaging.labels import CEREBRAL_CORTEX, INFRATENTORIAL, LABELS, LATERAL_VENTRICLES, LESION
from pipelines.imaging.report import Lesion

LEAST_VOXELS, LEAST_MM3 = 3, 10.0
CONTACT_MM = 3.0
_SEARCH_MM = (8.0, 30.0)  # the near first: in a large box a small lesion would take a hundred times as long
_SAMPLE = 4000
_FILL_VOXELS = 3  # how far around a dropped mark its neighbours are looked for
_LEFT = tuple(label.id for label in LABELS.values() if label.side == "left")
_SIDED = tuple(label.id for label in LABELS.values() if label.side)
_TISSUE = tuple(id for id in LABELS if id not in (LESION, 24))


def keep_lesions(labels: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """The labels with these groups (:func:`lesion_groups`) as the only lesions; other lesion voxels get the nearest label."""
    dropped = labels == LESION
    for voxels in groups:
        dropped[tuple(voxels.T)] = False
    kept = labels.copy()
    if not dropped.any():
        return kept
    labelled: Any = ndimage.label(dropped, structure=np.ones((3, 3, 3)))
    boxes: list[Any] = ndimage.find_objects(labelled[0])
    for found in boxes:
        box = tuple(slice(max(axis.start - _FILL_VOXELS, 0), axis.stop + _FILL_VOXELS) for axis in found)
        here, out = labels[box], dropped[box]
        sources = (here != LESION) & (here != 0)
        if not sources.any():
            sources = here != LESION
        if not sources.any():
            kept[box][out] = 0
            continue
        nearest: Any = ndimage.distance_transform_edt(~sources, return_distances=False, return_indices=True)
        kept[box][out] = here[tuple(nearest)][out]
    return kept


def find_lesions(
    labels: np.ndarray,
    affine: np.ndarray,
    *,
    kinds: Sequence[str] = (),
    least_voxels: int = LEAST_VOXELS,
    least_mm3: float = LEAST_MM3,
) -> list[Lesion]:
    """Lesions, largest first.

    Args:
        labels: integer ``(i, j, k)``.
        least_voxels, least_mm3: smaller groups are left out.
        kinds: the model's word for each lesion in this order, where it tells; else all are ``unclear``.
    """
    groups = lesion_groups(labels, affine, least_voxels=least_voxels, least_mm3=least_mm3)
    return [
        describe_lesion(labels, affine, voxels, kind=kinds[place] if place < len(kinds) else "unclear")
        for place, voxels in enumerate(groups)
    ]


def lesion_groups(
    labels: np.ndarray, affine: np.ndarray, *, least_voxels: int = LEAST_VOXELS, least_mm3: float = LEAST_MM3
) -> list[np.ndarray]:
    """The voxels ``(n, 3)`` of each lesion that is large enough to be listed, largest first."""
    boxes = ndimage.find_objects((labels == LESION).view(np.uint8))
    if not boxes or boxes[0] is None:
        return []
    outer = boxes[0]
    labelled: Any = ndimage.label(labels[outer] == LESION, structure=np.ones((3, 3, 3)))
    groups, count = labelled
    sizes = np.bincount(groups.ravel(), minlength=count + 1)
    places = ndimage.find_objects(groups)
    least = max(least_voxels, least_mm3 / 1000.0 / _voxel_ml(affine) - 1e-6)
    start = np.array([axis.start for axis in outer])
    found = []
    for number in np.argsort(-sizes[1:], kind="stable") + 1:
        if sizes[number] >= least:
            box = places[number - 1]
            offset = start + np.array([axis.start for axis in box])
            found.append(np.argwhere(groups[box] == number) + offset)
    return found


def describe_lesion(labels: np.ndarray, affine: np.ndarray, voxels: np.ndarray, *, kind: str = "unclear") -> Lesion:
    """One lesion by its voxels: volume, centre, side and zone."""
    side, zone = _surroundings(labels, affine, voxels)
    centre = affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3]
    return Lesion(
        kind=kind,  # type: ignore[arg-type]
        volume_ml=round(len(voxels) * _voxel_ml(affine), 4),
        center_mm=(round(float(centre[0]), 2), round(float(centre[1]), 2), round(float(centre[2]), 2)),
        side=side,  # type: ignore[arg-type]
        zone=zone,  # type: ignore[arg-type]
    )


def _voxel_ml(affine: np.ndarray) -> float:
    """Volume of a voxel in millilitres."""
    return abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0


def _surroundings(labels: np.ndarray, affine: np.ndarray, voxels: np.ndarray) -> tuple[str | None, str | None]:
    """Side and zone of one lesion from the structures around it."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    contact = max(CONTACT_MM, 1.5 * float(spacing.max())) + 1e-6
    sample = voxels[:: max(1, len(voxels) // _SAMPLE)]
    nearest = sided = np.empty(0, dtype=int)
    for reach in _SEARCH_MM:
        nearest = nearest if len(nearest) else _nearest(labels, affine, sample, _TISSUE, reach)[1]
        sided = sided if len(sided) else _nearest(labels, affine, sample, _SIDED, reach)[1]
    if not len(nearest):
        return None, None
    left = float(np.isin(sided, _LEFT).mean()) if len(sided) else 0.5
    side = "left" if left >= 0.8 else "right" if left <= 0.2 else None
    if np.isin(nearest, INFRATENTORIAL).mean() > 0.5:
        return side, "infratentorial"
    for ids, zone in ((LATERAL_VENTRICLES, "periventricular"), (CEREBRAL_CORTEX, "juxtacortical")):
        distances, _ = _nearest(labels, affine, voxels, ids, contact)
        if len(distances) and distances.min() <= contact:
            return side, zone
    return side, "deep"


def _nearest(
    labels: np.ndarray, affine: np.ndarray, voxels: np.ndarray, ids: tuple[int, ...], reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """For each voxel the distance in mm to the nearest voxel of ``ids``, and its id; empty where none is in the box around them."""
    margin = np.ceil(reach * np.linalg.norm(np.linalg.inv(affine[:3, :3]), axis=1)).astype(int)
    low = np.maximum(voxels.min(axis=0) - margin, 0)
    high = np.minimum(voxels.max(axis=0) + margin + 1, labels.shape)
    near = labels[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    there = np.argwhere(np.isin(near, ids))
    if not len(there):
        return np.empty(0), np.empty(0, dtype=int)
    # Directions alone: the origin does not matter for distances.
    distances, index = cKDTree((there + low) @ affine[:3, :3].T).query(voxels @ affine[:3, :3].T)
    return distances, near[tuple(there[index].T)]
