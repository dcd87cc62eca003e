"""Grey values decide where the network is undecided, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from serving.segmentation.backends import Answer
from serving.segmentation.folding import unfold_blocks
from serving.segmentation.grey_values import follow_grey_values
from serving.segmentation.labels import BACKGROUND, CLASS_COUNT, INDEX, LESION

WHITE, CORTEX = INDEX["cerebral white matter"], INDEX["cerebral cortex"]
SIZE = 48


def fold(values: np.ndarray) -> np.ndarray:
    """(2d, 2h, 2w, ...) -> (d, h, w, 8, ...)."""
    d, h, w = (n // 2 for n in values.shape[:3])
    rest = values.shape[3:]
    blocks = values.reshape(d, 2, h, 2, w, 2, *rest).transpose(0, 2, 4, 1, 3, 5, *range(6, 6 + len(rest)))
    return np.ascontiguousarray(blocks).reshape(d, h, w, 8, *rest)


def answer_of(said: np.ndarray, lead: np.ndarray, second: np.ndarray) -> Answer:
    """An answer that says ``said``, by ``lead`` before ``second``."""
    logits = np.full((*said.shape, CLASS_COUNT), -20, np.float16)
    np.put_along_axis(logits, second[..., None].astype(int), 0, -1)
    np.put_along_axis(logits, said[..., None].astype(int), lead[..., None].astype(np.float16), -1)
    return Answer(logits=fold(logits), classes=fold(said.astype(np.uint8)), side=fold(np.zeros(said.shape, np.float16)))


@pytest.fixture
def shells() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth (white matter inside a shell of cortex), what the network says (the border two voxels too far out), and by
    how much it prefers that."""
    axis = np.arange(SIZE) - SIZE / 2 + 0.5
    radius = np.sqrt(sum(x**2 for x in np.meshgrid(axis, axis, axis, indexing="ij")))
    truth = np.where(radius < 15, WHITE, np.where(radius < 22, CORTEX, BACKGROUND))
    said = np.where(radius < 17, WHITE, np.where(radius < 22, CORTEX, BACKGROUND))
    return truth, said, np.where(abs(radius - 15) < 4, 1.0, 6.0)


def image_of(truth: np.ndarray, cortex: float = 0.6) -> np.ndarray:
    image = np.where(truth == WHITE, 0.9, np.where(truth == CORTEX, cortex, 0.0))
    return (image + np.random.default_rng(0).normal(0, 0.05, truth.shape) * (truth != BACKGROUND)).astype(np.float32)


def swapped(said: np.ndarray) -> np.ndarray:
    return np.where(said == WHITE, CORTEX, WHITE)


def test_a_border_moves_to_where_the_grey_values_change(shells) -> None:
    truth, said, lead = shells
    answer = answer_of(said, lead, swapped(said))
    classes = unfold_blocks(answer.classes)
    before = (classes != truth).mean()
    follow_grey_values(answer, classes, image_of(truth))
    assert before > 0.03
    assert (classes != truth).mean() < before / 5
    assert np.array_equal(unfold_blocks(answer.classes), classes)
    assert np.array_equal(answer.logits.argmax(-1), answer.classes)


def test_what_the_network_is_sure_of_stays(shells) -> None:
    truth, said, _ = shells
    answer = answer_of(said, np.full(said.shape, 12.0), swapped(said))
    classes = unfold_blocks(answer.classes)
    follow_grey_values(answer, classes, image_of(truth))
    assert np.array_equal(classes, said)


def test_equal_tissues_change_little(shells) -> None:
    truth, said, lead = shells
    answer = answer_of(said, lead, swapped(said))
    classes = unfold_blocks(answer.classes)
    follow_grey_values(answer, classes, image_of(truth, cortex=0.9))
    assert (classes != said).mean() < 0.03


def test_lesions_and_what_is_no_brain_stay(shells) -> None:
    truth, said, lead = shells
    said[20:23, 20:23, 20:23] = LESION  # deep in the white matter
    answer = answer_of(said, lead, swapped(said))
    classes = unfold_blocks(answer.classes)
    follow_grey_values(answer, classes, image_of(truth))
    assert np.array_equal(classes == LESION, said == LESION)
    assert np.array_equal(classes == BACKGROUND, said == BACKGROUND)


def test_too_little_brain_changes_nothing() -> None:
    said = np.full((8, 8, 8), BACKGROUND)
    said[2:5, 2:5, 2:5] = WHITE
    answer = answer_of(said, np.ones(said.shape), np.full(said.shape, CORTEX))
    classes = unfold_blocks(answer.classes)
    follow_grey_values(answer, classes, np.ones(said.shape, np.float32))
    assert np.array_equal(classes, said)
