"""From the network's answer to labels in the scan's own grid.

Labels come from trilinearly interpolated logits. Where the grids are parallel, plane by plane, one
axis after the other. Where they are turned or sheared, only where it can matter: where all eight
neighbours have the same class, every convex combination of their logits has its maximum there too,
so the class is known without looking at one logit. Nothing of size classes x voxels is ever made.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from serving.segmentation.backends import Answer
from serving.segmentation.folding import folded_index
from serving.segmentation.frame import Frame
from serving.segmentation.labels import BACKGROUND, OTHER

CHUNK = 120_000
UNSURE = 255
FLOOR = -100.0
"""Logits below this (a class that was ruled out) count as this, so that a neighbour can outweigh it."""


def to_native(
    answer: Answer, classes: np.ndarray, side: np.ndarray, frame: Frame, start: np.ndarray, step: float, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Classes (uint8) and "is right" (bool) in the scan's native grid.

    classes, side: the tidied volumes on the network's grid (side positive = right); start: frame mm
    of their first voxel; step: mm between voxels.
    """
    shape = tuple(int(frame.shape[frame.order.index(a)]) for a in range(3))
    labels = np.zeros(shape, dtype=np.uint8)
    right = np.zeros(shape, dtype=bool)
    label_view, right_view = frame.canonical(labels), frame.canonical(right)
    if frame.separable and np.allclose(np.diag(frame.matrix), step) and _on_grid(frame, start, step):
        shift = np.round((start - frame.offset) / step).astype(int)
        source, target = _overlap(shift, classes.shape, frame.shape)
        label_view[target] = np.where(classes[source] == OTHER, BACKGROUND, classes[source])
        right_view[target] = side[source] > 0
    elif frame.separable:
        _planes(answer, classes, side, frame, start, step, label_view, right_view, threads)
    else:
        _points(answer, classes, side, frame, start, step, label_view, right_view)
    return labels, right


def _on_grid(frame: Frame, start: np.ndarray, step: float) -> bool:
    shift = (start - frame.offset) / step
    return bool(np.all(np.abs(shift - np.round(shift)) < 1e-3))


