"""Volumes, sides, ratios and lesions against a head whose every structure is known in scanner millimetres."""

from __future__ import annotations

import itertools
import math

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.imaging.labels import BRAIN, LABELS, PAIRS, VENTRICLES, colour_table
from pipelines.imaging.lesions import find_lesions, keep_lesions, lesion_groups
from pipelines.imaging.measure import asymmetry, label_volumes, measure, structure_confidence
from pipelines.imaging.report import ReportQuality
from serving.roles.segmentation import Structure
from tests.heads import ELLIPSOIDS, grid, head_labels

GOOD = ReportQuality(verdict="good", score=0.9, reasons=[])
LESIONS = [((-18.0, -5.0, 28.0), 4.0), ((34.0, 20.0, 30.0), 3.5), ((20.0, -58.0, -34.0), 4.0), ((-38.0, 0.0, 48.0), 3.5)]


def measured(labels: np.ndarray, affine: np.ndarray) -> dict[str, float]:
    lesions = find_lesions(labels, affine)
    structures = {label: Structure(label, volume, volume, 0.9) for label, volume in label_volumes(labels, affine).items()}
    return {item.name: item.value for item in measure(label_volumes(labels, affine), structures, GOOD, lesions)}


def test_volumes_of_ellipsoids_are_their_formula():
    shape, affine = grid(1.5)
    values = measured(head_labels(shape, affine), affine)
    for label in (4, 43, 10, 8, 16):
        axes = next(half for id, _, half in ELLIPSOIDS if id == label)
        expected = 4 / 3 * math.pi * math.prod(axes) / 1000
        assert values[f"{LABELS[label].full} volume"] == pytest.approx(expected, rel=0.15)
    assert values["hippocampus asymmetry index"] == pytest.approx(200 * (5 - 6) / 11, abs=3)
    assert values["brain volume"] + values["ventricle volume"] < values["intracranial volume"]
    assert values["ventricle-to-brain ratio"] == pytest.approx(100 * values["ventricle volume"] / values["brain volume"], abs=0.01)


@pytest.mark.parametrize("code", ["".join(c) for axes in itertools.permutations(("RL", "AP", "SI")) for c in itertools.product(*axes)][::5])
def test_storage_order_changes_no_measurement_and_swaps_no_side(code: str):
    shape, affine = grid(3.0)
    labels = head_labels(shape, affine, LESIONS)
    steps = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(code))
    image = nib.Nifti1Image(labels, affine).as_reoriented(steps)
    assert "".join(nib.aff2axcodes(image.affine)) == code
    assert measured(np.asarray(image.dataobj), image.affine) == pytest.approx(measured(labels, affine))
    there, here = find_lesions(np.asarray(image.dataobj), image.affine), find_lesions(labels, affine)
    assert sorted((item.center_mm, item.side, item.zone) for item in there) == sorted(
        (item.center_mm, item.side, item.zone) for item in here
    )


@pytest.mark.parametrize("matrix", [np.eye(3), [[0.9, 0.3, 0], [-0.3, 0.9, 0.1], [0, -0.1, 1.1]], [[1, 0.4, 0], [0, 1, 0.2], [0, 0, 1.3]]])
def test_lesions_are_found_in_their_places_in_any_grid(matrix: list):
    affine = np.eye(4)
    affine[:3, :3] = np.array(matrix) * 1.6
    shape = (150, 150, 130)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    found = find_lesions(head_labels(shape, affine, LESIONS), affine)
    assert len(found) == 4
    for (centre, radius), zone, side in zip(
        LESIONS, ("periventricular", "deep", "infratentorial", "juxtacortical"), ("left", "right", "right", "left"), strict=True
    ):
        lesion = min(found, key=lambda item, centre=centre: np.linalg.norm(np.subtract(item.center_mm, centre)))
        assert np.linalg.norm(np.subtract(lesion.center_mm, centre)) < 1.0
        assert (lesion.zone, lesion.side) == (zone, side)
        assert lesion.volume_ml == pytest.approx(4 / 3 * math.pi * radius**3 / 1000, rel=0.12)
    assert [item.volume_ml for item in found] == sorted((item.volume_ml for item in found), reverse=True)


