"""Quality on made summaries: a brain passes, what is no brain is refused with a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.segmentation.labels import CLASS_COUNT, INDEX, LATERAL
from serving.segmentation.quality import Evidence, Intensities, anatomical_order, assess, look_at_intensities, symmetry
from serving.segmentation.synthetic.phantoms import affine_of, as_ct, phantoms

SEEN = Intensities(None, 200)
ADULT_ML = {
    "cerebral white matter": 480, "cerebral cortex": 500, "lateral ventricle": 18, "inferior lateral ventricle": 0.8,
    "cerebellum white matter": 28, "cerebellum cortex": 105, "thalamus": 15, "caudate": 7, "putamen": 10, "pallidum": 3.6,
    "third ventricle": 1.2, "fourth ventricle": 1.6, "brain stem": 21, "hippocampus": 8, "amygdala": 3.2, "accumbens": 1.1,
    "ventral DC": 8, "choroid plexus": 1.5,
}  # fmt: skip
CENTRES = {
    "cerebral white matter": (0, 5, 25), "cerebral cortex": (0, 0, 25), "lateral ventricle": (0, -5, 15),
    "cerebellum white matter": (0, -55, -35), "cerebellum cortex": (0, -60, -38), "thalamus": (0, -15, 5), "caudate": (0, 10, 10),
    "putamen": (0, 5, 0), "pallidum": (0, 0, -2), "third ventricle": (0, -8, -2), "fourth ventricle": (0, -40, -30),
    "brain stem": (0, -28, -30), "hippocampus": (0, -22, -13), "amygdala": (0, -4, -18), "ventral DC": (0, -14, -8),
}  # fmt: skip


def adult() -> Evidence:
    """About what a healthy adult gives."""
    volume = np.zeros(CLASS_COUNT)
    centre = np.full((CLASS_COUNT, 3), np.nan)
    for name, ml in ADULT_ML.items():
        volume[INDEX[name]] = ml
    for name, place in CENTRES.items():
        centre[INDEX[name]] = place
    right = np.where(LATERAL, volume / 2, 0.0)
    sure = np.full(CLASS_COUNT, 0.9)
    return Evidence(volume, volume - right, right, volume - right, right, sure, sure, 0.9, 0.05, centre)


def test_an_adult_brain_is_good():
    quality = assess(adult(), SEEN, 0.0, (1, 1, 1))
    assert quality.verdict == "good" and quality.score > 0.8 and not quality.reasons


def test_cut_field_of_view_and_thick_slices_are_told():
    quality = assess(adult(), SEEN, 900.0, (1, 1, 5))
    assert quality.verdict == "limited"
    assert any("field of view" in r for r in quality.reasons) and any("5.0 mm" in r for r in quality.reasons)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda e: replace(e, volume_ml=e.volume_ml * 0.1), "ml"),
        (lambda e: replace(e, volume_ml=e.volume_ml * 4), "more than any brain"),
        (lambda e: replace(e, centre_mm=e.centre_mm * [1, -1, -1]), "do not lie where"),
        (lambda e: replace(e, brain_confidence=0.3), "confidence"),
        (lambda e: replace(e, volume_ml=np.where(np.arange(CLASS_COUNT) == INDEX["cerebral white matter"], 900, 0.0)), "white matter"),
        (lambda e: replace(e, left_ml=e.volume_ml * 0.98, right_ml=e.volume_ml * 0.02), "halves"),
    ],
)
def test_what_is_no_brain_is_refused(change, sentence):
    quality = assess(change(adult()), SEEN, 0.0, (1, 1, 1))
    assert quality.verdict == "refused"
    assert quality.reasons[0].startswith("This does not look like a brain MRI") and sentence in quality.reasons[0]


def test_order_and_symmetry():
    assert anatomical_order(adult()) == (1.0, 15)
    assert symmetry(adult()) == pytest.approx(1.0)


def test_intensities_give_ct_flat_and_empty_volumes_away(rng):
    made = dict(phantoms(side=32))
    assert "CT" in (look_at_intensities(made["CT of a head"]).refusal or "")
    assert look_at_intensities(made["constant"]).refusal
    assert look_at_intensities(rng.integers(0, 5, size=(20, 20, 20)).astype(np.float32)).refusal
    assert look_at_intensities(rng.normal(size=(64, 64, 4)).astype(np.float32)).refusal
    head = np.where(np.indices((32, 32, 32)).sum(0) > 40, rng.uniform(300, 1000, (32, 32, 32)), 0)
    assert "CT" in (look_at_intensities(as_ct(head)).refusal or "")


@pytest.mark.parametrize("low", [0.0, -3.6, -50.0])
def test_mri_intensities_pass(rng, low):
    values = np.where(np.indices((32, 32, 32)).sum(0) > 40, rng.uniform(0, 8, (32, 32, 32)), 0) + low
    assert look_at_intensities(values.astype(np.float32)).refusal is None


def test_phantoms_span_a_head():
    names = [name for name, volume in phantoms(side=16) if volume.shape == (16, 16, 16)]
    assert len(names) >= 15
    assert affine_of(16)[0, 0] * 16 == pytest.approx(192)
