"""Slices as people look at them: orientation, aspect, colours, the cache, and whose they are."""

from __future__ import annotations

import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from PIL import Image

from infra.errors import InvalidInput
from workbench.services.planes import Center, find_centers, write_planes
from workbench.services.slices import DIMMED, PLANES, Prepared, draw_labels, draw_scan, draw_thumbnail, picture
from workbench.services.structures import structure

SHAPE = (6, 8, 10)


def ras() -> tuple[np.ndarray, np.ndarray]:
    """A scan that is bright on the right, at the front, on top; labels 10 (left) and 49 (right)."""
    i, j, k = np.indices(SHAPE)
    labels = np.zeros(SHAPE, np.int16)
    labels[1:3, 2:5, 3:6] = 10
    labels[4:6, 2:5, 3:6] = 49
    return (10 * i + 5 * j + 3 * k).astype(np.float32), labels


def test_axial_shows_the_right_on_the_left_and_the_front_on_top() -> None:
    scan, _ = ras()
    flat = picture(scan, "axial", 4)
    assert flat.shape == (SHAPE[1], SHAPE[0])
    assert flat[0, 0] == scan[-1, -1, 4]
    assert flat[-1, -1] == scan[0, 0, 4]


def test_coronal_shows_the_right_on_the_left_and_the_top_on_top() -> None:
    scan, _ = ras()
    flat = picture(scan, "coronal", 2)
    assert flat.shape == (SHAPE[2], SHAPE[0])
    assert flat[0, 0] == scan[-1, 2, -1]


def test_sagittal_shows_the_front_on_the_left() -> None:
    scan, _ = ras()
    flat = picture(scan, "sagittal", 3)
    assert flat.shape == (SHAPE[2], SHAPE[1])
    assert flat[0, 0] == scan[3, -1, -1]
    assert flat[-1, -1] == scan[3, 0, 0]


@pytest.mark.parametrize(("plane", "index"), [("oblique", 0), ("axial", -1), ("axial", 10), ("sagittal", 6), ("../etc", 0)])
def test_what_is_not_there_is_refused(plane: str, index: int) -> None:
    with pytest.raises(InvalidInput):
        picture(ras()[0], plane, index)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LIA", "PIR", "ASL", "SPR", "LPS"])
def test_the_same_head_in_every_orientation_gives_the_same_pictures(tmp_path: Path, codes: str) -> None:
    scan, labels = ras()
    affine = np.diag([2.0, 1.5, 1.0, 1.0])
    affine[:3, 3] = (-6, -7, 4)
    turn = ornt_transform(nib.io_orientation(affine), axcodes2ornt(tuple(codes)))
    for name, array in (("scan", scan), ("labels", labels)):
        turned = nib.apply_orientation(array, turn)
        nib.save(nib.Nifti1Image(turned, affine @ inv_ornt_aff(turn, SHAPE)), tmp_path / f"{name}.nii.gz")
    write_planes(tmp_path / "scan.nii.gz", tmp_path / "labels.nii.gz", tmp_path)
    assert np.array_equal(np.load(tmp_path / "labels.npy"), labels)
    shown = np.load(tmp_path / "scan.npy").astype(int)
    assert shown[-1, -1, -1] == 255
    assert shown[0, 0, 0] == 0
    facts = (tmp_path / "facts.json").read_text()
    assert '"spacing": [2.0, 1.5, 1.0]' in facts


