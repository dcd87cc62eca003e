"""The network's answer is folded: every block of 2 x 2 x 2 voxels is one cell, its voxels an axis of eight.

[i, j, k, s] is voxel (2i + s//4, 2j + s//2%2, 2k + s%2).
"""

from __future__ import annotations

import numpy as np


def fold_blocks(volume: np.ndarray) -> np.ndarray:
    """(2d, 2h, 2w) -> (d, h, w, 8)."""
    d, h, w = (n // 2 for n in volume.shape)
    return volume.reshape(d, 2, h, 2, w, 2).transpose(0, 2, 4, 1, 3, 5).reshape(d, h, w, 8)


def unfold_blocks(folded: np.ndarray) -> np.ndarray:
    """(d, h, w, 8) -> (2d, 2h, 2w)."""
    d, h, w, _ = folded.shape
    blocks = folded.reshape(d, h, w, 2, 2, 2).transpose(0, 3, 1, 4, 2, 5)
    return np.ascontiguousarray(blocks).reshape(2 * d, 2 * h, 2 * w)


def folded_index(where: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Voxel indices (i, j, k) -> indices into the folded answer."""
    i, j, k = where
    return i >> 1, j >> 1, k >> 1, (i & 1) * 4 + (j & 1) * 2 + (k & 1)
