"""Good files with some bytes changed: they read, or they are refused by a sentence; nothing else ever happens."""

from __future__ import annotations

import gzip
import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.errors import CorruptFile, InvalidInput
from infra.settings import Imaging
from serving.volume import read_scan
from serving.volume.read import UNFORESEEN
from tests.dicoms import classic, enhanced, mosaic

LIMITS = Imaging(max_voxels=3_000_000, max_unpacked_mb=20, max_files=100)
KINDS = ("nifti", "nifti.gz", "nifti2", "mgh", "mgz", "nrrd", "nrrd.gz", "enhanced", "mosaic", "zip")


@cache
def good(kind: str) -> bytes:
    array = np.random.default_rng(0).integers(0, 900, (9, 8, 7)).astype(np.uint16)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    if kind in ("nifti", "nifti.gz"):
        raw = nib.Nifti1Image(array, affine).to_bytes()
        return gzip.compress(raw, mtime=0) if kind.endswith("gz") else raw
    if kind == "nifti2":
        return nib.Nifti2Image(array, affine).to_bytes()
    if kind in ("mgh", "mgz"):
        raw = nib.MGHImage(array.astype(np.int16), affine).to_bytes()
        return gzip.compress(raw, mtime=0) if kind == "mgz" else raw
    if kind.startswith("nrrd"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.nrrd"
            header = {
                "space": "LPS",
                "space directions": np.eye(3),
                "space origin": [0, 0, 0],
                "encoding": "gzip" if kind.endswith("gz") else "raw",
            }
            nrrd.write(str(path), array.astype(np.int16), header)
            return path.read_bytes()
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, data in enumerate(classic(array, affine)):
                one = io.BytesIO()
                data.save_as(one, enforce_file_format=True)
                archive.writestr(f"{number}.dcm", one.getvalue())
        return out.getvalue()
    {"enhanced": enhanced, "mosaic": mosaic}[kind](array, affine).save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_one_reads(tmp_path: Path, kind: str):
    (tmp_path / "scan").write_bytes(good(kind))
    assert sorted(read_scan(tmp_path / "scan", LIMITS).shape) == [7, 8, 9]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(tmp_path: Path, kind: str, data: st.DataObject):
    raw = bytearray(good(kind))
    # Most changes where headers are: what they hit in the voxels is only another picture.
    places = st.integers(0, min(len(raw) - 1, 2000)) | st.integers(0, len(raw) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        raw[place] = value
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    path = tmp_path / "scan"
    path.write_bytes(bytes(raw))
    try:
        scan = read_scan(path, LIMITS)
    except InvalidInput as error:
        assert error.message.endswith(".") and len(error.message) < 700
        assert error.__cause__ is None and error.message != UNFORESEEN
        return
    assert np.isfinite(scan.volume.data).all() and np.isfinite(scan.volume.affine).all()
    assert abs(np.linalg.det(scan.volume.affine[:3, :3])) > 0


@pytest.mark.parametrize("value", [b"A", b"\x00"])
def test_rows_that_are_no_number_are_damage(tmp_path: Path, value: bytes):
    raw = bytearray(good("mosaic"))
    tag = raw.index(b"\x28\x00\x10\x00US")  # (0028,0010), Rows: of another kind now, so its bytes are read otherwise
    raw[tag + 4 : tag + 5] = value
    (tmp_path / "scan").write_bytes(raw)
    with pytest.raises(InvalidInput) as refused:
        read_scan(tmp_path / "scan", LIMITS)
    assert refused.value.message != UNFORESEEN


def test_a_member_without_a_name_is_damage(tmp_path: Path):
    raw = bytearray(good("zip"))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        name = archive.infolist()[-1].filename.encode()
    raw[raw.rindex(name)] = 0  # zipfile cuts a name at its first zero byte
    (tmp_path / "scan").write_bytes(raw)
    with pytest.raises(CorruptFile, match="without a name"):
        read_scan(tmp_path / "scan", LIMITS)
