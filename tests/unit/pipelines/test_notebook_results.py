"""Results in a notebook: HTML that escapes what strangers wrote, and files in the format that the name asks for."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from docx import Document

from infra.errors import InvalidInput, StorageFull
from infra.notebook import Displayed, Table, as_markdown
from infra.settings import load_settings
from pipelines.imaging import analyze
from pipelines.imaging.report import Report
from pipelines.questions.contract import NOT_HERE, Answer, Citation, Sentence
from serving.registry.versions import ModelRef
from serving.roles import Roles
from serving.roles.segmentation import Quality, Segmentation, Structure
from tests.heads import EllipsoidSegmentation, grid, head_labels, head_picture
from tests.unit.pipelines.compliance.analysed import analysed
from tests.unit.pipelines.imaging.test_pictures import a_report
from tests.unit.pipelines.questions.conftest import found

EVIL = "<script>alert(1)</script>"
MODEL = ModelRef("segmentation", "small", "3", "ab" * 32, "openvino", "cpu")


def a_segmentation() -> Segmentation:
    labels = np.zeros((4, 5, 6), np.int16)
    labels[1, 2, 3], labels[2, 2, 3] = 17, 53
    affine = np.array([[-1.0, 0, 0, 10], [0, 0, 2, -20], [0, 1, 0, 5], [0, 0, 0, 1]])
    structures = {17: Structure(17, 3.912, 3.9, 0.91), 53: Structure(53, 4.1, 4.0, 0.9), 24: Structure(24, 1.0, 1.0, 0.8)}
    return Segmentation(labels, affine, structures, Quality("limited", 0.61, (f"{EVIL} is noisy.",)), MODEL)


def an_answer(*, abstained: bool = False) -> Answer:
    passage = found(f"{EVIL}.pdf", "Aspirin thins\nthe blood.", page=4)
    cited = Sentence("Aspirin thins the blood.", "cited", 0.9, (Citation(passage, 4, 0, 24, passage.passage.text, 0.9, 0.8),))
    made_up = Sentence("The moon is cheese.", "unsupported", 0.1)
    text = NOT_HERE if abstained else f"{cited.text} {made_up.text}"
    return Answer(f"Is {EVIL} true?", "", text, abstained, 0.8, () if abstained else (cited, made_up), (passage,), (MODEL,))


def the_report() -> Report:
    report = a_report()[0]
    return report.model_copy(update={"input": report.input.model_copy(update={"name": f"{EVIL}.nii.gz"})})


RESULTS = {
    "segmentation": (a_segmentation, ["hippocampus", "left", "3.91", "limited (0.61)", "small, version 3"]),
    "answer": (an_answer, ["Aspirin thins the blood.", "page 4", "Not supported by the documents", "0.90"]),
    "abstained": (lambda: an_answer(abstained=True), [NOT_HERE, "Nearest passages:"]),
    "compliance": (analysed, ["Score 41 of 100: critical risk.", "Violated", "within &lt;b&gt;ten&lt;/b&gt; days", "Not legal advice"]),
    "report": (the_report, ["Brain MRI report", "Volumes", "research use only"]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_html_shows_the_result_and_runs_nothing(name: str) -> None:
    make, texts = RESULTS[name]
    html = make()._repr_html_()
    assert not [text for text in texts if text.lower() not in html.lower()]
    assert "<script" not in html and "<b>" not in html
    if name != "compliance":
        assert "&lt;script&gt;" in html


@pytest.mark.parametrize("suffix", [".json", ".md", ".html"])
@pytest.mark.parametrize("name", RESULTS)
def test_every_result_is_saved_as_json_markdown_and_html(name: str, suffix: str, tmp_path: Path) -> None:
    result = RESULTS[name][0]()
    path = result.save(tmp_path / f"result{suffix.upper() if suffix == '.md' else suffix}")
    text = path.read_text()
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    if suffix == ".json":
        said = json.loads(text)
        assert said == (json.loads(json.dumps(result.as_dict())) if hasattr(result, "as_dict") else said) and said
    else:
        assert "<script>" not in text
        assert text.startswith("<!doctype html>" if suffix == ".html" else "## ")


def test_markdown_tables_keep_their_columns() -> None:
    assert as_markdown([Table(("a|b", "n"), [["x\ny", "1"]], numbers=(1,)), "- *no* list"]) == (
        "| a\\|b | n |\n| --- | ---: |\n| x y | 1 |\n\n\\- \\*no\\* list\n"
    )


def test_a_segmentation_as_nifti_has_its_labels_in_the_scans_grid(tmp_path: Path) -> None:
    given = a_segmentation()
    image = nib.load(given.save(tmp_path / "labels.nii.gz"))
    assert (np.asarray(image.dataobj) == given.labels).all() and np.allclose(image.affine, given.affine)


def test_an_analysis_is_saved_as_pdf_word_and_csv(tmp_path: Path) -> None:
    report = analysed()
    assert report.save(tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    word = Document(str(report.save(tmp_path / "a.docx")))
    cells = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
    assert "Incidents must be reported" in "".join([*cells, *(one.text for one in word.paragraphs)])
    assert report.save(tmp_path / "a.csv").read_text("utf-8-sig").startswith("id,text")


def test_a_report_keeps_the_files_of_its_analysis(tmp_path: Path) -> None:
    shape, affine = grid(4.0)
    nib.save(nib.Nifti1Image(head_picture(head_labels(shape, affine, [])), affine), tmp_path / "head.nii.gz")
    roles = Roles(segmentation=EllipsoidSegmentation())
    report = analyze(tmp_path / "head.nii.gz", tmp_path / "out", settings=load_settings(home=tmp_path / "home"), roles=roles)
    for name, left in (("a.pdf", "report.pdf"), ("a.nii.gz", "segmentation.nii.gz"), ("a.csv", "statistics.csv"), ("a.png", "overlay.png")):
        assert report.save(tmp_path / name).read_bytes() == (tmp_path / "out" / left).read_bytes()
    assert Report.model_validate_json(report.save(tmp_path / "a.json").read_text()) == report
    with pytest.raises(InvalidInput, match=r"Use a file name that ends in \.html, \.json, \.md\."):
        Report.model_validate_json((tmp_path / "a.json").read_text()).save(tmp_path / "b.pdf")


@pytest.mark.parametrize("result", [a_segmentation(), an_answer(), analysed()], ids=["segmentation", "answer", "compliance"])
def test_another_format_or_folder_is_refused_by_name(result: Displayed, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"Cannot save as 'a\.xlsx'. Use a file name that ends in .*\.json"):
        result.save(tmp_path / "a.xlsx")
    with pytest.raises(InvalidInput, match="Folder not found"):
        result.save(tmp_path / "none" / "a.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(StorageFull, match="Could not write"):
        result.save(tmp_path / "folder.json")
    assert [one.name for one in tmp_path.iterdir()] == ["folder.json"]
