"""Files that lie, break off, or are something else: a clear refusal each, in bounded memory, with nothing written."""

from __future__ import annotations

import copy
import gzip
import io
import os
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import generate_uid

from infra.errors import CorruptFile, InvalidInput, NotFound, TooLarge, UnsupportedFormat
from infra.settings import Imaging
from serving.volume import list_series, read_scan
from tests.dicoms import SECRETS, classic, enhanced, save

LIMITS = Imaging(max_voxels=10_000_000, max_unpacked_mb=50, max_files=200)
SHAPE = (20, 22, 24)


def an_array(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, shape).astype(np.int16)


def nifti_bytes(array: np.ndarray | None = None, **header: object) -> bytes:
    image = nib.Nifti1Image(an_array() if array is None else array, np.diag([2, 2, 2, 1]))
    raw = bytearray(image.to_bytes())
    patched = nib.Nifti1Header(bytes(raw[:348]), check=False)
    for name, value in header.items():
        patched[name] = value
    raw[:348] = patched.binaryblock
    return bytes(raw)


def zipped(members: dict[str, bytes], **kind: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind.get("method", zipfile.ZIP_DEFLATED)) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def dicom_bytes(**changes: object) -> bytes:
    data = classic(an_array((16, 16, 1)).astype(np.uint16), np.diag([2.0, 2, 2, 1]))[0]
    for name, value in changes.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def huge_dims() -> bytes:
    return nifti_bytes(dim=[3, 2000, 1300, 1000, 1, 1, 1, 1], datatype=4, bitpix=16)


def symlink_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


def lying_zip() -> bytes:
    """A member that claims 3 GB."""
    raw = bytearray(zipped({"a": b"x" * 1000}))
    place = raw.rfind(b"PK\x01\x02")
    raw[place + 24 : place + 28] = struct.pack("<I", 3_000_000_000)
    return bytes(raw)


def many_files_zip() -> bytes:
    return zipped({f"f{number}": b"x" for number in range(300)})


def long_directory_zip() -> bytes:
    raw = bytearray(zipped({"a": b"x"}))
    place = raw.rfind(b"PK\x05\x06")
    raw[place + 12 : place + 16] = struct.pack("<I", 500_000_000)
    return bytes(raw)


