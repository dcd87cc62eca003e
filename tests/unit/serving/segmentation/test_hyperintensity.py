"""Lesions measured on FLAIR: a small head of shells with fluid in its middle."""

from __future__ import annotations

import numpy as np
import pytest

from serving.segmentation.cleanup import set_lesions
from serving.segmentation.evaluation.metrics import dice
from serving.segmentation.folding import folded_index, unfold_blocks
from serving.segmentation.hyperintensity import bright_lesions, looks_like_flair
from serving.segmentation.labels import CLASS_COUNT, INDEX, LESION

SIZE = 64
FLAIR = {"background": 0.0, "CSF": 0.2, "cerebral cortex": 0.78, "cerebral white matter": 0.75, "lateral ventricle": 0.2}


def head(signal: dict[str, float] | None = None, noise: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """(image, classes) of 64^3 voxels: fluid, cortex, white matter and a ventricle from the outside in."""
    signal = signal or FLAIR
    axis = np.arange(SIZE) - SIZE / 2 + 0.5
    radius = np.sqrt(sum(x**2 for x in np.meshgrid(axis, axis, axis, indexing="ij")))
    classes = np.full(radius.shape, INDEX["background"], np.uint8)
    for name, edge in (("CSF", 30), ("cerebral cortex", 28), ("cerebral white matter", 24), ("lateral ventricle", 7)):
        classes[radius < edge] = INDEX[name]
    image = np.zeros(radius.shape, np.float32)
    for name, value in signal.items():
        image[classes == INDEX[name]] = value
    image += np.random.default_rng(0).normal(0, noise, image.shape).astype(np.float32) * (classes > 0)
    return image, classes


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    grid = np.indices((SIZE,) * 3)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2  # type: ignore[return-value]


LESION_AT = ball((32, 32, 48), 3)


def test_a_flair_is_known_by_dark_fluid_and_even_tissue() -> None:
    assert looks_like_flair(*head())
    for others in (
        {"cerebral cortex": 0.55},  # T1: cortex darker
        {"lateral ventricle": 0.9},  # T2: fluid bright
        {"lateral ventricle": 0.6},  # PD
    ):
        assert not looks_like_flair(*head(FLAIR | others))


def test_without_a_ventricle_nothing_is_said() -> None:
    image, classes = head()
    classes[classes == INDEX["lateral ventricle"]] = INDEX["cerebral white matter"]
    assert not looks_like_flair(image, classes)


def test_a_bright_spot_is_found_whatever_the_network_called_it() -> None:
    image, classes = head()
    image[LESION_AT] += 0.25
    for name in ("cerebral white matter", "cerebral cortex", "lesion"):
        classes[LESION_AT] = INDEX[name]
        assert dice(bright_lesions(image, classes, 1.0), LESION_AT) > 0.8


def test_a_healthy_head_has_none_with_a_bias_field_either() -> None:
    image, classes = head()
    ramp = np.linspace(0.7, 1.3, SIZE, dtype=np.float32)
    assert not bright_lesions(image, classes, 1.0).any()
    assert not bright_lesions(image * ramp[:, None, None], classes, 1.0).any()


def test_a_spot_is_found_under_a_bias_field() -> None:
    image, classes = head()
    image[LESION_AT] += 0.3
    ramp = np.linspace(1.3, 0.7, SIZE, dtype=np.float32)
    assert dice(bright_lesions(image * ramp, classes, 1.0), LESION_AT) > 0.7


def test_the_ventricles_rim_is_no_lesion() -> None:
    image, classes = head()
    rim = ball((32, 32, 32), 9) & (classes == INDEX["cerebral white matter"])
    image[rim] += 0.25
    assert not bright_lesions(image, classes, 1.0).any()


def test_brighter_cortex_is_not_a_lesion() -> None:
    image, classes = head(FLAIR | {"cerebral cortex": 0.84})
    assert not bright_lesions(image, classes, 1.0).any()


def test_a_mass_that_the_network_took_for_fluid_is_found() -> None:
    image, classes = head()
    mass = ball((32, 32, 50), 6)
    image[mass] = 1.3
    classes[mass] = INDEX["CSF"]
    found = bright_lesions(image, classes, 1.0)
    assert dice(found, mass & (classes > 0)) > 0.6


@pytest.mark.parametrize("step", [1.0, 2.0])
def test_a_brain_too_small_for_statistics_gives_nothing(step: float) -> None:
    classes = np.zeros((16, 16, 16), np.uint8)
    assert not bright_lesions(np.ones(classes.shape, np.float32), classes, step).any()
    classes[4:10, 4:10, 4:10] = INDEX["cerebral white matter"]
    assert not bright_lesions(np.ones(classes.shape, np.float32), classes, step).any()


def test_lesions_are_set_and_taken_back() -> None:
    from serving.segmentation.backends import Answer

    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4, 4, 4, 8, CLASS_COUNT)).astype(np.float16)
    answer = Answer(logits=logits, classes=logits.argmax(-1).astype(np.uint8), side=np.zeros(logits.shape[:-1], np.float16))
    classes = unfold_blocks(answer.classes)
    assert (classes == LESION).any()
    wanted = rng.random(classes.shape) < 0.1
    set_lesions(answer, classes, wanted)
    assert np.array_equal(classes == LESION, wanted)
    assert np.array_equal(unfold_blocks(answer.classes), classes)
    assert np.array_equal(answer.logits.argmax(-1)[folded_index(np.nonzero(wanted))], classes[wanted])
