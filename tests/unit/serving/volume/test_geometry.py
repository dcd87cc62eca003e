"""Headers that contradict themselves: qfac, units, sform, qform and pixdim."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from infra.settings import Imaging
from serving.volume import ScanFile, read_scan, write_labels
from serving.volume.geometry import sizes_uncertain

LIMITS = Imaging()
SHAPE = (20, 22, 24)
SCANNER = np.array([[2.0, 0, 0, -20], [0, 2, 0, -22], [0, 0, 2, -24], [0, 0, 0, 1]])


def scan_of(folder: Path, *, sform: np.ndarray | None = None, sform_code: int = 0, qform_code: int = 1, **fields: object) -> ScanFile:
    """A NIfTI with the scanner's qform, an sform and header fields as given, read back."""
    header = nib.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_data_dtype(np.int16)
    header.set_qform(SCANNER, code=qform_code)
    header.set_sform(SCANNER if sform is None else sform, code=sform_code)
    header.set_xyzt_units("mm")
    for name, value in fields.items():
        header[name] = value
    header["vox_offset"], header["magic"] = 352, b"n+1"
    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")
    path = folder / "scan.nii"
    path.write_bytes(header.binaryblock + bytes(4) + voxels.tobytes(order="F"))
    return read_scan(path, LIMITS)


@pytest.mark.parametrize(("qfac", "side"), [(0.0, 1), (1.0, 1), (-1.0, -1), (7.0, 1), (np.nan, 1)])
def test_qfac_is_one_unless_negative(tmp_path: Path, qfac: float, side: int):
    scan = scan_of(tmp_path, pixdim=[qfac, 2, 2, 2, 1, 1, 1, 1])
    assert scan.orientation == ("RAS" if side > 0 else "RAI") and not scan.warnings
    assert np.sign(np.linalg.det(scan.volume.affine[:3, :3])) == side


@pytest.mark.parametrize(("unit", "factor", "name"), [(1, 1e-3, "metres"), (3, 1e3, "micrometres")])
@pytest.mark.parametrize("form", ["sform", "qform"])
def test_metres_and_micrometres_become_millimetres(tmp_path: Path, unit: int, factor: float, name: str, form: str):
    stored = SCANNER * np.array([[factor]] * 3 + [[1]])
    scan = scan_of(
        tmp_path, sform=stored, sform_code=form == "sform", qform_code=int(form == "qform"), xyzt_units=unit,
        pixdim=[1, 2 * factor, 2 * factor, 2 * factor, 1, 1, 1, 1], qoffset_x=-20 * factor, qoffset_y=-22 * factor, qoffset_z=-24 * factor,
    )  # fmt: skip
    assert np.allclose(scan.volume.affine, SCANNER, atol=1e-4) and name in scan.warnings[0]
    write_labels(tmp_path / "labels.nii.gz", np.zeros(SHAPE, np.int16), scan.header)
    again = nib.load(tmp_path / "labels.nii.gz")
    assert np.allclose(again.affine, SCANNER, atol=1e-4) and again.header.get_xyzt_units()[0] == "mm"


def test_a_unit_that_makes_no_sense_for_a_head_is_ignored_and_reported(tmp_path: Path):
    scan = scan_of(tmp_path, xyzt_units=1)
    assert scan.spacing == pytest.approx((2, 2, 2)) and "millimetres were assumed" in scan.warnings[0]


@pytest.mark.parametrize("code", [3, 4, 5])
def test_a_template_space_never_changes_volumes_where_the_scanner_wrote_a_qform(tmp_path: Path, code: int):
    stretched = SCANNER @ np.diag([1.2, 1.15, 1.1, 1])
    scan = scan_of(tmp_path, sform=stretched, sform_code=code, qform_code=1)
    assert scan.volume.voxel_ml == pytest.approx(0.008) and np.allclose(scan.volume.affine, SCANNER)
    assert "template" in scan.warnings[0]
    assert not sizes_uncertain(scan.warnings[0])
    write_labels(tmp_path / "labels.nii.gz", np.zeros(SHAPE, np.int16), scan.header)
    assert np.allclose(nib.load(tmp_path / "labels.nii.gz").affine, SCANNER)


def test_a_template_space_is_used_where_it_is_all_there_is(tmp_path: Path):
    scan = scan_of(tmp_path, sform=SCANNER @ np.diag([1.2, 1, 1, 1]), sform_code=4, qform_code=0)
    assert scan.spacing == pytest.approx((2.4, 2, 2)) and sizes_uncertain(scan.warnings[0])


@pytest.mark.parametrize(("stretch", "told"), [(1.005, False), (1.02, True), (0.9, True)])
@pytest.mark.parametrize("qform_code", [0, 1])
def test_sizes_that_differ_by_more_than_a_percent_are_reported(tmp_path: Path, stretch: float, told: bool, qform_code: int):
    scan = scan_of(tmp_path, sform=SCANNER @ np.diag([1, 1, stretch, 1]), sform_code=1, qform_code=qform_code)
    assert scan.spacing == pytest.approx((2, 2, 2 * stretch))
    assert [sizes_uncertain(text) for text in scan.warnings] == ([True] if told else [])
    assert not told or f"{abs(stretch - 1) * 100:.3g} %" in scan.warnings[0]


def test_two_orientations_of_the_scanner_that_are_turned_against_each_other_are_reported(tmp_path: Path):
    cos, sin = np.cos(0.2), np.sin(0.2)
    turn = np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert "rotation of 11 degrees" in scan_of(tmp_path, sform=turn @ SCANNER, sform_code=1).warnings[0]
    assert not scan_of(tmp_path, sform=turn @ SCANNER, sform_code=4).warnings  # a head aligned to a template is turned


def test_mirrored_orientations_ask_to_check_the_sides(tmp_path: Path):
    mirror = SCANNER * np.array([[-1], [1], [1], [1]])
    scan = scan_of(tmp_path, sform=mirror, sform_code=1)
    assert scan.orientation == "LAS" and "sides" in scan.warnings[0] and "sform was used" in scan.warnings[0]
