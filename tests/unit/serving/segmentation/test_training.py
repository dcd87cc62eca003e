"""Training on a tiny made label map: images, targets, losses, one resumed run, and its exported weights."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from serving.segmentation.labels import CLASS_COUNT, INDEX, LEFT_IDS, LESION, RIGHT_IDS, class_of_id, freesurfer_ids, merge_sides
from serving.segmentation.synthetic.appearance import CONTRASTS, draw_contrast
from serving.segmentation.synthetic.atlas import COMPACT, COMPACT_OF, ZONES, class_table, load_atlas, side_table
from serving.segmentation.synthetic.lesions import add_pathology, lacunes, mass, territorial_infarct, white_matter_lesions
from serving.segmentation.synthetic.synthesis import Synthesiser
from serving.segmentation.training.loop import Options, learning_rate, run
from serving.segmentation.training.losses import class_weights, dice_by_class, segmentation_loss
from serving.segmentation.weights_file import load_network, read_info


def made_head(side: int = 80) -> nib.Nifti1Image:
    """A head of shells with both hemispheres, ventricles, thalami, cerebellum and brain stem; LIA, like the real maps."""
    x, y, z = (np.indices((side,) * 3, dtype=np.float32) - side / 2 + 0.5) / (side / 2)
    radius = np.sqrt(x**2 + y**2 + z**2)
    right = x > 0
    ids = np.zeros((side,) * 3, dtype=np.int32)
    for limit, left, other in ((0.95, 511, 511), (0.85, 24, 24), (0.8, 3, 42), (0.62, 2, 41), (0.3, 10, 49), (0.18, 4, 43)):
        inside = radius < limit
        ids[inside] = np.where(right, other, left)[inside]
    ids[(np.abs(x) < 0.2) & (z < -0.3) & (radius < 0.75)] = 16
    ids[(y < -0.35) & (z < -0.35) & (radius < 0.75)] = np.where(right, 47, 8)[(y < -0.35) & (z < -0.35) & (radius < 0.75)]
    affine = np.eye(4)
    affine[:3, 3] = -side / 2
    turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt("LIA"))
    return nib.Nifti1Image(ids, affine).as_reoriented(turn)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mri")
    (folder / "labels" / "synthseg").mkdir(parents=True)
    for number in (1, 15, 16):
        nib.save(made_head(), folder / "labels" / "synthseg" / f"training_seg_{number:02d}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def atlas(data: Path, tmp_path_factory: pytest.TempPathFactory):
    cache = tmp_path_factory.mktemp("atlas")
    made = load_atlas(data / "labels" / "synthseg" / "training_seg_01.nii.gz", cache)
    again = load_atlas(data / "labels" / "synthseg" / "training_seg_01.nii.gz", cache)
    np.testing.assert_array_equal(made.labels, again.labels)
    assert set(again.sites) == set(ZONES)
    return again


def test_ids_and_classes_agree():
    assert class_of_id(42) == class_of_id(3) == INDEX["cerebral cortex"]
    assert class_of_id(515) == INDEX["other head tissue"] and class_of_id(9999 % 400) == 0
    classes = np.arange(CLASS_COUNT, dtype=np.uint8)
    np.testing.assert_array_equal(freesurfer_ids(classes, np.ones(CLASS_COUNT, dtype=bool)), RIGHT_IDS)
    np.testing.assert_array_equal(freesurfer_ids(classes, np.zeros(CLASS_COUNT, dtype=bool)), LEFT_IDS)
    sided = [i for i in range(CLASS_COUNT) if LEFT_IDS[i] != RIGHT_IDS[i]]
    np.testing.assert_array_equal(merge_sides(LEFT_IDS[sided]), sided)
    np.testing.assert_array_equal(merge_sides(RIGHT_IDS[sided]), sided)
    assert class_table()[COMPACT_OF["oedema"]] == LESION
    assert side_table()[COMPACT_OF[42]] == 1 and side_table()[COMPACT_OF[3]] == 0 and side_table()[COMPACT_OF[16]] == 2


@pytest.mark.parametrize("paint", [white_matter_lesions, mass, territorial_infarct, lacunes])
def test_pathology_stays_in_the_brain(atlas, rng, paint):
    painted = 0
    for _ in range(6):
        labels = atlas.labels.copy()
        paint(rng, labels, atlas)
        changed = labels != atlas.labels
        before = [COMPACT[i] for i in np.unique(atlas.labels[changed])]
        assert all(isinstance(v, int) and 0 < v < 500 and v != 24 for v in before)
        assert (class_table()[labels[changed]] == LESION).all()
        painted += int(changed.sum())
    assert painted > 20


def test_labels_are_not_touched_without_pathology(atlas, rng):
    assert add_pathology(rng, atlas, share=0.0) is atlas.labels


@pytest.mark.parametrize("grid_mm", [1.0, 2.0])
def test_samples_are_normalised_and_labelled(atlas, grid_mm):
    synthesiser = Synthesiser([atlas], seed=1, grid_mm=grid_mm)
    contrasts = set()
    for _ in range(8):
        sample = synthesiser.sample((32, 48, 32))
        contrasts.add(sample.contrast)
        assert sample.image.shape == sample.classes.shape == sample.right.shape == (32, 48, 32)
        assert torch.isfinite(sample.image).all() and float(sample.image.min()) >= 0 and float(sample.image.max()) <= 2
        assert int(sample.classes.max()) < CLASS_COUNT and set(sample.right.unique().tolist()) <= {0, 1, 2}
    assert len(contrasts) > 1 and contrasts <= set(CONTRASTS)


def test_right_is_right_whether_flipped_or_not(atlas):
    """In RAS the right hemisphere has the larger first index, also in mirrored samples."""
    synthesiser = Synthesiser([atlas], seed=2, pathology=0.0, grid_mm=2.0)
    for _ in range(8):
        right = synthesiser.sample((48, 48, 48)).right.numpy()
        if (right == 1).sum() > 200 and (right == 0).sum() > 200:
            assert np.argwhere(right == 1)[:, 0].mean() > np.argwhere(right == 0)[:, 0].mean() + 3


def test_what_is_no_brain_has_no_brain_in_its_targets(atlas):
    synthesiser = Synthesiser([atlas], seed=4, not_brains=1.0, grid_mm=2.0)
    for _ in range(6):
        sample = synthesiser.sample((32, 32, 48))
        assert set(sample.classes.unique().tolist()) <= {INDEX["background"], INDEX["other head tissue"]}
        assert (sample.right == 2).all() and torch.isfinite(sample.image).all()


def test_real_contrasts_keep_their_order(rng):
    def mean_of(name: str, label: int) -> float:
        drawn = [m[COMPACT_OF[label]] for n, m, _, _ in (draw_contrast(rng) for _ in range(150)) if n == name]
        return float(np.mean(drawn))

    assert mean_of("T1", 2) > mean_of("T1", 3) > mean_of("T1", 4)
    assert mean_of("T2", 4) > mean_of("T2", 3) > mean_of("T2", 2)


def test_the_loss_is_smallest_for_the_truth():
    classes = torch.randint(0, CLASS_COUNT, (1, 6, 6, 6))
    right = torch.randint(0, 3, (1, 6, 6, 6))
    logits = torch.cat([torch.nn.functional.one_hot(classes, CLASS_COUNT).movedim(-1, 1) * 20.0, (right[:, None] - 0.5) * 20.0], 1)
    good, _ = segmentation_loss(logits, classes, right)
    bad, parts = segmentation_loss(logits.roll(1, 1), classes, right, class_weights(1.0))
    assert float(good) < 0.1 < float(bad) and set(parts) == {"cross_entropy", "dice_loss", "side"}
    assert class_weights(0.0)[:LESION].eq(1).all() and class_weights(0.0)[LESION] > 1 and class_weights(1.0)[INDEX["amygdala"]] > 3
    assert float(torch.nanmean(dice_by_class(classes, classes, CLASS_COUNT))) == 1.0


def test_one_cycle():
    assert learning_rate(0.0, 1.0) < learning_rate(0.02, 1.0) < 1.0
    assert learning_rate(0.5, 1.0) == pytest.approx(0.5, abs=0.05) and learning_rate(1.0, 1.0) == pytest.approx(0, abs=1e-9)


def test_the_gradient_of_the_loss_is_that_of_its_value():
    torch.manual_seed(0)
    logits = torch.randn(2, CLASS_COUNT + 1, 3, 2, 2, dtype=torch.float32, requires_grad=True)
    classes, right = torch.randint(0, 9, (2, 3, 2, 2)), torch.randint(0, 3, (2, 3, 2, 2))
    weights = class_weights(0.7)
    loss, _ = segmentation_loss(logits, classes, right, weights)
    (gradient,) = torch.autograd.grad(loss, logits)
    direction = torch.randn_like(logits)
    step = 1e-2
    with torch.no_grad():
        ahead, _ = segmentation_loss(logits + step * direction, classes, right, weights)
        behind, _ = segmentation_loss(logits - step * direction, classes, right, weights)
    assert float((gradient * direction).sum()) == pytest.approx(float(ahead - behind) / (2 * step), rel=0.01, abs=1e-3)


def test_a_run_is_resumed_and_exported(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("serving.segmentation.training.loop.SIZES_MM", ((1.0, (((64, 64, 64), 1.0),)),))
    monkeypatch.setattr("serving.segmentation.training.loop.VALIDATION_SIZE_MM", (64, 64, 64))
    options = Options(
        data, tmp_path / "run", tmp_path / "w.safetensors", 1.0, threads=1, filters=(8, 16, 16), maps=(1,), max_steps=2, grid_mm=2.0
    )
    first = run(options)
    assert first.step == 2 and read_info(options.export).step == 2
    options.max_steps = 3
    again = run(options)
    assert again.step == 3 and again.elapsed >= first.elapsed
    info = read_info(options.export)
    assert info.step == 3 and info.filters == (8, 16, 16) and info.spacing_mm == 2.0
    assert sum(p.numel() for p in load_network(options.export).parameters()) > 1000
