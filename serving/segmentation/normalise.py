"""Intensities as the network knows them: air is 0, the bright end of the head about 1.

The same rule made the training images (`synthesis.Synthesiser._normalise`), so the two change together.
"""

from __future__ import annotations

import numpy as np

MODE_SHARE = 0.15
"""A value that so many voxels share is the fill around the head."""


def lift_background(data: np.ndarray) -> np.ndarray:
    """float32 with the background at 0 and everything else above it.

    Skull-stripped scans are stored after all kinds of arithmetic (z-scores have a fill of -3.6):
    the commonest value, where it is common enough, is the background; else the lowest is.
    Values that are not finite count as background.
    """
    data = np.asarray(data, dtype=np.float32)
    thin = data[tuple(slice(None, None, max(1, n // 96)) for n in data.shape)].ravel()
    thin = thin[np.isfinite(thin)]
    if thin.size == 0:
        return np.zeros(data.shape, dtype=np.float32)
    values, counts = np.unique(thin, return_counts=True)
    fill = values[counts.argmax()]
    has_fill = counts.max() > MODE_SHARE * thin.size
    signal = thin[thin != fill] if has_fill else thin
    if signal.size == 0:
        return np.zeros(data.shape, dtype=np.float32)
    low = float(np.percentile(signal, 0.1))
    if has_fill and fill <= low:
        low = float(fill)
    if not has_fill and low > 0 and low < 0.05 * float(np.percentile(signal, 99)):
        low = 0.0  # air is noise a little above zero: leave it there
    lifted = np.subtract(data, low, dtype=np.float32)
    np.maximum(lifted, 0, out=lifted)
    if has_fill and fill > low:
        lifted[data == fill] = 0
    if not np.isfinite(lifted[:: max(1, lifted.shape[0] // 8)]).all() or not np.isfinite(lifted.sum()):
        np.nan_to_num(lifted, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return lifted


def scale_signal(image: np.ndarray) -> np.ndarray:
    """Divide by the 99th percentile of the voxels above 2 % of the (robust) maximum; clip to 0..2."""
    thin = image[::2, ::2, ::2].ravel()
    top = float(np.percentile(thin, 99.95)) if thin.size else 0.0
    signal = thin[thin > 0.02 * top]
    if top <= 0 or signal.size < 50:
        return np.zeros_like(image)
    return np.clip(image / np.float32(np.percentile(signal, 99)), 0, 2)
