"""Whether a volume can be a scan of a head at all, by its grid and its values; a model is asked after this."""

from __future__ import annotations

import numpy as np

from infra.errors import InvalidInput
from serving.contracts import Volume

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
    """Raises InvalidInput with what is wrong and what to do; gives nothing back."""
    shape, spacing = volume.shape, volume.spacing
    grid = " × ".join(str(size) for size in shape)
    steps = " × ".join(f"{value:.3g}" for value in spacing)
    extent = [size * step for size, step in zip(shape, spacing, strict=True)]
    reach = " × ".join(f"{value:.0f}" for value in extent)
    if min(shape) < LEAST_VOXELS:
        raise InvalidInput(f"The scan has {grid} voxels: too few slices to measure a brain. Send a whole volume.")
    if max(spacing) > COARSEST_MM or min(spacing) < FINEST_MM:
        raise InvalidInput(
            f"The voxels measure {steps} mm, which is no head scan (or the units are not millimetres). Export it again with true sizes."
        )
    if min(extent) < LEAST_EXTENT_MM:
        raise InvalidInput(f"The scan covers only {reach} mm: a part of a head at most. Send a scan of the whole brain.")
    if max(extent) > MOST_EXTENT_MM:
        raise InvalidInput(f"The scan covers {reach} mm: more than a head. Send a scan of the head alone.")
    values = _different_values(volume.data[0])
    if values < LEAST_VALUES:
        raise InvalidInput(
            f"The scan has only {values} different values: it is a mask or a label map, not a picture. Send the scan that it was made from."
        )


def _different_values(data: np.ndarray) -> int:
    """How many different values there are, counted no further than a few thousand samples need."""
    flat = data.ravel(order="K")
    sample = np.unique(flat[:: max(1, flat.size // 500_000)])
    return len(sample) if len(sample) >= LEAST_VALUES else len(np.unique(flat))