def test_window_presets_are_of_the_scan_and_of_what_is_labelled(tmp_path: Path) -> None:
    scan = np.full((30, 30, 30), 1000.0, np.float32)  # bright outside the brain
    labels = np.zeros(scan.shape, np.uint8)
    labels[6:24, 6:24, 6:24] = 2
    scan[labels > 0] = np.random.default_rng(0).uniform(100, 200, int((labels > 0).sum()))
    for name, array in (("scan", scan), ("labels", labels)):
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.nii.gz")
    write_planes(tmp_path / "scan.nii.gz", tmp_path / "labels.nii.gz", tmp_path)
    windows = json.loads((tmp_path / "facts.json").read_text())["windows"]
    assert set(windows) == {"full", "brain", "narrow"}
    assert windows["full"][1] == 1000 and windows["brain"] == pytest.approx([101, 199], abs=3)
    assert windows["narrow"] == pytest.approx([110, 190], abs=4)
    nib.save(nib.Nifti1Image(np.zeros_like(labels), np.eye(4)), tmp_path / "empty.nii.gz")
    write_planes(tmp_path / "scan.nii.gz", tmp_path / "empty.nii.gz", tmp_path)
    assert set(json.loads((tmp_path / "facts.json").read_text())["windows"]) == {"full"}


def test_centers_lie_inside_their_structures(tmp_path: Path) -> None:
    scan, labels = ras()
    labels[:] = 0
    labels[0, :, 0] = labels[:, 0, 0] = labels[:, -1, 0] = 17  # a bow: its centre of mass is outside it
    for name, array in (("scan", scan), ("labels", labels)):
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.nii.gz")
    write_planes(tmp_path / "scan.nii.gz", tmp_path / "labels.nii.gz", tmp_path)
    import json

    voxel = json.loads((tmp_path / "facts.json").read_text())["centers"]["17"]["voxel"]
    assert labels[tuple(voxel)] == 17


def test_the_centre_of_a_large_structure_is_found_without_looking_at_all_of_it() -> None:
    labels = np.zeros((300, 200, 100), np.uint8)
    labels[20:280, 10:190, 5:95] = 2
    assert labels[find_centers(labels, np.eye(4))[2].voxel] == 2
    assert np.allclose(find_centers(labels, np.eye(4))[2].voxel, (150, 100, 50), atol=4)


def test_labels_are_drawn_in_their_colours_and_nothing_is_transparent() -> None:
    _, labels = ras()
    drawn = np.array(Image.open(io.BytesIO(draw_labels(labels, "axial", 4))).convert("RGBA"))
    expected = picture(labels, "axial", 4)
    assert (drawn[expected == 0, 3] == 0).all()
    assert (drawn[expected == 10] == (*structure(10).rgb, 255)).all()


def test_highlighting_dims_the_others() -> None:
    _, labels = ras()
    drawn = np.array(Image.open(io.BytesIO(draw_labels(labels, "axial", 4, frozenset({49})))).convert("RGBA"))
    expected = picture(labels, "axial", 4)
    assert (drawn[expected == 49, 3] == 255).all()
    assert (drawn[expected == 10, 3] == DIMMED).all()


@given(st.sampled_from(PLANES), st.integers(0, 5))
def test_pictures_of_scan_and_labels_have_one_size(plane: str, index: int) -> None:
    scan, labels = ras()
    grey = Image.open(io.BytesIO(draw_scan(scan.astype(np.uint8), plane, index)))
    colours = Image.open(io.BytesIO(draw_labels(labels, plane, index)))
    assert grey.size == colours.size


def test_thumbnail_of_a_scan_without_labels() -> None:
    scan, labels = ras()
    volume = Prepared(scan.astype(np.uint8), labels * 0, np.eye(4), (1.0, 1.0, 1.0), {16: Center((3, 3, 4), (0.0, 0.0, 0.0))})
    assert Image.open(io.BytesIO(draw_thumbnail(volume))).size == (480, 300)


def test_a_scan_of_one_value_and_of_nan_is_drawn(tmp_path: Path) -> None:
    scan = np.full(SHAPE, np.nan, np.float32)
    scan[0] = 7
    nib.save(nib.Nifti1Image(scan, np.eye(4)), tmp_path / "scan.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4)), tmp_path / "labels.nii.gz")
    write_planes(tmp_path / "scan.nii.gz", tmp_path / "labels.nii.gz", tmp_path)
    assert np.load(tmp_path / "scan.npy").max() == 0
