"""From stored voxels to a clean float32 volume: claims checked before, values after."""

from __future__ import annotations

import math

import numpy as np

from infra.errors import CorruptFile, InvalidInput, TooLarge, UnsupportedFormat
from infra.settings import Imaging

PLAIN = {np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")}


def grid_of(shape: tuple[int, ...]) -> str:
    return " × ".join(str(size) for size in shape)


def check_shape(shape: tuple[int, ...], limits: Imaging, volume_index: int | None) -> tuple[tuple[int, int, int], int, int]:
    """The 3-D grid, the index of the volume to read, and how many there are.

    Trailing dimensions of 1 are dropped.

    Raises:
        CorruptFile: a size that cannot be.
        InvalidInput: fewer or more dimensions than can be read; a series without a choice, or a choice that is not there.
        TooLarge: more voxels than ``limits.max_voxels`` in one volume.
    """
    if not shape or any(size < 1 for size in shape):
        raise CorruptFile(f"The header gives impossible sizes ({grid_of(shape) or 'none'}). The file is damaged; export it again.")
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) < 3:
        raise InvalidInput(f"This is a flat picture ({grid_of(shape)}), and a whole volume is needed. Send the 3-D scan.")
    if len(shape) > 4:
        raise InvalidInput(f"This file has {len(shape)} dimensions ({grid_of(shape)}): vectors or a map, not a scan. Send one 3-D volume.")
    voxels = math.prod(shape[:3])
    if voxels > limits.max_voxels:
        raise TooLarge(
            f"The header claims {voxels / 1e6:,.0f} million voxels ({grid_of(shape[:3])}), and scans of up to "
            f"{limits.max_voxels / 1e6:,.0f} million are read. Send a smaller one (the limit is the setting imaging.max_voxels)."
        )
    count = shape[3] if len(shape) == 4 else 1
    return (shape[0], shape[1], shape[2]), choose_volume(count, volume_index, grid_of(shape)), count


def choose_volume(count: int, volume_index: int | None, what: str) -> int:
    """The index to read of a series of ``count`` volumes; InvalidInput where there is no choice, or no such volume."""
    if volume_index is not None and not 0 <= volume_index < count:
        raise InvalidInput(f"There is no volume {volume_index}: the file has {count}, counted from 0.", volumes=count)
    if count > 1 and volume_index is None:
        raise InvalidInput(
            f"This is a series of {count} volumes (4-D, {what}), such as a functional, diffusion or perfusion scan, "
            "and the analysis reads one. "
            f"Send a structural scan, or choose a volume: `--volume N` on the command line, `volume_index` elsewhere (0 to {count - 1}).",
            volumes=count,
        )
    return volume_index or 0


def finish(stored: np.ndarray, *, slope: float = 1.0, intercept: float = 0.0) -> tuple[np.ndarray, list[str]]:
    """float32 ``(1, i, j, k)`` of stored voxels after scaling, and warnings.

    Values that are not numbers become the smallest one there is, and are told.

    Raises:
        InvalidInput: nothing but such values, or one value everywhere.
    """
    warnings: list[str] = []
    if not math.isfinite(slope) or slope == 0.0:
        slope, intercept = 1.0, 0.0
    if not math.isfinite(intercept):
        intercept = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        data = stored.astype(np.float32, order="F", copy=False)
        if (slope, intercept) != (1.0, 0.0):
            data *= np.float32(slope)
            data += np.float32(intercept)
    low, high = float(data.min()), float(data.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = ~np.isfinite(data)
        count = int(bad.sum())
        if count == data.size:
            raise InvalidInput("Every voxel of this scan is not a number. Export the scan again.")
        low, high = float(data[~bad].min()), float(data[~bad].max())
        data[bad] = low
        warnings.append(
            f"{count:,} voxels ({100 * count / data.size:.2g} %) were not numbers or infinite; they were set to the smallest value."
        )
    if low == high:
        raise InvalidInput(f"Every voxel of this scan has the same value ({low:g}): there is nothing to see. Export the scan again.")
    return data[None], warnings


def check_affine(affine: np.ndarray) -> str | None:
    """What is wrong with an affine, as part of a sentence, or None."""
    if not np.isfinite(affine).all():
        return "has values that are not numbers"
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if (lengths < 1e-4).any() or (lengths > 1e3).any():
        return "gives impossible voxel sizes"
    if abs(np.linalg.det(affine[:3, :3])) < 1e-3 * float(np.prod(lengths)):
        return "is flat (its axes do not span space)"
    return None


def refuse_type(name: str) -> UnsupportedFormat:
    """The error for voxels that are no plain numbers."""
    lowered = name.lower()
    if "complex" in lowered:
        return UnsupportedFormat("The voxels are complex numbers (raw or phase data). Save the magnitude image and send that.")
    if "rgb" in lowered or "colour" in lowered:
        return UnsupportedFormat(
            "The voxels are colours, such as a rendered or fused picture, not a scanner's intensities. Send the original scan."
        )
    return UnsupportedFormat(f"Voxels of the type {name} cannot be read. Save the scan as 16-bit integers or 32-bit floats.")