def encrypted_zip() -> bytes:
    raw = bytearray(zipped({"a": b"x" * 100}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.find(mark) + place] |= 1
    return bytes(raw)


CASES: dict[str, tuple[Callable[[], bytes], type[Exception], str]] = {
    "empty": (lambda: b"", CorruptFile, "empty"),
    "text": (lambda: b"patient,age\nZaphod,42\n" * 40, UnsupportedFormat, "text file"),
    "gzipped text": (lambda: gzip.compress(b"hello there\n" * 100), UnsupportedFormat, "text file"),
    "web page": (lambda: b"<!DOCTYPE html><html>404</html>" * 20, UnsupportedFormat, "web page"),
    "noise": (lambda: np.random.default_rng(5).bytes(5000), UnsupportedFormat, "no kind of scan"),
    "pdf": (lambda: b"%PDF-1.7\n" + b"\0" * 500, UnsupportedFormat, "PDF"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 500, UnsupportedFormat, "PNG"),
    "short": (lambda: nifti_bytes()[:200], UnsupportedFormat, "no kind of scan"),
    "cut off": (lambda: nifti_bytes()[:8000], CorruptFile, "cannot hold"),
    "cut off gzip": (lambda: gzip.compress(nifti_bytes())[:9000], CorruptFile, "cut off"),
    "gzip with a wrong checksum": (lambda: gzip.compress(nifti_bytes())[:-8] + b"\0" * 8, CorruptFile, "damaged"),
    "gzip that ends early": (lambda: gzip.compress(nifti_bytes()[:9000]), CorruptFile, "ends early"),
    "gzip damaged inside": (lambda: (lambda raw: raw[:4000] + b"\xff" * 500 + raw[4500:])(gzip.compress(nifti_bytes())), CorruptFile, "."),
    "empty gzip": (lambda: gzip.compress(b""), CorruptFile, "nothing in it"),
    "gzip in a gzip": (lambda: gzip.compress(gzip.compress(nifti_bytes())), UnsupportedFormat, "gzip inside a gzip"),
    "5 GB claimed": (huge_dims, CorruptFile, "5.2 GB"),
    "5 GB claimed in a gzip": (lambda: gzip.compress(huge_dims()), CorruptFile, "5.2 GB"),
    "bomb: zeros behind an honest header": (
        lambda: gzip.compress(nifti_bytes(dim=[3, 300, 300, 300, 1, 1, 1, 1])[:352] + bytes(60_000_000)), TooLarge, "27 million voxels",
    ),
    "no dimensions": (lambda: nifti_bytes(dim=[0, 0, 0, 0, 0, 0, 0, 0]), CorruptFile, "dimensions"),
    "negative size": (lambda: nifti_bytes(dim=[3, -5, 20, 20, 1, 1, 1, 1]), CorruptFile, "impossible sizes"),
    "flat": (lambda: nifti_bytes(an_array((40, 40, 1))[:, :, 0]), InvalidInput, "flat picture"),
    "4-D": (lambda: nifti_bytes(an_array((10, 10, 10, 7))), InvalidInput, "volume_index"),
    "5-D": (lambda: nifti_bytes(an_array((8, 8, 8, 1, 3))), InvalidInput, "5 dimensions"),
    "complex": (lambda: nifti_bytes(an_array().astype(np.complex64)), UnsupportedFormat, "complex"),
    "colours": (
        lambda: nifti_bytes(np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])), UnsupportedFormat, "colours",
    ),
    "strange type": (lambda: nifti_bytes(datatype=4095), CorruptFile, "kind of voxel"),
    "offset": (lambda: nifti_bytes(vox_offset=np.float32("nan")), CorruptFile, "first voxel"),
    "no geometry": (
        lambda: nifti_bytes(sform_code=0, qform_code=0, pixdim=[1, 0, 0, 0, 1, 1, 1, 1]), CorruptFile, "geometry",
    ),
    "constant": (lambda: nifti_bytes(np.full(SHAPE, 7, np.int16)), InvalidInput, "same value"),
    "not a number": (lambda: nifti_bytes(np.full(SHAPE, np.nan, np.float32)), InvalidInput, "not a number"),
    "half of a pair": (lambda: nifti_bytes(magic=b"ni1"), UnsupportedFormat, "pair"),
    "NRRD without end": (lambda: b"NRRD0005\ntype: short\ndimension: 3\n", CorruptFile, "does not end"),
    "NRRD elsewhere": (
        lambda: b"NRRD0005\ntype: short\ndimension: 3\nsizes: 4 4 4\nendian: little\nencoding: raw\ndata file: ../../etc/passwd\n\n",
        UnsupportedFormat, "another file",
    ),
    "NRRD claims": (
        lambda: b"NRRD0005\ntype: short\ndimension: 3\nsizes: 2000 2000 2000\nendian: little\nencoding: raw\n\n" + b"\0" * 100,
        CorruptFile, "GB",
    ),
    "MGH claims": (lambda: struct.pack(">7ih", 1, 3000, 3000, 3000, 1, 3, 0, 1) + bytes(400), CorruptFile, "GB"),
    "DICOM: one slice": (dicom_bytes, InvalidInput, "one slice"),
    "DICOM: cut off header": (lambda: dicom_bytes()[:400], CorruptFile, "DICOM"),
    "DICOM: no place": (lambda: dicom_bytes(ImagePositionPatient=None), InvalidInput, "where its slices lie"),
    "DICOM: CT": (lambda: dicom_bytes(Modality="CT"), UnsupportedFormat, "computed tomography"),
    "DICOM: colours": (lambda: dicom_bytes(SamplesPerPixel=3), InvalidInput, "colour"),
    "DICOM: claims": (lambda: dicom_bytes(Rows=60000, Columns=60000), TooLarge, "million voxels"),
    "zip: empty": (lambda: zipped({}), InvalidInput, "no files"),
    "zip: leads outside": (lambda: zipped({"../../evil.dcm": dicom_bytes()}), InvalidInput, "outside"),
    "zip: from the root": (lambda: zipped({"/etc/evil.dcm": dicom_bytes()}), InvalidInput, "outside"),
    "zip: windows": (lambda: zipped({"..\\..\\evil.dcm": dicom_bytes()}), InvalidInput, "outside"),
    "zip: link": (symlink_zip, InvalidInput, "links"),
    "zip: bomb": (lambda: zipped({f"z{n}": bytes(20_000_000) for n in range(3)}), TooLarge, "Unpacked"),
    "zip: one lying member": (lying_zip, CorruptFile, "claims more"),
    "zip: many files": (many_files_zip, TooLarge, "300 files"),
    "zip: long directory": (long_directory_zip, TooLarge, "files"),
    "zip: encrypted": (encrypted_zip, InvalidInput, "password"),
    "zip: cut off": (lambda: zipped({"a": np.random.default_rng(1).bytes(9000)})[:5000], CorruptFile, "cut off"),
    "zip: nested": (lambda: zipped({"inner.zip": zipped({"a.dcm": dicom_bytes()})}), InvalidInput, "another zip"),
    "zip: texts": (lambda: zipped({"a.txt": b"x" * 50, "b.txt": b"y" * 50}), InvalidInput, "no scan"),
    "zip: two scans": (lambda: zipped({"a.nii": nifti_bytes(), "b.nii": nifti_bytes()}), InvalidInput, "2 scans"),
    "zip: broken DICOM": (lambda: zipped({"a.dcm": dicom_bytes()[:400]}), CorruptFile, "DICOM"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_is_refused_by_name_without_a_trace(tmp_path: Path, case: str):
    make, kind, words = CASES[case]
    path = tmp_path / "scan.nii.gz"  # always the same name: it is the content that tells
    path.write_bytes(make())
    before = sorted(tmp_path.iterdir())
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput) as caught:
            read_scan(path, LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    error = caught.value
    assert type(error) is kind, error.message
    assert words in error.message and error.message.endswith(".")
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    assert str(tmp_path) not in error.message and not any(secret in str(error.as_dict()) for secret in SECRETS)
    assert peak < 40e6, f"{peak / 1e6:.0f} MB"
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_file_a_pipe_and_an_empty_folder(tmp_path: Path):
    with pytest.raises(NotFound):
        read_scan(tmp_path / "nothing.nii", LIMITS)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="plain file"):
        read_scan(tmp_path / "pipe", LIMITS)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="no files"):
        read_scan(tmp_path / "folder", LIMITS)