def test_single_voxels_count_in_the_load_and_not_in_the_list():
    shape, affine = grid(2.0)
    labels = head_labels(shape, affine)
    labels[tuple(np.array(shape) // 2 + [10, 10, 10])] = 77
    assert find_lesions(labels, affine) == []
    values = measured(labels, affine)
    assert values["lesion count"] == 0 and values["lesion load"] == pytest.approx(0.008)


def test_a_lesion_with_nothing_around_it_has_no_side_and_no_zone():
    labels = np.zeros((20, 20, 20), np.int16)
    labels[5:9, 5:9, 5:9] = 77
    [lesion] = find_lesions(labels, np.eye(4))
    assert lesion.side is None and lesion.zone is None


def test_a_sheared_grid_counts_by_its_determinant():
    affine = np.array([[2.0, 1, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    assert label_volumes(np.full((10, 10, 10), 2, np.int16), affine) == {2: pytest.approx(12.0)}


@given(left=st.floats(0.01, 1000), right=st.floats(0.01, 1000))
def test_asymmetry_is_antisymmetric_and_bounded(left: float, right: float):
    index, mirrored = asymmetry(left, right), asymmetry(right, left)
    assert index is not None and mirrored is not None
    assert index == pytest.approx(-mirrored) and abs(index) <= 200
    assert (index > 0) == (left > right)
    assert asymmetry(left, 0.0) is None


def test_confidence_falls_with_the_edge_and_with_disagreement():
    sure = structure_confidence(Structure(2, 10, 10, 0.9))
    assert sure == pytest.approx(0.9)
    assert structure_confidence(Structure(2, 10, 10, 0.9, touches_edge=True)) == pytest.approx(0.45)
    assert structure_confidence(Structure(2, 10, 8, 0.9)) == pytest.approx(0.72)
    assert structure_confidence(Structure(2, 10, None, 0.9)) == pytest.approx(0.9)


def test_labels_are_those_of_the_design():
    left = {2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 26, 28}
    right = {41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60}
    assert {label.id for label in LABELS.values() if label.side == "left"} == left
    assert {label.id for label in LABELS.values() if label.side == "right"} == right
    assert {label.id for label in LABELS.values() if label.side is None} == {14, 15, 16, 24, 77}
    assert set(BRAIN) | set(VENTRICLES) | {24} == set(LABELS) and not set(BRAIN) & set(VENTRICLES)
    assert len(PAIRS) == 14
    rows = [row.split() for row in colour_table().splitlines()[1:]]
    assert {int(row[0]) for row in rows} == {0, *LABELS} and all(len(row) == 6 for row in rows)


def test_one_row_in_millilitres_for_each_label():
    shape, affine = grid(4.0)
    labels = head_labels(shape, affine, LESIONS)
    items = measure(label_volumes(labels, affine), {}, GOOD, find_lesions(labels, affine))
    ids = [item.label for item in items if item.label is not None]
    assert sorted(ids) == sorted(LABELS) and len({item.name for item in items}) == len(items)
    assert all(item.definition and item.unit for item in items)


def test_small_marks_get_the_label_around_them_and_label_list_and_load_are_one_set():
    shape, affine = grid(2.0)
    healthy = head_labels(shape, affine)
    labels = healthy.copy()
    random = np.random.default_rng(3)
    for place in np.argwhere(np.isin(healthy, (2, 41)))[random.integers(0, 2000, 25)]:
        labels[tuple(place)] = 77  # specks of 8 mm3
    labels[tuple(slice(part, part + 2) for part in np.argwhere(healthy == 41).mean(axis=0).astype(int))] = 77
    kept = keep_lesions(labels, lesion_groups(labels, affine))
    lesions = find_lesions(kept, affine)
    assert len(lesions) == 1 and (kept == 77).sum() == 8
    assert label_volumes(kept, affine)[77] == pytest.approx(sum(lesion.volume_ml for lesion in lesions)) == pytest.approx(0.064)
    specks = (labels == 77) & (kept != 77)
    assert specks.any() and (kept[specks] == healthy[specks]).mean() > 0.9
    assert not (keep_lesions(labels, []) == 77).any()
    assert len(find_lesions(labels, affine, least_voxels=1, least_mm3=8.0)) > 10


def test_a_mark_with_nothing_around_it_is_removed():
    labels = np.zeros((12, 12, 12), np.int16)
    labels[5, 5, 5] = 77
    assert not keep_lesions(labels, []).any()
