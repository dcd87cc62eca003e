"""Sequences of one visit: co-registered whatever their grids, lesions reported once with the sequences that show them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from infra.errors import InvalidInput
from infra.settings import load_settings
from pipelines.imaging.lesions import find_lesions
from pipelines.imaging.report import Report, ReportInput, ReportQuality
from pipelines.imaging.study import Study, analyze_study, merge_study
from pipelines.imaging.study.inline import sequence_folders
from pipelines.imaging.study.rigid import align
from serving.roles import Roles
from serving.roles.segmentation import Quality
from tests.heads import EllipsoidSegmentation, grid, head_labels, head_picture

BOTH = ((-22.0, 20.0, 30.0), 7.0)
ONLY_FLAIR = ((24.0, -30.0, 34.0), 6.0)
ONLY_T1 = ((22.0, 24.0, 28.0), 6.0)


def moved(degrees: float = 9.0, shift: tuple[float, float, float] = (6.0, -11.0, 4.0)) -> np.ndarray:
    """Scanner mm of the moved head from those of the head at rest."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0.0, 0.8])).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def leave(folder: Path, labels: np.ndarray, affine: np.ndarray, *, quality: str = "good") -> Path:
    """What an analysis leaves of a sequence, as far as a study reads it."""
    folder.mkdir(parents=True)
    report = Report(
        job="1", input=ReportInput(name="a", format="NIfTI", shape=labels.shape, spacing_mm=(1, 1, 1), orientation="RAS"),  # type: ignore[arg-type]
        quality=ReportQuality(verdict=quality, score=0.9, reasons=[]), models=[], measurements=[], sentences=[], confidence=0.9, seconds={},  # type: ignore[arg-type]
        lesions=find_lesions(labels, affine),
    )  # fmt: skip
    (folder / "report.json").write_text(report.model_dump_json())
    nib.save(nib.Nifti1Image(labels.astype(np.uint8), affine), folder / "segmentation.nii.gz")
    return folder


def test_a_head_that_moved_between_two_sequences_is_found_again():
    """Other voxels, other orientation, another place in the scanner: half a millimetre anywhere in the head."""
    shape, affine = grid(3.0)
    thick, thick_affine = (44, 48, 62), np.array([[-4.0, 0, 0, 86], [0, 0.3, -3.0, 90], [0, 4.4, 0.2, -104], [0, 0, 0, 1.0]])
    matrix = moved()
    labels = head_labels(thick, thick_affine)
    # The head at rest has voxels at matrix @ thick_affine of the other scan's space.
    found = align(labels, thick_affine, head_labels(shape, np.linalg.inv(matrix) @ affine), affine)
    corners = np.array([[x, y, z, 1.0] for x in (-70, 70) for y in (-80, 80) for z in (-50, 70)])
    away = np.linalg.norm((corners @ (found.matrix - matrix).T)[:, :3], axis=1)
    assert away.max() < 1.5 and away.mean() < 0.8
    assert found.rotation_degrees == pytest.approx(9.0, abs=0.5) and found.structures >= 8 and found.residual_mm < 1


def test_a_structure_that_is_drawn_badly_does_not_turn_the_head():
    shape, affine = grid(3.0)
    labels = head_labels(shape, affine)
    bad = labels.copy()
    bad[bad == 53] = 41
    bad[40:44, 50:54, 40:44] = 53  # a hippocampus far from its place
    found = align(bad, affine, labels, affine)
    assert found.rotation_degrees < 1.0 and found.shift_mm(np.zeros(3)) < 0.7


def test_what_is_not_one_head_is_refused(tmp_path: Path):
    shape, affine = grid(4.0)
    labels = head_labels(shape, affine)
    with pytest.raises(InvalidInput, match="share 2 structures"):
        align(np.where(np.isin(labels, (2, 41)), labels, 0), affine, labels, affine)
    mixed = labels.copy()
    for a, b in ((10, 53), (17, 8), (4, 49), (43, 16), (47, 14)):
        mixed[labels == a], mixed[labels == b] = b, a
    folders = {"T1": leave(tmp_path / "a", labels, affine), "FLAIR": leave(tmp_path / "b", mixed, affine)}
    with pytest.raises(InvalidInput, match=r"Registration of FLAIR to T1 failed.*same head"):
        merge_study(folders, tmp_path / "out")
    with pytest.raises(InvalidInput, match="two sequences"):
        merge_study({"T1": tmp_path / "a"}, tmp_path / "out")


