"""From a scan to labels with another network than ours: resampled to its grid, windows over it, and back.

Coordinates are those of :mod:`serving.segmentation.frame`. Needs no torch: the network is a function of arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from infra.errors import InvalidInput
from serving.registry.versions import ModelRef
from serving.roles.segmentation import Quality, Segmentation, Structure, Volume
from serving.segmentation.bundle import Bundle
from serving.segmentation.frame import Frame, frame_of
from serving.segmentation.inference import Clock, _edge_counts, head_box
from serving.segmentation.normalise import lift_background
from serving.segmentation.quality import look_at_intensities

Network = Callable[[np.ndarray], np.ndarray]
"""float32 (1, channels, *window) -> scores (1, labels, *window)."""
OVERLAP = 0.25
NO_ESTIMATE = "This model gives no estimate of its own quality: look at the labels before using their volumes."


class BundleSegmenter:
    """Segments volumes with one bundle's network. Safe to call from several threads where the network is."""

    def __init__(self, network: Network, bundle: Bundle, model: ModelRef) -> None:
        self.network, self.bundle, self._model = network, bundle, model

    def segment(self, volume: Volume) -> Segmentation:
        """Labels in the volume's own grid.

        Raises:
            InvalidInput: the volume has fewer channels than the network needs.
            ValueError: its affine cannot be used.
        """
        bundle, clock = self.bundle, Clock()
        if volume.data.shape[0] < len(bundle.channels):
            raise InvalidInput(
                f"This model needs {len(bundle.channels)} sequences of one visit ({', '.join(bundle.channels)}), in one volume."
            )
        seen = look_at_intensities(volume.data[0])
        frame = frame_of(volume.shape, volume.affine)
        if seen.refusal:
            return self._answer(volume, np.zeros(volume.shape, np.int16), None, Quality("refused", 0.0, (seen.refusal,)), clock)
        spacing = np.array(bundle.spacing_mm)
        low, high = head_box(lift_background(volume.data[0]), frame)
        size = tuple(int(n) for n in np.maximum(np.ceil((high - low) / spacing).astype(int) + 1, 1))
        image = np.stack([_resample(channel, frame, low, size, spacing) for channel in volume.data[: len(bundle.channels)]])
        image = np.stack([scale(channel, bundle.intensity) for channel in image])
        clock.mark("resample")
        scores = windows(image, self.network, bundle.window, len(bundle.labels))
        clock.mark("infer")
        chances = _sigmoid(scores) if bundle.overlapping else _softmax(scores)
        labels, sure = self._labels(volume, chances, frame, low, spacing)
        clock.mark("map back")
        if not labels.any():
            quality = Quality("refused", 0.0, ("Nothing in this scan looks like what the model knows; it does not look like a brain MRI.",))
        else:
            quality = Quality("limited", round(float(np.mean(list(sure.values()) or [0.0])), 4), (NO_ESTIMATE, *bundle.notes))
        return self._answer(volume, labels, sure, quality, clock)

    def _labels(
        self, volume: Volume, chances: np.ndarray, frame: Frame, start: np.ndarray, spacing: np.ndarray
    ) -> tuple[np.ndarray, dict[int, float]]:
        """Labels (native) and mean chance by id: the most likely label of interpolated chances, one label at a time."""
        best = np.full(frame.shape, 0.5 if self.bundle.overlapping else -1.0, dtype=np.float32)
        channel = np.full(frame.shape, 0 if not self.bundle.overlapping else -1, dtype=np.int16)
        there = set(np.unique(chances.argmax(0)).tolist()) | ({*range(len(chances))} if self.bundle.overlapping else set())
        for number in sorted(there):
            outside = 1.0 if number == 0 and not self.bundle.overlapping else 0.0
            mapped = _mapped(chances[number], np.diag(1 / spacing) @ frame.matrix, (frame.offset - start) / spacing, frame.shape, outside)
            better = mapped > best
            best[better], channel[better] = mapped[better], number
        left = np.array([self.bundle.labels[n][0] for n in range(len(chances))] + [0], dtype=np.int16)[channel]
        right = np.array([self.bundle.labels[n][1] for n in range(len(chances))] + [0], dtype=np.int16)[channel]
        ids = np.where(_right_of_middle(left > 0, frame), right, left)
        labels = np.zeros(volume.shape, dtype=np.int16)
        frame.canonical(labels)[...] = ids
        sure = {int(id): float(best[ids == id].mean()) for id in np.unique(ids) if id}
        return labels, sure

    def _answer(self, volume: Volume, labels: np.ndarray, sure: dict[int, float] | None, quality: Quality, clock: Clock) -> Segmentation:
        clock.mark("measure")
        counts, edges = np.bincount(labels.ravel(), minlength=256), _edge_counts(labels).sum(0)
        structures = {
            id: Structure(id, float(counts[id] * volume.voxel_ml), None, round(chance, 4), bool(edges[id]))
            for id, chance in (sure or {}).items()
        }
        if quality.verdict == "refused":
            labels, structures = np.zeros_like(labels), {}
        return Segmentation(labels, volume.affine, structures, quality, self._model, dict(clock.seconds))


