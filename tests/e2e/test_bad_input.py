"""What a workbench says to files that are no scans: a sentence and a failed job, never a stack trace, never a hang."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.running import House, RunningWorkbench


def nifti(array: np.ndarray, zooms: float = 1.0) -> bytes:
    return gzip.compress(nib.Nifti1Image(array, np.diag([zooms, zooms, zooms, 1.0])).to_bytes(), 1)


def huge_claim() -> bytes:
    """A header of 352 bytes that claims a volume of 5 GB."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    raw = bytearray(header.binaryblock)
    raw[40:56] = struct.pack("<8h", 3, 1100, 1100, 1100, 1, 1, 1, 1)
    raw[108:112] = struct.pack("<f", 352.0)
    return bytes(raw) + b"\0" * 4


def zip_slip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../../../tmp/workbench-zip-slip.dcm", b"\0" * 128 + b"DICM")
    return buffer.getvalue()


def truncated() -> bytes:
    whole = nifti(np.random.default_rng(0).normal(size=(64, 64, 64)).astype(np.float32))
    return whole[: len(whole) // 2]


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty file": ("empty.nii.gz", lambda: b""),
    "text named .nii.gz": ("notes.nii.gz", lambda: b"Dear colleague, please find attached ...\n" * 20),
    "truncated gzip": ("cut.nii.gz", truncated),
    "4-D series": ("bold.nii.gz", lambda: nifti(np.random.default_rng(0).normal(size=(40, 40, 20, 10)).astype(np.float32), 3.0)),
    "the 64x64x10 ramp": (
        "ramp.nii.gz",
        lambda: nifti(np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 10)).copy(), 3.0),
    ),
    "noise": ("noise.nii.gz", lambda: nifti(np.random.default_rng(0).normal(100, 20, size=(128, 128, 128)).astype(np.float32))),
    "a zip with ../ names": ("slip.zip", zip_slip),
    "5 GB claimed by a header": ("huge.nii", huge_claim),
    "a broken DICOM file": ("broken.dcm", lambda: b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\xff\xff\xff\xff" * 4),
}


@pytest.fixture
def workbench(house: House) -> RunningWorkbench:
    return house.workbench


def refusal(workbench: RunningWorkbench, path: Path) -> dict:
    """The error of `workbench analyze --json`, checked for what every refusal must be."""
    done = workbench.cli("analyze", str(path), "--json", timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["code"] != "internal", error
    assert len(error["message"]) > 20 and "Traceback" not in done.stdout + done.stderr, done.stderr
    assert error["correlation_id"]
    return error


@pytest.mark.parametrize("name", CASES)
def test_refused_with_a_sentence(workbench: RunningWorkbench, tmp_path: Path, name: str) -> None:
    filename, make = CASES[name]
    path = tmp_path / filename
    path.write_bytes(make())
    print(name, "->", refusal(workbench, path))
    with workbench.client as client:
        jobs = client.get("/jobs").json()["jobs"]
    mine = [job for job in jobs if job["input"].get("name") == filename]
    assert all(job["state"] == "failed" and job["error"]["message"] for job in mine), mine
    assert not Path("/tmp/workbench-zip-slip.dcm").exists()


def test_the_broken_files_of_the_development_data(workbench: RunningWorkbench, data: Path) -> None:
    mri = data / "mri"
    for path in (
        mri / "odd" / "minimal_64x64x10.nii.gz",
        mri / "odd" / "pcasl_4d.nii.gz",
        mri / "dicom" / "pydicom_emri_small_jpeg_2k_lossless_too_short.dcm",
        mri / "dicom" / "pydicom_bad_sequence.dcm",
    ):
        print(path.name, "->", refusal(workbench, path))
