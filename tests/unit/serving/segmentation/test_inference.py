"""The whole way from a volume to labels, with an untrained network and with one that answers by intensity."""

from __future__ import annotations

from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from serving.roles.segmentation import Quality, Volume
from serving.segmentation.backends import Answer, OpenVinoBackend
from serving.segmentation.inference import Segmenter
from serving.segmentation.labels import CLASS_COUNT, INDEX
from serving.segmentation.normalise import lift_background, scale_signal

from .test_mapback import folded


class ByIntensity:
    """Stands for a trained network: dark is background, middle is cortex, bright is white matter; right is right."""

    name, device = "made", "cpu"

    def __init__(self, spacing_mm: float = 1.0) -> None:
        extra = {"validation_dice_maps_15_16": 0.1}
        self.info = SimpleNamespace(digest="0" * 64, spacing_mm=spacing_mm, multiple=16, extra=extra)

    def infer(self, image: np.ndarray, mirrored: bool = False) -> Answer:
        logits = np.zeros((*image.shape, CLASS_COUNT), dtype=np.float16)
        logits[..., 0] = 6 - 20 * image
        logits[..., INDEX["cerebral cortex"]] = 4 - 12 * np.abs(image - 0.5)
        logits[..., INDEX["cerebral white matter"]] = 4 - 12 * np.abs(image - 1.0)
        across = np.arange(image.shape[0])[:, None, None] - image.shape[0] / 2 + 0.5
        side = np.broadcast_to(across, image.shape).astype(np.float16)
        return Answer(folded(logits), folded(side), folded(logits.argmax(-1).astype(np.uint8)))

    def find(self, image: np.ndarray) -> np.ndarray:
        return self.infer(image).classes[..., 0]

    def rest(self) -> None:
        pass


def head(side: int = 60) -> np.ndarray:
    """A lopsided head of two textured tissues (i right, j anterior, k superior), 0..1000."""
    x, y, z = np.indices((side, side + 6, side + 2), dtype=np.float32)
    radius = np.sqrt(((x - 29) / 22) ** 2 + ((y - 33) / 27) ** 2 + ((z - 30) / 24) ** 2)
    inner = np.sqrt(((x - 27) / 14) ** 2 + ((y - 36) / 17) ** 2 + ((z - 32) / 15) ** 2)
    texture = np.random.default_rng(5).uniform(0, 20, size=x.shape)
    return ((480 + texture) * (radius < 1) + 480 * (inner < 1)).astype(np.float32)


def test_labels_keep_shape_affine_and_sides():
    data = head()
    affine = np.array([[-1.0, 0, 0, 40], [0, 1, 0, -30], [0, 0, 1, -20], [0, 0, 0, 1]])
    result = Segmenter(ByIntensity()).segment(Volume(data[None], affine))
    assert result.labels.shape == data.shape and result.labels.dtype == np.int16
    np.testing.assert_array_equal(result.affine, affine)
    assert set(np.unique(result.labels)) == {0, 2, 3, 41, 42}
    where = np.argwhere(np.isin(result.labels, (41, 42)))
    # The first axis runs to the left here, so the right hemisphere has the small indices.
    assert where[:, 0].max() <= np.argwhere(np.isin(result.labels, (2, 3)))[:, 0].min() + 1
    assert result.quality.verdict == "limited" and "early stage" in result.quality.reasons[0]
    assert result.structures[2].volume_ml == pytest.approx((result.labels == 2).sum() / 1000)
    assert result.structures[3].confidence > 0.5 and not result.structures[3].touches_edge
    assert set(result.seconds) >= {"resample", "infer", "map back"}


@pytest.mark.parametrize("code", ["LAS", "LIA", "PIR", "ASL", "SPR"])
@pytest.mark.parametrize(("spacing", "step"), [(1.0, 1.0), (1.7, 1.0), (1.0, 2.0)])
def test_storage_order_does_not_change_the_labels(code, spacing, step):
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = [-30, -20, -10]
    upright = nib.Nifti1Image(head(), affine)
    segmenter = Segmenter(ByIntensity(step))
    expected = segmenter.segment(Volume(head()[None], affine)).labels
    turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(code))
    turned = upright.as_reoriented(turn)
    labels = segmenter.segment(Volume(np.ascontiguousarray(turned.get_fdata(dtype=np.float32))[None], turned.affine)).labels
    back = nib.as_closest_canonical(nib.Nifti1Image(labels, turned.affine))
    np.testing.assert_array_equal(np.asarray(back.dataobj), expected)


def test_an_untrained_network_refuses(small_weights):
    segmenter = Segmenter(OpenVinoBackend(small_weights, threads=1))
    result = segmenter.segment(Volume(head()[None], np.eye(4)))
    assert result.quality.verdict == "refused" and not result.labels.any() and not result.structures
    assert result.model.digest == segmenter.backend.info.digest and result.model.backend == "openvino"


def test_flat_volumes_are_refused_without_a_pass(small_weights):
    result = Segmenter(OpenVinoBackend(small_weights, threads=1)).segment(Volume(np.ones((1, 20, 20, 20), dtype=np.float32), np.eye(4)))
    assert result.quality.verdict == "refused" and "infer" not in result.seconds


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1000, 0), (0.01, -3.6), (2, -500)])
def test_intensity_units_do_not_matter(scale, shift):
    data = head() / 1000 * scale + shift
    np.testing.assert_allclose(scale_signal(lift_background(data)), scale_signal(lift_background(head())), atol=1e-3)


def test_values_that_are_no_numbers_are_background():
    data = head()
    data[3, 3, 3], data[30, 30, 30] = np.nan, np.inf
    assert np.isfinite(lift_background(data)).all()


def test_the_verdict_follows_the_scan_and_not_what_is_known_of_the_weights():
    backend = ByIntensity()
    backend.info.extra = {"limits": ["They do not find small lesions."]}
    segmenter = Segmenter(backend)
    for quality in (Quality("good", 0.9), Quality("limited", 0.5, ("Thick slices.",)), Quality("refused", 0.1, ("No brain.",))):
        assert segmenter._own_doubt(quality) == quality