def test_a_lesion_is_told_once_with_the_sequences_that_show_it(tmp_path: Path):
    shape, affine = grid(2.5)
    matrix = moved(5.0, (3.0, 2.0, -6.0))
    thick, thick_affine = grid(3.5)
    folders = {
        "FLAIR": leave(tmp_path / "out" / "FLAIR", head_labels(thick, thick_affine, [BOTH, ONLY_FLAIR]), matrix @ thick_affine),
        "T1": leave(tmp_path / "out" / "T1", head_labels(shape, affine, [BOTH, ONLY_T1]), affine, quality="limited"),
    }
    study = merge_study(folders, tmp_path / "out")
    assert study.reference == "T1", "the finer grid"
    told = {tuple(sorted(lesion.shown_by)): lesion for lesion in study.lesions}
    assert len(study.lesions) == 3 and set(told) == {("FLAIR", "T1"), ("FLAIR",), ("T1",)}
    for names, (centre, radius) in ((("FLAIR", "T1"), BOTH), (("FLAIR",), ONLY_FLAIR), (("T1",), ONLY_T1)):
        lesion = told[names]
        assert np.linalg.norm(np.array(lesion.center_mm) - centre) < 2.0
        assert lesion.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.35)
        assert all(0 < ml <= lesion.volume_ml for ml in lesion.shown_by.values())
    assert (told["FLAIR", "T1"].side, told[("FLAIR",)].side) == ("left", "right")
    assert any("visible in FLAIR" in text and "not visible in T1" in text for text in study.sentences)
    assert study.sentences[0].startswith("3 lesions detected") and "(FLAIR: 2, T1: 2)" in study.sentences[0]
    assert study.notes == ["Quality of T1 is limited; its lesions are less certain."]
    flair = next(sequence for sequence in study.sequences if sequence.name == "FLAIR")
    assert flair.registration and flair.registration.rotation_degrees == pytest.approx(5.0, abs=1.0)
    assert Study.model_validate_json((tmp_path / "out" / "study.json").read_text()) == study
    image = nib.load(tmp_path / "out" / "study_segmentation.nii.gz")
    np.testing.assert_allclose(image.affine, affine)
    assert len(find_lesions(np.asarray(image.dataobj), image.affine)) == 3


def test_what_lies_outside_the_reference_is_told_and_what_was_not_analysed_too(tmp_path: Path):
    """A reference whose field ends below one lesion of the other sequence, then below both."""
    shape, affine = grid(4.0)
    fine, fine_affine = grid(3.0)
    above = ((0.0, 0.0, 62.0), 8.0)
    lower = round((40 - fine_affine[2, 3]) / 3.0)  # voxels up to z = 40 mm
    reference = leave(tmp_path / "T1", head_labels(fine, fine_affine)[:, :, :lower], fine_affine)
    for place, lesions in enumerate(([above, BOTH], [above])):
        folders = {"T1": reference, "FLAIR": leave(tmp_path / f"FLAIR{place}", head_labels(shape, affine, lesions), affine)}
        study = merge_study(folders, tmp_path / "out", missing={"T2": "It is cut off."})
        assert [list(lesion.shown_by) for lesion in study.lesions] == [["FLAIR"]] * (len(lesions) - 1)
        assert study.notes[0] == "T2 is not part of this study: It is cut off."
        lost = re.fullmatch(r"(\S+) ml of lesion in FLAIR are outside the field of view of T1 \(not counted\)\.", study.notes[-1])
        assert lost and float(lost[1]) == pytest.approx(4 / 3 * np.pi * 8**3 / 1000, rel=0.1)


def test_two_files_become_one_study_and_a_broken_one_is_named(tmp_path: Path):
    shape, affine = grid(5.0)
    for name in ("T1", "FLAIR"):
        nib.save(nib.Nifti1Image(head_picture(head_labels(shape, affine)), affine), tmp_path / f"{name}.nii.gz")
    role = EllipsoidSegmentation(lesions=[BOTH], quality=Quality("good", 0.9, ()))
    settings = load_settings(home=tmp_path / "home")
    scans = [tmp_path / "T1.nii.gz", tmp_path / "FLAIR.nii.gz"]
    study = analyze_study(scans, tmp_path / "out", settings=settings, roles=Roles(segmentation=role))
    assert len(role.calls) == 2 and len(study.lesions) == 1 and set(study.lesions[0].shown_by) == {"T1", "FLAIR"}
    assert (tmp_path / "out" / "FLAIR" / "report.pdf").is_file() and json.loads((tmp_path / "out" / "study.json").read_text())["lesions"]
    scans[1].write_bytes(b"no scan")
    with pytest.raises(InvalidInput, match=r"^FLAIR: "):
        analyze_study(scans, tmp_path / "other", settings=settings, roles=Roles(segmentation=role))


def test_sequences_have_names_of_their_own(tmp_path: Path):
    names = sequence_folders([tmp_path / "a" / "T1.nii.gz", tmp_path / "b" / "T1.nii.gz", tmp_path / "FLAIR.mgz"], tmp_path)
    assert list(names) == ["a/T1", "b/T1", "FLAIR"] and names["a/T1"] == tmp_path / "a__T1"
    assert list(sequence_folders(["/T1.nii.gz", "/T1.nii.gz (2)", "/T1.mgz", "/.nii"], tmp_path)) == ["T1", "T1 (2)", "T1 2", ".nii"]