def test_an_unforeseen_failure_is_a_sentence_and_its_words_are_not_logged(tmp_path: Path, monkeypatch, capsys, caplog):
    (tmp_path / "scan.nii").write_bytes(nifti_bytes())

    def fail(*_: object, **__: object) -> None:
        raise KeyError(SECRETS[0])

    monkeypatch.setattr("serving.volume.read.read_nifti", fail)
    with pytest.raises(CorruptFile) as caught:
        read_scan(tmp_path / "scan.nii", LIMITS)
    told = capsys.readouterr()
    assert SECRETS[0] not in caught.value.message + caplog.text + told.out + told.err


def test_a_volume_of_a_series_on_request(tmp_path: Path):
    array = an_array((10, 11, 12, 3))
    (tmp_path / "series.nii.gz").write_bytes(gzip.compress(nifti_bytes(array)))
    scan = read_scan(tmp_path / "series.nii.gz", LIMITS, volume_index=2)
    assert np.array_equal(scan.volume.data[0], array[..., 2]) and "Volume 2 of 3" in scan.warnings[0]
    with pytest.raises(InvalidInput) as caught:
        read_scan(tmp_path / "series.nii.gz", LIMITS, volume_index=3)
    assert caught.value.details == {"volumes": 3}


def test_values_that_are_no_numbers_are_told(tmp_path: Path):
    array = an_array().astype(np.float32)
    array[0, 0, :5] = np.nan
    array[1, 0, 0] = np.inf
    (tmp_path / "scan.nii").write_bytes(nifti_bytes(array))
    scan = read_scan(tmp_path / "scan.nii", LIMITS)
    assert np.isfinite(scan.volume.data).all() and scan.warnings[0].startswith("6 voxels")


