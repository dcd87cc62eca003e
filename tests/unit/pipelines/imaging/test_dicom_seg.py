"""The DICOM SEG, read back: it refers to its series, its segments lie where the labels lie, and nobody is named in it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from infra.settings import Settings, load_settings
from pipelines.imaging import analyze
from pipelines.imaging.coded_terms import coded
from pipelines.imaging.dicom_seg import write_dicom_seg
from pipelines.imaging.labels import LABELS
from pipelines.imaging.report import ReportModel
from serving.roles import Roles
from serving.volume import read_scan
from serving.volume.dicom.source import SourceNote
from tests.dicoms import SECRETS, classic, enhanced, mosaic, save
from tests.heads import EllipsoidSegmentation, grid, head_labels, head_picture

MODEL = ReportModel(role="segmentation", name="ellipsoids", version="3", digest="ab" * 32, backend="numpy", device="cpu")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


def turned(affine: np.ndarray, degrees: float = 12.0) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def write_series(folder: Path, kind: str) -> tuple[Path, np.ndarray, list[pydicom.Dataset]]:
    """A series as a zip or a file, its affine, and what it was made of. Oblique; slices are stored out of order."""
    shape, affine = grid(8.0)
    affine = turned(affine)
    picture = head_picture(head_labels(shape, affine)).astype(np.uint16)
    if kind != "classic":
        data = {"enhanced": enhanced, "mosaic": mosaic}[kind](picture, affine)
        data.FrameOfReferenceUID = "1.2.3.99"
        return save(data, folder / "one.dcm"), affine, [data]
    slices = classic(picture, affine, FrameOfReferenceUID="1.2.3.99")
    path = folder / "series.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, data in enumerate(reversed(slices)):
            archive.write(save(data, folder / "slice"), f"{number}.dcm")
    return path, affine, slices


@pytest.mark.parametrize("kind", ["classic", "enhanced", "mosaic"])
def test_it_refers_to_its_series_and_lies_where_the_labels_lie(tmp_path: Path, kind: str) -> None:
    path, _, made = write_series(tmp_path, kind)
    scan = read_scan(path)
    assert scan.source is not None
    np.testing.assert_allclose(scan.source.affine, scan.volume.affine, atol=1e-3)
    labels = head_labels(scan.shape, scan.volume.affine, [((-18.0, -5.0, 28.0), 14.0)])
    note = SourceNote.from_dict(json.loads(json.dumps(scan.source.as_dict())))
    write_dicom_seg(tmp_path / "seg.dcm", labels, note, MODEL, version="0.1.0")

    seg = hd.seg.segread(tmp_path / "seg.dcm")
    assert seg.StudyInstanceUID == made[0].StudyInstanceUID and seg.FrameOfReferenceUID == "1.2.3.99"
    assert seg.SeriesInstanceUID != made[0].SeriesInstanceUID and seg.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    referenced = {item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == made[0].SeriesInstanceUID
    assert referenced == {data.SOPInstanceUID for data in made}
    if kind != "mosaic":
        derived = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
        assert derived.ReferencedSOPInstanceUID in referenced

    present = sorted(int(id) for id in np.unique(labels) if id)
    assert [segment.tracking_id.split()[1] for segment in map(seg.get_segment_description, seg.segment_numbers)] == [
        str(id) for id in present
    ]
    volume = seg.get_volume(combine_segments=True)
    back = np.zeros_like(labels)
    to_scan = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.volume.affine) @ volume.affine
    for place in np.argwhere(volume.array):
        i, j, k = np.round((to_scan @ [*place, 1])[:3]).astype(int)
        back[i, j, k] = present[volume.array[tuple(place)] - 1]
    np.testing.assert_array_equal(back, labels)


def test_segments_have_coded_terms_sides_and_colours(tmp_path: Path) -> None:
    path, *_ = write_series(tmp_path, "classic")
    scan = read_scan(path)
    labels = head_labels(scan.shape, scan.volume.affine, [((-18.0, -5.0, 28.0), 14.0)])
    assert scan.source
    write_dicom_seg(tmp_path / "seg.dcm", labels, scan.source, MODEL, version="0.1.0")
    seg = hd.seg.segread(tmp_path / "seg.dcm")
    by_label = {segment.segment_label: segment for segment in map(seg.get_segment_description, seg.segment_numbers)}
    found = by_label["Left hippocampus"]
    assert found.segmented_property_type.value == "5366008" and found.segmented_property_type.scheme_designator == "SCT"
    modifier = found.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert (modifier.CodeValue, modifier.CodeMeaning) == ("7771000", "Left")
    assert found.algorithm_identification.name == "ellipsoids" and found.algorithm_identification.version.startswith("3 ab")
    lab = hd.color.CIELabColor.from_rgb(*LABELS[17].colour)
    assert list(found.RecommendedDisplayCIELabValue) == list(lab.value)
    assert by_label["Lesion"].segmented_property_category.value == "49755003"


def test_every_label_has_a_term() -> None:
    from pydicom.sr.codedict import codes

    for id in LABELS:
        terms = coded(id)
        assert terms.type[0].isdigit() and (terms.side is not None) == (LABELS[id].side is not None)
    assert coded(17).type[0] == codes.SCT.Hippocampus.value and coded(11).type[0] == codes.SCT.CaudateNucleus.value


def test_nothing_to_write_and_a_sheared_grid_are_told(tmp_path: Path) -> None:
    path, *_ = write_series(tmp_path, "classic")
    note = read_scan(path).source
    assert note
    with pytest.raises(ValueError, match="no label"):
        write_dicom_seg(tmp_path / "x.dcm", np.zeros((2, 2, 2), np.int16), note, MODEL, version="1")


def test_a_dicom_job_leaves_one_and_names_nobody(tmp_path: Path, settings: Settings) -> None:
    path, _, made = write_series(tmp_path, "classic")
    report = analyze(path, tmp_path / "out", settings=settings, roles=Roles(segmentation=EllipsoidSegmentation()))
    content = (tmp_path / "out" / "segmentation.dcm").read_bytes()
    assert not [secret for secret in SECRETS if secret.encode() in content]
    data = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    assert data.PatientName == "" and data.PatientID == "" and data.PatientIdentityRemoved == "YES" and not data.StudyDate
    uids = [made[0].SOPInstanceUID, made[0].StudyInstanceUID + '"', "1.2.3.99"]
    told = report.model_dump_json() + "".join((tmp_path / "out" / name).read_text() for name in ("report.json", "statistics.csv"))
    assert not [uid for uid in uids if uid in told]


def test_uids_are_replaced_where_they_may_not_be_kept(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home", imaging={"keep_dicom_uids": False})
    path, _, made = write_series(tmp_path, "classic")
    for name in ("one", "two"):
        analyze(path, tmp_path / name, settings=settings, roles=Roles(segmentation=EllipsoidSegmentation()))
    one, two = (pydicom.dcmread(tmp_path / name / "segmentation.dcm") for name in ("one", "two"))
    assert one.StudyInstanceUID == two.StudyInstanceUID != made[0].StudyInstanceUID and one.StudyInstanceUID.startswith("2.25.")
    assert made[0].SOPInstanceUID.encode() not in (tmp_path / "one" / "segmentation.dcm").read_bytes()


def test_other_formats_leave_none(tmp_path: Path, settings: Settings) -> None:
    import nibabel as nib

    shape, affine = grid(8.0)
    nib.save(nib.Nifti1Image(head_picture(head_labels(shape, affine)), affine), tmp_path / "a.nii.gz")
    analyze(tmp_path / "a.nii.gz", tmp_path / "out", settings=settings, roles=Roles(segmentation=EllipsoidSegmentation()))
    assert not (tmp_path / "out" / "segmentation.dcm").exists()
