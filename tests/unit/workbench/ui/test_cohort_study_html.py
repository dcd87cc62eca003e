"""A study on its page: limits before the finding, a row a lesion, a dash where a sequence does not show it, names that cannot harm."""

from __future__ import annotations

import re

from infra.errors import InvalidInput
from pipelines.imaging.report import Report, ReportInput, ReportQuality
from pipelines.imaging.study.report import Registration, Sequence, Study, StudyLesion, study_sentences
from workbench.services.cohort_study import StudyState
from workbench.ui.cohorts.study import study_html


def found() -> Study:
    report = Report(
        job="j1", input=ReportInput(name="a", format="NIfTI", shape=(2, 2, 2), spacing_mm=(1, 1, 1), orientation="RAS"),
        quality=ReportQuality(verdict="good", score=0.9, reasons=[]), models=[], measurements=[], lesions=[], sentences=[],
        confidence=0.9, seconds={},
    )  # fmt: skip
    moved = Registration(rotation_degrees=4.2, shift_mm=6.8, structures=14, residual_mm=0.3)
    lesions = [
        StudyLesion(kind="unclear", volume_ml=1.42, center_mm=(1, 2, 3), side="left", zone="deep", shown_by={"T1": 1.28, "<FLAIR>": 1.31}),
        StudyLesion(kind="unclear", volume_ml=0.26, center_mm=(1, 2, 3), side=None, zone=None, shown_by={"<FLAIR>": 0.26}),
    ]
    names = ["T1", "<FLAIR>"]
    sequences = [
        Sequence(name=name, folder=name, registration=placed, report=report) for name, placed in zip(names, (None, moved), strict=True)
    ]
    return Study(
        reference="T1", sequences=sequences, lesions=lesions, sentences=study_sentences(lesions, names), notes=["T2 is not in this study."]
    )


def test_each_lesion_is_a_row_with_what_each_sequence_shows_of_it() -> None:
    page = study_html("c1", StudyState("done"), found())
    assert page.index("T2 is not in this study.") < page.index("2 lesions detected") < page.index("<table")
    rows = [re.sub(r"<[^>]*>", " ", row).split() for row in re.findall(r"<tr><th scope.*?</tr>", page)]
    assert [row[-3:] for row in rows] == [["1.42", "1.28", "1.31"], ["0.26", "–", "0.26"]]
    assert "Zone undetermined, midline or bilateral" in page
    assert "T1: reference." in page and "rotation 4.2°, translation 6.8" in page
    assert "<FLAIR>" not in page and "&lt;FLAIR&gt;" in page
    assert all(f'href="/imaging/cohorts/c1/files/{name}"' in page for name in ("study.json", "study_segmentation.nii.gz"))


def test_without_lesions_there_is_no_table() -> None:
    study = found().model_copy(update={"lesions": [], "sentences": ["No lesion detected in T1."]})
    page = study_html("c1", StudyState("done"), study)
    assert "No lesion detected in T1." in page and "<table" not in page


def test_what_is_not_there_yet_and_what_cannot_be_is_said() -> None:
    assert "Waiting for all scans" in study_html("c1", StudyState("waiting"), None)
    assert "Co-registering" in study_html("c1", StudyState("merging"), None)
    refused = study_html("c1", StudyState("refused", error=InvalidInput("<b> shows another head.")), None)
    assert "&lt;b&gt; shows another head." in refused and "Registration failed" in refused and "download" not in refused
