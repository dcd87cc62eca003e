"""Labels in the native grid: exactly the argmax of interpolated logits, without interpolating most of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from serving.segmentation.backends import Answer
from serving.segmentation.cleanup import tidy
from serving.segmentation.folding import unfold_blocks
from serving.segmentation.frame import frame_of
from serving.segmentation.labels import CLASS_COUNT, INDEX, OTHER
from serving.segmentation.mapback import to_native


def folded(volume: np.ndarray) -> np.ndarray:
    """(D, H, W, ...) -> (D/2, H/2, W/2, 8, ...)."""
    d, h, w, *rest = volume.shape
    blocks = volume.reshape(d // 2, 2, h // 2, 2, w // 2, 2, *rest)
    return np.ascontiguousarray(blocks.transpose(0, 2, 4, 1, 3, 5, *range(6, 6 + len(rest)))).reshape(d // 2, h // 2, w // 2, 8, *rest)


def answer_of(logits: np.ndarray) -> Answer:
    """An answer from logits (D, H, W, classes); everything on the right."""
    logits = logits.astype(np.float16)
    classes = logits.argmax(-1).astype(np.uint8)
    return Answer(folded(logits), folded(np.ones(classes.shape, dtype=np.float16)), folded(classes))


def smooth_logits(rng: np.random.Generator, side: int = 24) -> np.ndarray:
    logits = ndimage.gaussian_filter(rng.normal(size=(side, side, side, CLASS_COUNT)), (3, 3, 3, 0)) * 40
    logits[..., OTHER] -= 20
    return logits.astype(np.float32)


def native_of(answer: Answer, affine: np.ndarray, shape: tuple[int, int, int], step: float = 1.0):
    frame = frame_of(shape, affine)
    start = frame.snap(np.full(3, -12.0 * step), step)
    classes = unfold_blocks(answer.classes)
    return frame, start, *to_native(answer, classes, np.where(classes > 10, 1.0, -1.0), frame, start, step, threads=2)


@pytest.mark.parametrize("step", [1.0, 2.0])
@pytest.mark.parametrize(
    ("columns", "separable"),
    [(np.array([[-1.2, 0.2, 0], [0.1, 0, 1.3], [0, 1.1, 0.1]]), False), (np.array([[0, 1.1, 0], [-0.9, 0, 0], [0, 0, -1.4]]), True)],
)
def test_interpolated_labels_are_those_of_full_interpolation(rng, columns, separable, step):
    answer = answer_of(smooth_logits(rng))
    shape = (16, 14, 12)
    affine = np.eye(4)
    affine[:3, :3] = columns * step
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    frame, start, labels, _ = native_of(answer, affine, shape, step)
    assert frame.separable is separable
    index = np.stack(np.meshgrid(*(np.arange(n) for n in frame.shape), indexing="ij"), -1)
    points = ((index @ frame.matrix.T + frame.offset - start) / step).transpose(3, 0, 1, 2)
    logits = np.stack([unfold_blocks(answer.logits[..., c]).astype(np.float32) for c in range(CLASS_COUNT)])
    full = np.stack([ndimage.map_coordinates(c, points, order=1, cval=-1e3) for c in logits]).argmax(0)
    inside = np.all([(p >= 0) & (p <= 23) for p in points], axis=0)
    assert inside.sum() > 500
    assert (frame.canonical(labels)[inside] == full[inside]).mean() > 0.999


def test_one_millimetre_is_copied(rng):
    answer = answer_of(smooth_logits(rng))
    affine = np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = [11.5, -11.5, -11.5]
    _, _, labels, sides = native_of(answer, affine, (24, 24, 24))
    classes = unfold_blocks(answer.classes)
    np.testing.assert_array_equal(labels, np.where(classes == OTHER, 0, classes)[::-1])
    np.testing.assert_array_equal(sides, (classes > 10)[::-1])


def test_small_pieces_and_strays_are_removed():
    logits = np.zeros((40, 40, 40, CLASS_COUNT), dtype=np.float32)
    white, thalamus, cortex = INDEX["cerebral white matter"], INDEX["thalamus"], INDEX["cerebral cortex"]
    logits[..., 0] = 5
    logits[4:30, 4:30, 4:30, white] = 8
    logits[8:14, 8:14, 8:14, thalamus] = 12
    logits[20:26, 8:14, 8:14, thalamus] = 12
    logits[25:27, 25:27, 25:27, thalamus] = 12
    logits[36:38, 36:38, 36:38, cortex] = 9
    answer = answer_of(logits)
    classes = tidy(answer)
    assert classes[26, 26, 26] == white and classes[10, 10, 10] == thalamus and classes[22, 10, 10] == thalamus
    assert classes[37, 37, 37] == 0
    np.testing.assert_array_equal(classes, unfold_blocks(answer.classes))
    at = unfold_blocks(answer.logits.argmax(-1).astype(np.uint8))
    np.testing.assert_array_equal(at, classes)
