"""Lesions of a FLAIR scan, by what is brighter than its tissue should be.

On FLAIR a lesion is by definition what outshines the tissue around it while fluid is dark, so it can be measured and
need not be recognised: robust z-scores after a bias correction, with seeds and a lower border that grows from them, as
in van Leemput et al. (IEEE TMI 20, 2001; outliers from tissue intensities) and Schmidt et al. (NeuroImage 59, 2012;
growing from seeds). The network, which has never seen a real lesion, says which tissue is where; measured on the
development scans this finds several times more than its own lesion class. All volumes are RAS+ on the network's grid.
"""

from __future__ import annotations

import cc3d
import numpy as np
from scipy import ndimage

from serving.segmentation.bias_field import bias_field, robust
from serving.segmentation.labels import INDEX

FLUID_MOST, CORTEX_RANGE = 0.55, (0.9, 1.35)
"""A scan is FLAIR-like where its ventricles have at most so much of the white matter's signal, and its cortex about as
much as the white matter (less on T1, where fluid is dark too; on T2 and PD fluid is bright)."""
SEED, BORDER = 3.25, 1.9
"""z-scores: where a lesion begins, and down to where it reaches (chosen on the one development scan with small lesions;
a quarter more or less changes its Dice by .03)."""
LEAST_MM3 = 8
THICK_MM = 2.0
"""Half the thickness from which bright "fluid" is a mass."""
SEED_FROM_FLUID_MM, FROM_FLUID_MM = 3.0, 1.5
"""Ventricles have a bright rim and bright caps in health: no lesion begins in them, none reaches the wall."""
SEED_DEPTH_MM, DEPTH_MM = 2.0, 1.0
"""The outermost brain is mixed with what lies around it."""


_FLUID = [INDEX[n] for n in ("lateral ventricle", "inferior lateral ventricle", "third ventricle", "fourth ventricle", "choroid plexus")]
_TISSUE = [
    INDEX[n]
    for n in (
        "cerebral white matter", "cerebral cortex", "cerebellum white matter", "cerebellum cortex", "thalamus", "caudate", "putamen",
        "pallidum", "brain stem", "hippocampus", "amygdala", "accumbens", "ventral DC",
    )
]  # fmt: skip
_CEREBRUM = [INDEX["cerebral white matter"], INDEX["cerebral cortex"]]
_SAMPLE = 200
"""Fewer voxels than this are too few for a median."""


def looks_like_flair(image: np.ndarray, classes: np.ndarray) -> bool:
    """Whether fluid is dark and cortex is about as bright as white matter.

    Args:
        image: float32, 0 where there is nothing.
        classes: softmax classes, like ``image``.
    """
    values = {}
    for name in ("lateral ventricle", "cerebral white matter", "cerebral cortex"):
        inside = image[classes == INDEX[name]]
        if inside.size < _SAMPLE:
            return False
        values[name] = float(np.median(inside))
    white = values["cerebral white matter"]
    if white <= 0:
        return False
    return (
        values["lateral ventricle"] <= FLUID_MOST * white
        and CORTEX_RANGE[0] * white <= values["cerebral cortex"] <= CORTEX_RANGE[1] * white
    )


def bright_lesions(image: np.ndarray, classes: np.ndarray, step_mm: float) -> np.ndarray:
    """bool, like ``image``: lesions of a FLAIR scan.

    Args:
        image: float32, 0 where there is nothing; no bias correction needed.
        classes: softmax classes of every voxel; what the network calls a lesion counts as brain of no known tissue.
        step_mm: voxel size.
    """
    brain = np.isin(classes, [*_TISSUE, INDEX["lesion"]])
    if brain.any():
        # The network can call a mass fluid; on FLAIR fluid is not bright. Between the halves of the brain it only seems so.
        bright = (classes == INDEX["CSF"]) & (image > np.median(image[brain]))
        brain |= bright & _grown(_shrunk(bright, THICK_MM, step_mm), THICK_MM, step_mm)
    box = _box_of(brain, margin=3)
    found = np.zeros(image.shape, dtype=bool)
    if box is None:
        return found
    found[box] = _in_box(image[box], classes[box], brain[box], step_mm)
    return found


def _in_box(image: np.ndarray, classes: np.ndarray, brain: np.ndarray, step: float) -> np.ndarray:
    whole = np.asarray(ndimage.binary_fill_holes(_grown(brain, 2 * step, step)))
    whole = _shrunk(whole, 2 * step, step)
    core = _shrunk(whole, SEED_DEPTH_MM, step)
    normal = np.isin(classes, _CEREBRUM) & core
    if normal.sum() < 10 * _SAMPLE:
        return np.zeros(image.shape, dtype=bool)
    flat = image / bias_field(image, normal)
    middle, spread = robust(flat[normal])
    z = ndimage.gaussian_filter((flat - middle) / max(spread, 1e-6), 0.5 / step)
    z -= _expected(z, classes, core, step)
    fluid = np.isin(classes, _FLUID)
    reach = (z > BORDER) & _shrunk(whole, DEPTH_MM, step) & ~_grown(fluid, FROM_FLUID_MM, step)
    seeds = reach & (z > SEED) & _shrunk(brain, SEED_DEPTH_MM, step) & ~_grown(fluid, SEED_FROM_FLUID_MM, step)
    pieces, count = cc3d.connected_components(reach, connectivity=26, return_N=True)
    keep = np.zeros(count + 1, dtype=bool)
    keep[pieces[seeds]] = True
    keep &= np.bincount(pieces.ravel(), minlength=count + 1) * step**3 >= LEAST_MM3
    keep[0] = False
    return keep[pieces]


def _expected(z: np.ndarray, classes: np.ndarray, core: np.ndarray, step: float) -> np.ndarray:
    """How bright each voxel's tissue is (its class's median z, smoothed over the borders), where that is above the brain's own.

    Limbic cortex and caudate are brighter than the rest in health.
    """
    usual = np.zeros_like(z)
    for index in _TISSUE:
        mask = classes == index
        inside = z[mask & core]
        if inside.size > _SAMPLE:
            usual[mask] = max(float(np.median(inside)), 0.0)
    return ndimage.gaussian_filter(usual, 1.0 / step)


def _grown(mask: np.ndarray, millimetres: float, step: float) -> np.ndarray:
    """Dilated by a cube (a maximum along each axis in turn: ten times faster than a ball)."""
    return ndimage.maximum_filter(mask, 2 * int(millimetres / step) + 1)


def _shrunk(mask: np.ndarray, millimetres: float, step: float) -> np.ndarray:
    return ndimage.minimum_filter(mask, 2 * int(millimetres / step) + 1)


def _box_of(mask: np.ndarray, margin: int) -> tuple[slice, ...] | None:
    used = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if any(u.size == 0 for u in used):
        return None
    return tuple(slice(max(int(u[0]) - margin, 0), int(u[-1]) + margin + 1) for u in used)
