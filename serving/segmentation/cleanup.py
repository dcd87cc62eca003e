"""Making the network's answer anatomically tidy, on its own grid.

Corrections are written into the logits, so the labels mapped to the scan's grid follow them.
"""

from __future__ import annotations

import cc3d
import numpy as np

from serving.segmentation.backends import Answer
from serving.segmentation.folding import folded_index, unfold_blocks
from serving.segmentation.labels import BACKGROUND, INDEX, LATERAL, LESION, NAMES, OTHER

COMPACT_STRUCTURES = (
    "lateral ventricle", "thalamus", "caudate", "putamen", "pallidum", "third ventricle", "fourth ventricle",
    "brain stem", "hippocampus", "amygdala", "accumbens", "ventral DC", "cerebellum white matter", "cerebellum cortex",
)  # fmt: skip
"""Structures that are one piece a side; far smaller pieces elsewhere are mistakes."""
SMALL_PIECE = 0.12
NEVER = np.float16(-60000)
SURE = np.float16(2)
"""How far above the next class a lesion is put that another method found."""
BRAIN = np.array([i not in (BACKGROUND, OTHER, INDEX["CSF"]) for i in range(len(NAMES))])
"""True for the softmax classes that are brain."""
MIDPLANE_PULL = 0.3
"""Side logit added per mm from the fitted mid-plane: near it the network decides, far from it the plane. Of
synthetic heads of maps 15 and 16 .484 % of the voxels are on the wrong side; with .12 it was .496."""


def largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest 26-connected component of a boolean volume."""
    pieces, count = cc3d.connected_components(mask, return_N=True)
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return pieces == sizes.argmax()


def brain_box(classes: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last+1 voxel of the brain in a class volume (voxels of `step` mm), or None without one.

    Found at about 2 mm, where thin bridges of wrong voxels between brain and neck are gone.
    """
    thin = max(1, round(2 / step))
    mask = BRAIN[classes[::thin, ::thin, ::thin]]
    if mask.sum() < 500:
        return None
    mask = largest_piece(mask)
    low, high = [], []
    for axis in range(3):
        used = np.flatnonzero(mask.sum(axis=tuple(a for a in range(3) if a != axis)) > 3)
        if used.size == 0:
            return None
        low.append(thin * used[0])
        high.append(thin * (used[-1] + 1))
    return np.array(low), np.array(high)


def tidy(answer: Answer) -> np.ndarray:
    """Correct an answer in place (logits, classes); returns the unfolded classes (uint8).

    Brain voxels not joined to the brain become background; pieces of a compact structure smaller
    than `SMALL_PIECE` of its largest become what the network thought next most likely.
    """
    classes = unfold_blocks(answer.classes)
    brain = BRAIN[classes]
    if not brain.any():
        return classes
    # CSF joins what only a film of it separates, so a skull-stripped or cut brain stays whole.
    kept = largest_piece(brain)
    stray = brain & ~kept
    if stray.any():
        where = np.nonzero(stray)
        answer.logits[folded_index(where)] = 0
        answer.logits[(*folded_index(where), BACKGROUND)] = 30
        classes[where] = BACKGROUND
        answer.classes[folded_index(where)] = BACKGROUND
    for name in COMPACT_STRUCTURES:
        _drop_small_pieces(answer, classes, INDEX[name], sides=2 if LATERAL[INDEX[name]] else 1)
    return classes


def _drop_small_pieces(answer: Answer, classes: np.ndarray, index: int, sides: int) -> None:
    mask = classes == index
    if not mask.any():
        return
    box = tuple(slice(int(u[0]), int(u[-1]) + 1) for u in (np.flatnonzero(mask.any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))))
    pieces, count = cc3d.connected_components(mask[box], return_N=True)
    if count <= sides:
        return
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    small = sizes < SMALL_PIECE * sizes.max()
    small[0] = False
    inside = np.nonzero(small[pieces])
    if inside[0].size == 0:
        return
    where = tuple(w + b.start for w, b in zip(inside, box, strict=True))
    at = folded_index(where)
    answer.logits[(*at, index)] = NEVER
    second = answer.logits[at].argmax(-1).astype(np.uint8)
    answer.classes[at] = second
    classes[where] = second


def set_lesions(answer: Answer, classes: np.ndarray, lesions: np.ndarray) -> None:
    """Make exactly the voxels of ``lesions`` (bool, like ``classes``) lesions, in place; what the network called one
    elsewhere becomes what it thought next most likely."""
    taken = np.nonzero((classes == LESION) & ~lesions)
    at = folded_index(taken)
    answer.logits[(*at, LESION)] = NEVER
    second = answer.logits[at].argmax(-1).astype(np.uint8)
    answer.classes[at] = second
    classes[taken] = second
    given = np.nonzero(lesions)
    at = folded_index(given)
    answer.logits[(*at, LESION)] = answer.logits[at].max(-1) + SURE
    answer.classes[at] = LESION
    classes[given] = LESION


def right_side(answer: Answer, classes: np.ndarray, step: float) -> np.ndarray:
    """float32, like `classes`: positive where a voxel lies on the person's right.

    The network's side logit, steadied by a plane fitted to it: a voxel far from the middle cannot be
    on the other side whatever its intensity suggests, while near the middle the falx decides.
    """
    side = unfold_blocks(answer.side).astype(np.float32)
    stride = max(1, round(3 / step))
    thin = (slice(None, None, stride),) * 3
    sided = LATERAL[classes[thin]] & (classes[thin] != LESION)
    where = np.argwhere(sided).astype(np.float32) * stride
    if len(where) < 200:
        return side
    # Grid axes are close to right, anterior, superior: the plane is x = a + b*y + c*z.
    lean = np.tanh(side[thin][sided])
    ones = np.ones(len(where), dtype=np.float32)
    design = np.stack([ones, where[:, 1], where[:, 2]], 1)
    middle = _middle(where, lean)
    plane = np.array([middle, 0, 0], dtype=np.float32)
    for _ in range(3):
        near = np.abs(where[:, 0] - design @ plane) < 25 / step
        if near.sum() < 200:
            break
        # Where lean crosses zero: regress lean on position, solve for x.
        full = np.concatenate([design[near], where[near, :1]], 1)
        fit, *_ = np.linalg.lstsq(full, lean[near], rcond=None)
        if fit[3] <= 1e-3:
            break
        plane = (-fit[:3] / fit[3]).astype(np.float32)
        if abs(plane[1]) > 0.8 or abs(plane[2]) > 0.8:
            plane = np.array([middle, 0, 0], dtype=np.float32)
            break
    i, j, k = (np.arange(n, dtype=np.float32) for n in classes.shape)
    distance = i[:, None, None] - (plane[0] + plane[1] * j[None, :, None] + plane[2] * k[None, None, :])
    side += MIDPLANE_PULL * step * distance
    return side


def _middle(where: np.ndarray, lean: np.ndarray) -> float:
    """The sagittal position that separates left from right with the fewest mistakes."""
    order = np.argsort(where[:, 0])
    signs = np.sign(lean[order])
    mistakes = np.cumsum(signs > 0) + (signs < 0).sum() - np.cumsum(signs < 0)
    return float(where[order][mistakes.argmin(), 0])