def windows(image: np.ndarray, network: Network, window: tuple[int, int, int], count: int) -> np.ndarray:
    """Scores (labels, i, j, k) of an image (channels, i, j, k): one pass where the window covers it, else overlapping
    windows, their middles weighing most (as MONAI's ``sliding_window_inference`` does with mode "gaussian")."""
    shape = np.array(image.shape[1:])
    size = np.array(window)
    padded = np.pad(image, [(0, 0), *((0, int(max(0, s - n))) for n, s in zip(shape, size, strict=True))])
    scores = np.zeros((count, *padded.shape[1:]), dtype=np.float32)
    total = np.zeros(padded.shape[1:], dtype=np.float32)
    weight = _gaussian(window)
    steps = np.maximum((size * (1 - OVERLAP)).astype(int), 1)
    starts = [sorted({*range(0, int(n - s) + 1, int(step)), int(n - s)}) for n, s, step in zip(padded.shape[1:], size, steps, strict=True)]
    for corner in itertools.product(*starts):
        box = tuple(slice(a, a + int(s)) for a, s in zip(corner, size, strict=True))
        answer = network(np.ascontiguousarray(padded[(slice(None), *box)][None], dtype=np.float32))[0]
        scores[(slice(None), *box)] += answer[:count] * weight
        total[box] += weight
    scores /= total
    return scores[(slice(None), *(slice(0, int(n)) for n in shape))]


def scale(image: np.ndarray, said: Mapping[str, Any]) -> np.ndarray:
    """Intensities as the bundle's transform makes them; ``said`` is ``Bundle.intensity``."""
    kind = said.get("kind")
    if kind == "zscore":
        inside = image != 0 if said.get("nonzero") else np.ones(image.shape, bool)
        values = image[inside]
        if not values.size:
            return image
        middle, width = float(said.get("subtrahend", values.mean())), float(said.get("divisor", values.std()))
        return np.where(inside, (image - middle) / max(width, 1e-8), 0).astype(np.float32)
    if kind == "none":
        return image.astype(np.float32)
    low, high = float(image.min()), float(image.max())
    to_low, to_high = float(said.get("b_min", said.get("minv", 0.0))), float(said.get("b_max", said.get("maxv", 1.0)))
    if kind == "percentiles":
        low, high = (float(value) for value in np.percentile(image, (said.get("lower", 0), said.get("upper", 100))))
    elif kind == "range":
        low, high = float(said.get("a_min", low)), float(said.get("a_max", high))
    out = (image - low) / max(high - low, 1e-8) * (to_high - to_low) + to_low
    return (np.clip(out, to_low, to_high) if said.get("clip") else out).astype(np.float32)


def _resample(data: np.ndarray, frame: Frame, start: np.ndarray, size: tuple[int, ...], spacing: np.ndarray) -> np.ndarray:
    """A native channel on points ``spacing`` apart from ``start`` (frame mm), smoothed first where voxels are finer."""
    source = np.nan_to_num(frame.canonical(data).astype(np.float32))
    finer = spacing / frame.spacing
    if finer.max() > 1.2:
        source = ndimage.gaussian_filter(source, np.where(finer > 1.2, 0.42 * finer, 0))
    back = np.linalg.inv(frame.matrix)
    return _mapped(source, back @ np.diag(spacing), back @ (start - frame.offset), size)


def _mapped(data: np.ndarray, matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], outside: float = 0.0) -> np.ndarray:
    """``data`` at ``matrix @ index + offset`` for every index of ``shape``, interpolated linearly; ``outside`` beyond it."""
    homogeneous = np.eye(4)
    homogeneous[:3, :3], homogeneous[:3, 3] = matrix, offset
    return ndimage.affine_transform(data, homogeneous, output_shape=shape, order=1, cval=outside, output=np.float32)


def _right_of_middle(brain: np.ndarray, frame: Frame) -> np.ndarray:
    """True on the person's right of the middle of what was found (canonical grid): for labels without a side."""
    along = np.arange(frame.shape[0])
    profile = brain.sum(axis=(1, 2))
    middle = float((profile * along).sum() / max(profile.sum(), 1))
    return np.broadcast_to((along > middle)[:, None, None], frame.shape)


def _gaussian(window: tuple[int, int, int]) -> np.ndarray:
    parts = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n * 0.125)) ** 2) for n in window]
    weight = parts[0][:, None, None] * parts[1][None, :, None] * parts[2][None, None, :]
    return np.maximum(weight, weight.max() * 1e-3).astype(np.float32)


def _softmax(scores: np.ndarray) -> np.ndarray:
    out = np.exp(scores - scores.max(0, keepdims=True))
    out /= out.sum(0, keepdims=True)
    return out


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(scores, -30, 30)))