def test_a_broken_sform_gives_way_to_a_sound_qform(tmp_path: Path):
    (tmp_path / "scan.nii").write_bytes(nifti_bytes(sform_code=1, srow_x=[0, 0, 0, 0], qform_code=1))
    scan = read_scan(tmp_path / "scan.nii", LIMITS)
    assert "sform" in scan.warnings[0] and scan.spacing == pytest.approx((2, 2, 2))


def test_identifiers_of_a_dicom_are_nowhere(tmp_path: Path):
    array = an_array((30, 32, 34)).astype(np.uint16)
    save(enhanced(array, np.diag([2.0, 2, 2, 1])), tmp_path / "Beeblebrox.dcm")
    scan = read_scan(tmp_path / "Beeblebrox.dcm", LIMITS, name="scan")
    everything = repr((scan.facts, scan.warnings, scan.format, scan.name)) + repr(scan.header.binaryblock)
    for secret in (*SECRETS, "Zaphod", "1.2.3.4", "20240229", "Beeblebrox"):
        assert secret not in everything


def test_missing_slices_and_unequal_positions_are_told(tmp_path: Path):
    files = classic(an_array((16, 16, 12)).astype(np.uint16), np.diag([2.0, 2, 2, 1]))
    for name, chosen, words in (
        ("gap", files[:5] + files[7:], "2 slices are missing"),
        ("twice", [*files, other_pixels(new_again(files[3]))], "incomplete"),
    ):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for number, data in enumerate(chosen):
                archive.write(save(data, tmp_path / "x.dcm"), f"{number}")
        with pytest.raises(InvalidInput, match=words):
            read_scan(tmp_path / f"{name}.zip", LIMITS)


def other_pixels(data):
    data.PixelData = bytes(len(data.PixelData))
    return data


def new_again(data):
    """The same slice as another instance."""
    again = copy.deepcopy(data)
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return again


def test_of_several_series_the_structural_one_is_read_and_the_others_are_told(tmp_path: Path):
    head = classic(an_array((64, 64, 60)).astype(np.uint16), np.diag([3.0, 3, 3, 1]), series_uid="1.9.1", description="t1_mprage")
    thick = classic(
        an_array((64, 64, 20)).astype(np.uint16), np.diag([3.0, 3, 8, 1]), series_uid="1.9.2", description="t2_tse", SeriesNumber=4
    )
    scout = classic(
        an_array((64, 64, 3)).astype(np.uint16), np.diag([3.0, 3, 10, 1]), series_uid="1.9.3", description="localizer", SeriesNumber=1
    )
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for number, data in enumerate([*scout, *thick, *head]):
            archive.write(save(data, tmp_path / "x.dcm"), f"IM{number}")
        archive.writestr("README.txt", "hello")
        archive.writestr("DICOMDIR", "hello")
    scan = read_scan(tmp_path / "study.zip", LIMITS)
    assert scan.shape == (64, 64, 60) and scan.volume.channels == ("T1w",)
    assert scan.warnings[0].startswith("3 series were sent; series 2 was read (the best structural one). The others: series 1")
    assert read_scan(tmp_path / "study.zip", LIMITS, series=3).facts["sequence"] == "T2w"
    with pytest.raises(InvalidInput) as caught:
        read_scan(tmp_path / "study.zip", LIMITS, series=9)
    assert [choice["slices"] for choice in caught.value.details["series"]] == [3, 60, 20]
    assert [choice["best"] for choice in list_series(tmp_path / "study.zip", LIMITS)] == [False, True, False]


def test_the_magnitude_is_read_where_phase_comes_along(tmp_path: Path):
    affine = np.diag([2.0, 2, 2, 1])
    first = classic(an_array((16, 16, 12)).astype(np.uint16), affine)
    phase = classic(an_array((16, 16, 12)).astype(np.uint16) + 5, affine, ImageType=["ORIGINAL", "PRIMARY", "P", "ND"])
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        for number, data in enumerate([*phase, *first]):
            archive.write(save(data, tmp_path / "x.dcm"), f"{number}")
    scan = read_scan(tmp_path / "both.zip", LIMITS)
    assert np.array_equal(scan.volume.data[0], an_array((16, 16, 12))) and "the magnitude was read" in scan.warnings[0]
