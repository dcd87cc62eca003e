"""Three planes of a volume as pictures: turned to how a person looks at a head, voxels made square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import nibabel as nib
import numpy as np

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Turned:
    """A volume with its axes nearest to R, A, S (by flips and swaps alone, nothing resampled), and its spacing in mm."""

    data: np.ndarray
    spacing: tuple[float, float, float]


def turned(data: np.ndarray, affine: np.ndarray) -> Turned:
    """``data`` ``(i, j, k)`` with i to the right, j to the front, k up (nearest)."""
    steps = nib.io_orientation(affine)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = [1.0, 1.0, 1.0]
    for axis, (target, _) in enumerate(steps):
        spacing[int(target)] = float(lengths[axis])
    return Turned(nib.apply_orientation(data, steps), (spacing[0], spacing[1], spacing[2]))


def cut(volume: Turned, plane: Plane, index: int) -> tuple[np.ndarray, tuple[float, float]]:
    """A slice ``(rows, columns)`` and its pixel size (mm down, mm across).

    Radiological convention: the person's right is on the picture's left; sagittal slices look to the left.
    """
    right, front, up = volume.spacing
    if plane == "axial":
        return volume.data[::-1, ::-1, index].T, (front, right)
    if plane == "coronal":
        return volume.data[::-1, index, ::-1].T, (up, right)
    return volume.data[index, ::-1, ::-1].T, (up, front)


def letters(plane: Plane) -> tuple[str, str, str, str]:
    """What lies at the picture's left, right, top and bottom."""
    return {"axial": ("R", "L", "A", "P"), "coronal": ("R", "L", "S", "I"), "sagittal": ("A", "P", "S", "I")}[plane]  # type: ignore[return-value]


def best_slices(labels: Turned, *, lesion: int) -> dict[Plane, int]:
    """Where to cut: through the most lesion, or where there is none through the brain's middle (sagittal a bit beside it)."""
    marked = labels.data == lesion
    if marked.any():
        return {
            plane: int(np.argmax(marked.sum(axis=axes))) for plane, axes in (("sagittal", (1, 2)), ("coronal", (0, 2)), ("axial", (0, 1)))
        }  # type: ignore[misc]
    brain = labels.data > 0
    if not brain.any():
        return {"sagittal": labels.data.shape[0] // 2, "coronal": labels.data.shape[1] // 2, "axial": labels.data.shape[2] // 2}
    middles = []
    for axis in range(3):
        profile = brain.sum(axis=tuple(other for other in range(3) if other != axis)).astype(float)
        middles.append(round(float((profile * np.arange(len(profile))).sum() / profile.sum())))
    beside = round(12.0 / labels.spacing[0])
    return {"sagittal": min(middles[0] + beside, labels.data.shape[0] - 1), "coronal": middles[1], "axial": middles[2]}


def window(data: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Black and white levels: the brain's own range, so that bright fat does not hide it."""
    values = data[mask] if mask.any() else data[data > data.min()]
    values = values[:: max(1, values.size // 200_000)]
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.7)))
    floor = float(np.percentile(data[:: max(1, data.shape[0] // 64)], 1))
    return min(low, floor), low + 1.06 * (high - low) if high > low else low + 1.0
