"""Every grid that a scanner or a program may write: voxels stay where they lie in the scanner, left stays left."""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from infra.settings import Imaging
from serving.volume import read_scan, write_labels, write_scan
from tests.dicoms import classic, enhanced, mosaic, save

LIMITS = Imaging()
MARKER_MM = np.array([-31.0, 22.0, 14.0])  # left, anterior, superior
CODES = ["".join(code) for axes in itertools.permutations(("RL", "AP", "SI")) for code in itertools.product(*axes)]


def marked(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Noise with one bright voxel: the one nearest to the marker."""
    array = np.random.default_rng(1).integers(0, 50, shape).astype(np.uint16)
    place = np.round(np.linalg.inv(affine) @ [*MARKER_MM, 1])[:3].astype(int)
    array[tuple(place)] = 900
    return array


def where_is_the_marker(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return (affine @ [*np.unravel_index(int(np.argmax(data)), data.shape), 1])[:3]


def an_affine(code: str, *, tilt: float = 0.0, shear: float = 0.0) -> tuple[np.ndarray, tuple[int, int, int]]:
    """A grid of 2 x 2.5 x 3 mm around the origin with its axes along ``code``, perhaps turned and sheared."""
    spacing, shape = np.array([2.0, 2.5, 3.0]), (50, 44, 38)
    axes = nib.orientations.axcodes2ornt(code)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (target, sign) in enumerate(axes):
        affine[int(target), axis] = sign * spacing[axis]
    cos, sin = np.cos(tilt), np.sin(tilt)
    affine[:3, :3] = (
        np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ affine[:3, :3]
    )
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    return affine, shape


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("tilt", "shear"), [(0.0, 0.0), (0.3, 0.0), (0.2, 0.25)])
def test_nifti_in_every_orientation_keeps_its_affine_and_its_voxels(tmp_path: Path, code: str, tilt: float, shear: float):
    affine, shape = an_affine(code, tilt=tilt, shear=shear)
    array = marked(affine, shape)
    nib.save(nib.Nifti1Image(array.astype(np.int16), affine), tmp_path / "scan.nii.gz")
    scan = read_scan(tmp_path / "scan.nii.gz", LIMITS)
    assert scan.shape == shape and scan.volume.data.dtype == np.float32
    assert np.array_equal(scan.volume.affine, nib.load(tmp_path / "scan.nii.gz").affine)
    assert np.linalg.norm(where_is_the_marker(scan.volume.data[0], scan.volume.affine) - MARKER_MM) < 3
    if tilt == 0:
        assert scan.orientation == code

    labels = np.where(scan.volume.data[0] > 500, 17, 0).astype(np.int16)
    write_labels(tmp_path / "labels.nii.gz", labels, scan.header)
    written, original = nib.load(tmp_path / "labels.nii.gz"), nib.load(tmp_path / "scan.nii.gz")
    assert np.array_equal(written.affine, original.affine) and written.shape == original.shape
    for name in ("sform_code", "qform_code", "srow_x", "quatern_b", "qoffset_x", "pixdim"):
        assert np.array_equal(np.atleast_1d(written.header[name])[:4], np.atleast_1d(original.header[name])[:4]), name
    assert where_is_the_marker(np.asarray(written.dataobj), written.affine)[0] < 0


@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1), (2, 1), (4, 4), (0, 0)])
def test_sform_and_qform_codes_survive(tmp_path: Path, sform: int, qform: int):
    affine, shape = an_affine("LAS")
    image = nib.Nifti1Image(marked(affine, shape), None)
    image.header.set_zooms((2.0, 2.5, 3.0))
    image.header.set_sform(affine, code=sform)
    image.header.set_qform(affine, code=qform)
    nib.save(image, tmp_path / "scan.nii")
    scan = read_scan(tmp_path / "scan.nii", LIMITS)
    write_labels(tmp_path / "labels.nii.gz", np.zeros(shape, np.int16), scan.header)
    written, original = nib.load(tmp_path / "labels.nii.gz"), nib.load(tmp_path / "scan.nii")
    assert (int(written.header["sform_code"]), int(written.header["qform_code"])) == (sform, qform)
    assert np.array_equal(written.affine, original.affine)
    assert any("left and right" in text for text in scan.warnings) == (sform == qform == 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    matrix=hnp.arrays(np.float64, (3, 3), elements=st.floats(-3, 3, width=32)).filter(
        lambda m: abs(np.linalg.det(m)) > 0.3 and (np.linalg.norm(m, axis=0) > 0.5).all()
    ),
    kind=st.sampled_from([np.uint8, np.int16, np.float32, np.float64, np.int32, np.uint16]),
    slope=st.sampled_from([None, (0.5, -3.0), (2.0, 10.0)]),
)
def test_any_affine_any_type_any_scaling_reads_as_nibabel_does(tmp_path: Path, matrix: np.ndarray, kind: type, slope: tuple | None):
    affine = np.eye(4)
    affine[:3, :3] = matrix
    array = np.random.default_rng(2).integers(0, 200, (11, 12, 13)).astype(kind)
    image = nib.Nifti1Image(array, affine)
    if slope:
        image.header.set_slope_inter(*slope)
    path = tmp_path / "scan.nii.gz"
    nib.save(image, path)
    scan = read_scan(path, LIMITS)
    loaded = nib.load(path)
    assert np.allclose(scan.volume.data[0], np.asarray(loaded.dataobj), rtol=1e-6, atol=1e-4)
    assert np.array_equal(scan.volume.affine, loaded.affine)
    write_scan(tmp_path / "again.nii.gz", scan.volume.data[0], scan.header)
    again = read_scan(tmp_path / "again.nii.gz", LIMITS)
    assert np.array_equal(again.volume.data, scan.volume.data) and np.array_equal(again.volume.affine, scan.volume.affine)


def test_nifti2_big_endian_and_a_trailing_dimension_of_one(tmp_path: Path):
    affine, shape = an_affine("PIR")
    array = marked(affine, shape)
    nib.save(nib.Nifti2Image(array, affine), tmp_path / "two.nii")
    big = nib.Nifti1Image(array[..., None].astype(">i2"), affine, header=nib.Nifti1Header(endianness=">"))
    nib.save(big, tmp_path / "big.nii")
    for name in ("two.nii", "big.nii"):
        scan = read_scan(tmp_path / name, LIMITS)
        assert scan.shape == shape and np.array_equal(scan.volume.data[0], array), name
        write_labels(tmp_path / "labels.nii.gz", np.zeros(shape, np.int16), scan.header)
        assert np.array_equal(nib.load(tmp_path / "labels.nii.gz").affine, nib.load(tmp_path / name).affine), name


@pytest.mark.parametrize("name", ["scan.mgz", "scan.mgh"])
@pytest.mark.parametrize("code", ["LIA", "RAS", "PSL"])
def test_mgh_reads_as_nibabel_does(tmp_path: Path, name: str, code: str):
    affine, shape = an_affine(code, tilt=0.1)
    array = marked(affine, shape).astype(np.float32)
    nib.save(nib.MGHImage(array, affine), tmp_path / name)
    scan = read_scan(tmp_path / name, LIMITS)
    assert np.array_equal(scan.volume.data[0], array)
    assert np.allclose(scan.volume.affine, nib.load(tmp_path / name).affine, atol=1e-3)
    assert scan.format == name[-3:].upper()


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior", "LAS"])
def test_nrrd_says_where_left_is(tmp_path: Path, encoding: str, space: str):
    affine, shape = an_affine("LPS", tilt=0.2)
    array = marked(affine, shape).astype(np.int16)
    flip = np.diag([-1 if space[0].lower() == "l" else 1, -1 if "p" in space.lower()[:9] and space != "right-anterior-superior" else 1, 1])
    flip = {"left-posterior-superior": np.diag([-1, -1, 1]), "right-anterior-superior": np.eye(3), "LAS": np.diag([-1, 1, 1])}[space]
    header = {"space": space, "space directions": (flip @ affine[:3, :3]).T, "space origin": flip @ affine[:3, 3], "encoding": encoding}
    nrrd.write(str(tmp_path / "scan.nrrd"), array, header)
    scan = read_scan(tmp_path / "scan.nrrd", LIMITS)
    assert np.array_equal(scan.volume.data[0], array)
    assert np.linalg.norm(where_is_the_marker(scan.volume.data[0], scan.volume.affine) - MARKER_MM) < 3
    assert not scan.warnings


@pytest.mark.parametrize("code", ["RAS", "LPS", "PIR", "LIA", "ASL", "RSP"])
@pytest.mark.parametrize("tilt", [0.0, 0.25])
def test_dicom_of_all_three_kinds_keeps_the_marker_in_its_place(tmp_path: Path, code: str, tilt: float):
    affine, shape = an_affine(code, tilt=tilt)
    array = marked(affine, shape)
    files = classic(array, affine)
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for place in np.random.default_rng(3).permutation(len(files)):  # names tell nothing of the order
            path = save(files[place], tmp_path / "slice.dcm")
            archive.write(path, f"a/{hash(('x', int(place)))}.dcm")
    save(enhanced(array, affine), tmp_path / "enhanced.dcm")
    for name in ("series.zip", "enhanced.dcm"):
        scan = read_scan(tmp_path / name, LIMITS)
        found = where_is_the_marker(scan.volume.data[0], scan.volume.affine)
        assert np.linalg.norm(found - MARKER_MM) < 3, name
        assert np.allclose(sorted(scan.spacing), [2, 2.5, 3], atol=1e-3), name
        assert scan.facts["modality"] == "MR" and scan.facts["sequence"] == "T1w" and scan.facts["slices"] == shape[2]
        assert float(scan.volume.data.max()) == (900 if name == "series.zip" else 1797)


def test_mosaic_is_cut_into_slices(tmp_path: Path):
    affine, shape = an_affine("LPS")
    affine[:3, 2] = np.cross(affine[:3, 0] / 2, affine[:3, 1] / 2.5) * 3.0  # a mosaic's slices follow its normal
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    array = marked(affine, shape)
    save(mosaic(array, affine), tmp_path / "mosaic.dcm")
    scan = read_scan(tmp_path / "mosaic.dcm", LIMITS)
    assert scan.shape == shape
    assert np.linalg.norm(where_is_the_marker(scan.volume.data[0], scan.volume.affine) - MARKER_MM) < 3
