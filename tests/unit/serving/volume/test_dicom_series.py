"""DICOM series as scanners, archives and anonymisers leave them: small inconsistencies do not split or refuse them."""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from infra.errors import InvalidInput
from infra.settings import Imaging
from serving.volume import ScanFile, read_scan
from tests.dicoms import classic, new_dataset, save

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


def changed(files: list[FileDataset], **how: Callable[[int], object]) -> list[FileDataset]:
    """The same files with elements set by slice number."""
    for number, data in enumerate(files):
        for name, value in how.items():
            setattr(data, name, value(number))
    return files


def again(data: FileDataset) -> FileDataset:
    """The same slice as another instance."""
    copied = copy.deepcopy(data)
    copied.SOPInstanceUID = copied.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return copied


def is_whole(scan: ScanFile) -> bool:
    return bool(np.array_equal(scan.volume.data[0], ARRAY) and np.allclose(scan.spacing, (2, 2, 3), atol=0.01))


JITTER = np.random.default_rng(4).normal(size=(len(ARRAY[0, 0]), 6))


def test_jitter_of_directions_positions_and_echo_times_is_one_series(tmp_path: Path):
    tilted = [[np.cos(0.005), np.sin(0.005), 0, 0, 1, 0][part] for part in range(6)]  # on the border of two decimals
    scan = read(
        tmp_path,
        changed(
            classic(ARRAY, AFFINE),
            ImageOrientationPatient=lambda n: [f"{value + 3e-6 * noise:.12f}" for value, noise in zip(tilted, JITTER[n], strict=True)],
            ImagePositionPatient=lambda n: ["0", "0", f"{3 * n + 0.02 * np.clip(JITTER[n, 0], -1, 1):.6f}"],
            EchoTime=lambda n: 3 + 0.004 * (n % 5),
        ),
    )
    assert is_whole(scan) and len(scan.warnings) == 0


@pytest.mark.parametrize(
    "how",
    [
        {"EchoTime": lambda n: 3.0 + 2 * (n % 2)},
        {"SeriesInstanceUID": lambda n: f"1.2.9.{n % 2}"},
        {"SeriesInstanceUID": lambda n: f"1.2.9.{n}", "FrameOfReferenceUID": lambda n: f"1.2.8.{n}"},
        {"EchoTime": lambda n: 3.0 + n},
    ],
    ids=["two echo times", "two series", "a series a slice", "an echo time a slice"],
)
def test_groups_that_interleave_at_one_spacing_are_one_volume(tmp_path: Path, how: dict):
    scan = read(tmp_path, changed(classic(ARRAY, AFFINE), **how))
    assert is_whole(scan)
    assert any("read as one series" in text for text in scan.warnings) == ("SeriesInstanceUID" in how)


def test_two_echoes_of_every_slice_stay_two_volumes_and_the_advice_names_the_option(tmp_path: Path):
    files = classic(ARRAY, AFFINE) + classic(ARRAY // 2, AFFINE, EchoTime=5.0)
    with pytest.raises(InvalidInput, match=r"`--volume N` .*\(0 to 1\)"):
        read(tmp_path, files)
    assert np.array_equal(read(tmp_path, files, volume_index=1).volume.data[0], ARRAY // 2)


def test_two_series_of_one_slab_each_stay_two(tmp_path: Path):
    files = changed(classic(ARRAY, AFFINE), SeriesInstanceUID=lambda n: f"1.2.9.{n // 6}")
    assert read(tmp_path, files).shape == (16, 18, 6)


def test_positions_of_two_frames_of_reference_are_not_mixed(tmp_path: Path):
    files = changed(classic(ARRAY, AFFINE), FrameOfReferenceUID=lambda n: f"1.2.8.{n // 6}")
    scan = read(tmp_path, files)
    assert scan.shape == (16, 18, 6) and scan.warnings[0].startswith("2 series were sent")


@pytest.mark.parametrize("which", [slice(0, 3), slice(None)], ids=["some slices", "all slices"])
def test_identical_copies_are_left_out_and_counted(tmp_path: Path, which: slice):
    files = classic(ARRAY, AFFINE)
    scan = read(tmp_path, [*files, *(again(data) for data in files[which])])
    assert is_whole(scan) and scan.warnings == (f"{len(files[which])} slices had an identical copy, which was left out.",)


def test_blank_slices_of_a_series_of_volumes_are_no_copies(tmp_path: Path):
    first, second = ARRAY.copy(), ARRAY // 2
    first[..., 0] = second[..., 0] = 0
    scan = read(tmp_path, classic(first, AFFINE) + changed(classic(second, AFFINE), AcquisitionNumber=lambda _: 2), volume_index=0)
    assert scan.shape == ARRAY.shape and np.array_equal(scan.volume.data[0], first)


def test_broken_uids_are_named_and_the_series_is_read(tmp_path: Path):
    same = read(tmp_path, changed(classic(ARRAY, AFFINE), SOPInstanceUID=lambda _: "1.2.3.4.5"))
    assert is_whole(same) and "SOPInstanceUID is the same in several slices" in same.warnings[0] and same.source is None
    invalid = read(tmp_path, changed(classic(ARRAY, AFFINE), SeriesInstanceUID=lambda _: "anon.series", StudyInstanceUID=lambda _: ""))
    assert is_whole(invalid)
    assert [text.split(" in ")[0] for text in invalid.warnings] == ["SeriesInstanceUID is not a valid UID", "StudyInstanceUID is missing"]
    assert "anon" not in " ".join(invalid.warnings)


def without_pixels(kind: str, modality: str) -> FileDataset:
    data = new_dataset(kind)
    data.Modality = modality
    del data.SamplesPerPixel, data.BitsAllocated
    return data


def test_reports_presentation_states_and_screenshots_beside_images_are_skipped_with_a_note(tmp_path: Path):
    report = without_pixels("1.2.840.10008.5.1.4.1.1.88.22", "SR")
    state = without_pixels("1.2.840.10008.5.1.4.1.1.11.1", "PR")
    [screenshot, *_] = classic(ARRAY, AFFINE, Modality="SC", series_uid="1.2.7")
    scan = read(tmp_path, [report, *classic(ARRAY, AFFINE), state, screenshot])
    assert is_whole(scan)
    assert scan.warnings == (
        "2 DICOM files without images were skipped (structured reports, presentation states and the like).",
        "1 file is not an MR image and was skipped.",
    )
    with pytest.raises(InvalidInput, match="no DICOM picture"):
        read(tmp_path, [report, state])
