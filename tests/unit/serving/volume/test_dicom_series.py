"""DICOM series as scanners, archives and anonymisers leave them: small inconsistencies do not split or refuse them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from infra.errors import InvalidInput
from infra.settings import Imaging
from serving.volume import ScanFile, read_scan
from tests.dicoms import classic, save

LIMITS = Imaging(max_voxels=10_000_000, max_unpacked_mb=50, max_files=400)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
ARRAY = np.random.default_rng(0).integers(0, 1000, (16, 18, 12)).astype(np.uint16)
ARRAY[0, 0, 0] = 0


def read(folder: Path, files: list[FileDataset], series: int | None = None, volume_index: int | None = None) -> ScanFile:
    with zipfile.ZipFile(folder / "series.zip", "w") as archive:
        for number, data in enumerate(files):
            archive.write(save(data, folder / "x.dcm"), f"IM{number:04d}")
    return read_scan(folder / "series.zip", LIMITS, series=series, volume_index=volume_index)


@pytest.mark.parametrize("slope", [1, 2])
def test_white_as_the_lowest_value_is_inverted(tmp_path: Path, slope: int):
    files = classic(ARRAY.max() - ARRAY, AFFINE, PhotometricInterpretation="MONOCHROME1", RescaleSlope=slope, RescaleIntercept=-3)
    assert np.array_equal(read(tmp_path, files).volume.data[0], slope * ARRAY.astype(np.float32))


def test_slices_of_both_photometric_interpretations_are_refused(tmp_path: Path):
    files = classic(ARRAY, AFFINE)
    files[3].PhotometricInterpretation = "MONOCHROME1"
    with pytest.raises(InvalidInput, match="MONOCHROME1"):
        read(tmp_path, files)


@pytest.mark.parametrize("position", ["HFS", "FFP"])
def test_the_patients_position_is_a_fact_and_turns_nothing(tmp_path: Path, position: str):
    scan = read(tmp_path, classic(ARRAY, AFFINE, PatientPosition=position))
    assert scan.facts["patient_position"] == position and np.allclose(scan.volume.affine[:3, :3], AFFINE[:3, :3])
    assert "patient_position" not in read(tmp_path, classic(ARRAY, AFFINE, PatientPosition="Zaphod")).facts
