"""Checks of a volume's grid and values before segmentation."""

from __future__ import annotations

import numpy as np

from infra.errors import InvalidInput
from serving.roles.segmentation import Volume

LEAST_VOXELS = 10
"""Fewest voxels along an axis: a brain in nine slices cannot be measured."""
LEAST_EXTENT_MM = 70.0
"""Smallest field of view along an axis; a brain is 110 to 180 mm long."""
MOST_EXTENT_MM = 700.0
COARSEST_MM = 10.0
FINEST_MM = 0.1
LEAST_VALUES = 16
"""Fewest different intensities: a mask or a label map has a handful, a scan hundreds."""


def check_scan(volume: Volume) -> None:
    """Raises InvalidInput with the problem and what to do."""
    shape, spacing = volume.shape, volume.spacing
    grid = " × ".join(str(size) for size in shape)
    steps = " × ".join(f"{value:.3g}" for value in spacing)
    extent = [size * step for size, step in zip(shape, spacing, strict=True)]
    reach = " × ".join(f"{value:.0f}" for value in extent)
    if min(shape) < LEAST_VOXELS:
        raise InvalidInput(f"The scan has {grid} voxels: too few slices for a brain volume. Upload the whole volume.")
    if max(spacing) > COARSEST_MM or min(spacing) < FINEST_MM:
        raise InvalidInput(
            f"Voxel size {steps} mm is not plausible for a head scan (units not mm?). Export the scan again with correct sizes."
        )
    if min(extent) < LEAST_EXTENT_MM:
        raise InvalidInput(f"The scan covers only {reach} mm: only part of a head. Upload a scan of the whole brain.")
    if max(extent) > MOST_EXTENT_MM:
        raise InvalidInput(f"The scan covers {reach} mm: more than a head. Upload a scan of the head alone.")
    values = _different_values(volume.data[0])
    if values < LEAST_VALUES:
        raise InvalidInput(f"The scan has only {values} distinct values: it appears to be a mask or label map. Upload the original scan.")


def _different_values(data: np.ndarray) -> int:
    """How many different values there are, counted no further than a few thousand samples need."""
    flat = data.ravel(order="K")
    sample = np.unique(flat[:: max(1, flat.size // 500_000)])
    return len(sample) if len(sample) >= LEAST_VALUES else len(np.unique(flat))
