"""Between a scan's own grid and the network's: orientation, resampling, and the way back.

Coordinates used here:
  native    voxel indices of the scan as it was given
  canonical the same voxels, axes permuted and flipped so that indices grow to the right, the front
            and the top (RAS+); a view, nothing is copied
  frame     millimetres on three orthonormal axes close to right, anterior, superior, with 0 at
            the scan's centre

The frame follows the scan's own axes (a slab is mostly planned along the head, and voxels of 1 mm
then need no interpolation), unless these are more than `OBLIQUE` degrees off the scanner's: then it
follows the scanner. Sheared grids get the nearest orthonormal axes (polar decomposition).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy import ndimage

OBLIQUE_DEGREES = 25.0
SAME_MM = 0.004
"""Spacings closer than this to 1 mm count as 1 mm: over 256 voxels the error stays at half a voxel."""


@dataclass(frozen=True)
class Frame:
    """Where a scan's voxels lie in its frame.

    order, flips: native -> canonical (transpose by order, then reverse the axes that flip);
    matrix, offset: canonical index v -> frame mm, `matrix @ v + offset`; separable: matrix is
    diagonal; shape: canonical; axes: columns are the frame's axes in the scanner; origin: scanner
    mm of frame 0; grid_offset: fraction of a mm at which the network's grid points lie, so that
    they fall on the voxels where these are 1 mm apart.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    matrix: np.ndarray
    offset: np.ndarray
    separable: bool
    shape: tuple[int, int, int]
    axes: np.ndarray
    origin: np.ndarray
    grid_offset: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """Voxel spacing in mm along the canonical axes."""
        return np.linalg.norm(self.matrix, axis=0)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest frame mm that a voxel's centre reaches, each (3,)."""
        last = np.array(self.shape) - 1
        corners = np.array([[(last if (c >> a) & 1 else last * 0)[a] for a in range(3)] for c in range(8)])
        places = corners @ self.matrix.T + self.offset
        return places.min(0), places.max(0)

    def canonical(self, array: np.ndarray) -> np.ndarray:
        """A view of a native array (i, j, k) in canonical order."""
        view = array.transpose(self.order)
        return view[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def snap(self, start: np.ndarray, step: float) -> np.ndarray:
        """The point of the network's grid (`step` mm apart; frame mm) nearest to `start`."""
        return np.round((start - self.grid_offset) / step) * step + self.grid_offset


def frame_of(shape: tuple[int, int, int], affine: np.ndarray) -> Frame:
    """The frame of a scan with this native shape and affine (native index -> scanner mm, RAS+).

    Raises ValueError when the affine cannot be inverted.
    """
    columns = affine[:3, :3].astype(float)
    spacing = np.linalg.norm(columns, axis=0)
    if not np.all(np.isfinite(affine)) or np.any(spacing < 1e-6) or abs(np.linalg.det(columns / spacing)) < 1e-3:
        raise ValueError("the affine does not span three dimensions")
    directions = columns / spacing
    order = max(permutations(range(3)), key=lambda p: sum(abs(directions[r, p[r]]) for r in range(3)))
    flips = tuple(bool(directions[r, order[r]] < 0) for r in range(3))
    canonical_shape = tuple(int(shape[a]) for a in order)
    signs = np.where(flips, -1.0, 1.0)
    ordered = columns[:, order] * signs
    # Canonical voxel 0 is the native voxel at the far end of each flipped axis.
    first = np.zeros(3)
    for row, axis in enumerate(order):
        first[axis] = shape[axis] - 1 if flips[row] else 0
    start = affine[:3, :3] @ first + affine[:3, 3]

    left, _, right = np.linalg.svd(ordered / np.linalg.norm(ordered, axis=0))
    axes = left @ right
    if np.linalg.det(axes) < 0:  # cannot be after ordering and flipping, unless the axes are near-degenerate
        axes = np.eye(3)
    if np.degrees(np.arccos(np.clip((np.trace(axes) - 1) / 2, -1, 1))) > OBLIQUE_DEGREES:
        axes = np.eye(3)
    centre = start + ordered @ ((np.array(canonical_shape) - 1) / 2)
    matrix = axes.T @ ordered
    lengths = np.linalg.norm(matrix, axis=0)
    near_one = np.abs(lengths - 1) < SAME_MM
    off_diagonal = matrix - np.diag(np.diag(matrix))
    separable = bool(np.abs(off_diagonal).max() < 2e-3 * lengths.min())
    if separable:
        matrix = np.diag(np.where(near_one, 1.0, np.diag(matrix)))
    offset = -matrix @ ((np.array(canonical_shape) - 1) / 2)
    grid_offset = np.where(near_one & separable, offset - np.floor(offset), 0.5)
    return Frame(order, flips, matrix, offset, separable, canonical_shape, axes, centre, grid_offset)  # type: ignore[arg-type]


def to_network(data: np.ndarray, frame: Frame, start: np.ndarray, size: tuple[int, int, int], step: float) -> np.ndarray:
    """The scan (native array, background 0) on points `step` mm apart from `start` (frame mm); float32 `size`.

    Linear, with a wider triangle where voxels are finer than the grid; zero outside the scan.
    """
    if not frame.separable:
        return _general(frame.canonical(data), frame, start, size, step)
    # One matrix product an axis, in the order in which the voxels lie in memory, so that nothing is copied
    # before it has become smaller; flips are done to the matrices.
    memory = tuple(int(a) for a in np.argsort([-abs(n) for n in data.strides], kind="stable"))
    result = data.transpose(memory)
    rows = [frame.order.index(a) for a in memory]
    for position, row in enumerate(rows):
        weights, low, high = _axis_weights(frame.shape[row], frame.matrix[row, row], frame.offset[row], start[row], size[row], step)
        backwards = frame.flips[row]
        if backwards:
            low, high = frame.shape[row] - high, frame.shape[row] - low
        part = result[tuple(slice(low, high) if p == position else slice(None) for p in range(3))]
        result = (
            _copy(part, position, row, frame, start, size, step, low)
            if weights is None
            else _apply(weights[:, ::-1] if backwards else weights, part, position)
        )
    return np.ascontiguousarray(result.transpose([rows.index(r) for r in range(3)]), dtype=np.float32)


def _apply(weights: np.ndarray, part: np.ndarray, position: int) -> np.ndarray:
    """Contract one axis of a volume with an interpolation matrix."""
    part = np.ascontiguousarray(part, dtype=np.float32)
    weights = np.ascontiguousarray(weights)
    if position == 0:
        return (weights @ part.reshape(part.shape[0], -1)).reshape(len(weights), *part.shape[1:])
    return np.matmul(weights, part) if position == 1 else part @ weights.T


def _copy(
    part: np.ndarray, position: int, row: int, frame: Frame, start: np.ndarray, size: tuple[int, int, int], step: float, low: int
) -> np.ndarray:
    """Pad one axis where grid points are voxels (native range from `low`), turning it if it runs backwards."""
    count = part.shape[position]
    if frame.flips[row]:
        part = part[tuple(slice(None, None, -1) if p == position else slice(None) for p in range(3))]
        low = frame.shape[row] - low - count
    lead = round(float(frame.offset[row] + low * frame.matrix[row, row] - start[row]) / step)
    pad = [(0, 0)] * 3
    pad[position] = (lead, size[row] - lead - count)
    return np.pad(part, pad) if any(pad[position]) else part


def _axis_weights(count: int, spacing: float, offset: float, start: float, size: int, step: float) -> tuple[np.ndarray | None, int, int]:
    """Interpolation matrix (size, high - low) along one axis, and the voxels [low, high) it reads.

    None where grid points are voxels: then it is a plain copy.
    """
    places = (start + step * np.arange(size) - offset) / spacing
    reach = max(1.0, step / spacing)
    low = int(np.clip(np.floor(places[0] - reach), 0, count - 1))
    high = int(np.clip(np.ceil(places[-1] + reach) + 1, low + 1, count))
    if abs(spacing - step) < 1e-9 and abs(places[0] - round(float(places[0]))) < 1e-4:
        low, high = max(round(float(places[0])), 0), min(round(float(places[-1])) + 1, count)
        if low < high:
            return None, low, high
        low, high = 0, 1
    distance = np.abs(places[:, None] - np.arange(low, high)[None])
    weights = np.clip(1 - distance / reach, 0, None)
    total = weights.sum(1, keepdims=True)
    inside = (places >= -0.5) & (places <= count - 0.5)
    weights = np.where(inside[:, None] & (total > 0), weights / np.maximum(total, 1e-9), 0)
    return weights.astype(np.float32), low, high


def _general(view: np.ndarray, frame: Frame, start: np.ndarray, size: tuple[int, int, int], step: float) -> np.ndarray:
    """Resampling where the grids are turned or sheared against each other."""
    fineness = step / frame.spacing
    source = np.asarray(view, dtype=np.float32)
    if fineness.max() > 1.2:
        source = ndimage.gaussian_filter(source, np.where(fineness > 1.2, 0.42 * fineness, 0))
    inverse = np.linalg.inv(frame.matrix)
    return ndimage.affine_transform(
        source,
        inverse * step,
        offset=inverse @ (start - frame.offset),  # pyright: ignore[reportArgumentType]
        output_shape=size,
        order=1,
        output=np.float32,
    )