def _overlap(shift: np.ndarray, size: tuple[int, ...], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the network's grid and of the canonical scan that cover each other."""
    source, target = [], []
    for move, n, m in zip(shift.tolist(), size, shape, strict=True):
        first, last = max(move, 0), min(move + n, m)
        target.append(slice(first, max(last, first)))
        source.append(slice(first - move, max(last, first) - move))
    return tuple(source), tuple(target)


def _between(places: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray, slice]:
    """For the places within [low, high]: the grid index below, the share of the next one, and which those are."""
    inside = np.flatnonzero((places >= low) & (places <= high))
    if inside.size == 0:
        return np.zeros(0, dtype=int), np.zeros(0, dtype=np.float32), slice(0, 0)
    used = places[inside]
    below = np.minimum(used.astype(int), high - 1)
    return below, (used - below).astype(np.float32), slice(int(inside[0]), int(inside[-1]) + 1)


def labelled_box(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last voxel that could matter: what is neither air nor other head tissue, and one around it."""
    mask = (classes != BACKGROUND) & (classes != OTHER)
    used = [np.flatnonzero(mask.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    if used[0].size == 0:
        return np.zeros(3, dtype=int), np.zeros(3, dtype=int)
    last = np.array(classes.shape) - 1
    return np.array([max(u[0] - 1, 0) for u in used]), np.minimum([u[-1] + 1 for u in used], last)


def _planes(
    answer: Answer,
    classes: np.ndarray,
    side: np.ndarray,
    frame: Frame,
    start: np.ndarray,
    step: float,
    label_view: np.ndarray,
    right_view: np.ndarray,
    threads: int,
) -> None:
    """Fill the canonical views where the grids are parallel."""
    low, high = labelled_box(classes)
    places = [(frame.offset[a] + frame.matrix[a, a] * np.arange(frame.shape[a]) - start[a]) / step for a in range(3)]
    (below_i, share_i, slabs), (below_j, share_j, rows), (below_k, share_k, cols) = (
        _between(places[a], int(low[a]), int(high[a])) for a in range(3)
    )
    if not (len(below_i) and len(below_j) and len(below_k)):
        return
    j0, j1, k0, k1 = int(low[1]), int(high[1]) + 1, int(low[2]), int(high[2]) + 1
    share_j, share_k = share_j[:, None, None], share_k[None, :, None]

    def plane(i: int) -> np.ndarray:
        """Logits of one plane of the network's grid inside the box, (j, k, classes)."""
        four = answer.logits[i >> 1, :, :, (i & 1) * 4 : (i & 1) * 4 + 4]
        h, w, _, count = four.shape
        flat = four.reshape(h, w, 2, 2, count).transpose(0, 2, 1, 3, 4).reshape(2 * h, 2 * w, count)
        return np.maximum(flat[j0:j1, k0:k1], np.float16(FLOOR)).astype(np.float32)

    def fill(n: int) -> None:
        i, part = int(below_i[n]), share_i[n]
        mixed = plane(i)
        mixed += (plane(i + 1) - mixed) * part
        first = mixed[below_j - j0]
        first += (mixed[below_j + 1 - j0] - first) * share_j
        second = first[:, below_k - k0]
        second += (first[:, below_k + 1 - k0] - second) * share_k
        found = second.argmax(-1).astype(np.uint8)
        found[found == OTHER] = BACKGROUND
        label_view[slabs.start + n, rows, cols] = found
        between = side[i] + (side[i + 1] - side[i]) * part
        between = between[below_j] * (1 - share_j[..., 0]) + between[below_j + 1] * share_j[..., 0]
        between = between[:, below_k] * (1 - share_k[..., 0]) + between[:, below_k + 1] * share_k[..., 0]
        right_view[slabs.start + n, rows, cols] = between > 0

    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(fill, range(len(below_i))))


def _uniform(classes: np.ndarray) -> np.ndarray:
    """Per cell (the eight voxels from its low corner): their class where they agree, else `UNSURE`."""
    cells = classes[:-1, :-1, :-1].copy()
    same = np.ones(cells.shape, dtype=bool)
    for corner in range(1, 8):
        moved = tuple(slice(1, None) if (corner >> bit) & 1 else slice(0, -1) for bit in (2, 1, 0))
        same &= classes[moved] == cells
    cells[~same] = UNSURE
    return cells


def _points(
    answer: Answer,
    classes: np.ndarray,
    side: np.ndarray,
    frame: Frame,
    start: np.ndarray,
    step: float,
    label_view: np.ndarray,
    right_view: np.ndarray,
) -> None:
    """Fill the canonical views where the grids are turned against each other, slab by slab."""
    cells = _uniform(np.where(classes == OTHER, BACKGROUND, classes))
    last = np.array(classes.shape) - 1
    matrix, offset = frame.matrix / step, (frame.offset - start) / step
    rows, cols = np.arange(frame.shape[1], dtype=np.float32), np.arange(frame.shape[2], dtype=np.float32)
    for i in range(frame.shape[0]):
        places = [
            (matrix[a, 0] * i + offset[a] + matrix[a, 1] * rows[:, None] + matrix[a, 2] * cols[None, :]).astype(np.float32)
            for a in range(3)
        ]
        inside = np.ones(places[0].shape, dtype=bool)
        for a in range(3):
            inside &= (places[a] >= 0) & (places[a] <= last[a])
        if not inside.any():
            continue
        points = np.stack([p[inside] for p in places])
        low = np.minimum(points.astype(np.int32), (last - 1)[:, None].astype(np.int32))
        found = cells[low[0], low[1], low[2]]
        unsure = np.flatnonzero(found == UNSURE)
        for first in range(0, len(unsure), CHUNK):
            part = unsure[first : first + CHUNK]
            found[part] = _strongest(answer, low[:, part], points[:, part] - low[:, part])
        label_view[i][inside] = found
        brain = found != BACKGROUND
        here = np.zeros(found.shape, dtype=bool)
        here[brain] = ndimage.map_coordinates(side, points[:, brain], order=1) > 0
        right_view[i][inside] = here


def _strongest(answer: Answer, low: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Class with the highest interpolated logit; low (3, n) integer corners, part (3, n) in 0..1."""
    total = np.zeros((low.shape[1], answer.logits.shape[-1]), dtype=np.float32)
    for corner in range(8):
        bits = [(corner >> bit) & 1 for bit in (2, 1, 0)]
        weight = np.ones(low.shape[1], dtype=np.float32)
        for axis, bit in enumerate(bits):
            weight *= part[axis] if bit else 1 - part[axis]
        at = folded_index(tuple(low[a] + bits[a] for a in range(3)))
        total += weight[:, None] * np.maximum(answer.logits[at].astype(np.float32), FLOOR)
    found = total.argmax(1).astype(np.uint8)
    found[found == OTHER] = BACKGROUND
    return found
