"""Planes, the overlay, the paper and the tables."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pypdfium2
import pytest
from PIL import Image

from infra.errors import InvalidInput, NotFound
from pipelines.imaging.check import check_scan
from pipelines.imaging.lesions import find_lesions
from pipelines.imaging.measure import label_volumes, measure
from pipelines.imaging.overlay import draw_overlay
from pipelines.imaging.pdf import write_pdf
from pipelines.imaging.planes import cut, turned
from pipelines.imaging.report import Report, ReportInput, ReportModel, ReportQuality, Sentence
from pipelines.imaging.samples import SAMPLES, make_sample
from pipelines.imaging.sentences import overall_confidence, what_was_not_looked_at, write_sentences
from pipelines.imaging.statistics import flat_row, statistics_csv, statistics_json
from pipelines.imaging.tables import structure_rows
from serving.roles.segmentation import Structure, Volume
from serving.volume import read_scan
from tests.heads import MODEL, grid, head_labels, head_picture

QUALITY = ReportQuality(verdict="limited", score=0.6, reasons=["The top of the head is cut off."])


def a_report(**changes) -> tuple[Report, np.ndarray, np.ndarray, np.ndarray]:
    shape, affine = grid(3.0)
    labels = head_labels(shape, affine, [((-18, -5, 28), 5.0)])
    lesions = find_lesions(labels, affine)
    measurements = measure(label_volumes(labels, affine), {}, QUALITY, lesions)
    sentences = write_sentences(measurements, lesions, QUALITY)
    sentences.append(
        Sentence(section="Brain", text="A claim of 5 %.", support="unsupported", confidence=0.0, reason="No measurement says so.")
    )
    scan = ReportInput(
        name="Kopf <1> & naïve 頭.nii.gz", format="NIfTI", shape=shape, spacing_mm=(3, 3, 3), orientation="RAS", facts={"sequence": "T1w"}
    )
    report = Report(
        job="job-1", input=scan, quality=QUALITY, models=[ReportModel(**MODEL.as_dict())], measurements=measurements, lesions=lesions,
        sentences=sentences, confidence=overall_confidence(sentences), seconds={"segment": 1.0},
        not_looked_at=what_was_not_looked_at(["vlm"], lesions_found=True),
    )  # fmt: skip
    return report.model_copy(update=changes), head_picture(labels), labels, affine


@pytest.mark.parametrize("code", ["RAS", "LPS", "LIA", "ASL", "SPR", "PIR"])
def test_planes_show_the_right_side_on_the_left_whatever_the_storage(code: str):
    shape, affine = grid(4.0)
    labels = head_labels(shape, affine)
    steps = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(code))
    image = nib.Nifti1Image(labels, affine).as_reoriented(steps)
    volume = turned(np.asarray(image.dataobj), image.affine)
    for plane in ("axial", "coronal"):
        index = {"axial": shape[2] // 2, "coronal": shape[1] // 2}[plane]
        picture, _ = cut(volume, plane, index)  # type: ignore[arg-type]
        columns = np.indices(picture.shape)[1]
        assert columns[np.isin(picture, (41, 42))].mean() < columns[np.isin(picture, (2, 3))].mean()
    sagittal, _ = cut(volume, "sagittal", shape[0] // 2 + 5)
    rows, columns = np.indices(sagittal.shape)
    assert rows[sagittal == 47].mean() > sagittal.shape[0] / 2 and columns[sagittal == 47].mean() > sagittal.shape[1] / 2


def test_overlay_is_a_picture_with_the_lesion_in_it(tmp_path: Path):
    _, picture, labels, affine = a_report()
    draw_overlay(picture, labels, affine, tmp_path / "overlay.png")
    image = np.asarray(Image.open(tmp_path / "overlay.png"))
    assert image.ndim == 3 and min(image.shape[:2]) > 900 and (tmp_path / "overlay.png").stat().st_size < 3e6
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    assert ((red > 200) & (green > 170) & (blue < 90)).sum() > 500  # the legend's square alone has 324
    draw_overlay(picture, np.zeros_like(labels), affine, tmp_path / "empty.png")


def test_the_paper_says_everything_and_is_the_same_twice(tmp_path: Path):
    report, picture, labels, affine = a_report()
    draw_overlay(picture, labels, affine, tmp_path / "overlay.png")
    for name in ("a.pdf", "b.pdf"):
        write_pdf(report, tmp_path / "overlay.png", tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    document = pypdfium2.PdfDocument(tmp_path / "a.pdf")
    text = " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())
    document.close()
    expected = [
        "Not a medical device", "The top of the head is cut off", "unsupported", "No measurement says so", "Not assessed",
        "Image description not available", "ellipsoids, version 1", "periventricular", "Radiological convention", "limited",
    ]  # fmt: skip
    for words in expected:
        assert words in text, words


def test_page_pdf_and_sentence_give_one_structure_the_same_numbers(tmp_path: Path):
    """Volumes, asymmetry index and confidence of each structure and lesion."""
    from workbench.ui.imaging.report import lesions_html, sentences_html, volumes_html

    shape, affine = grid(3.0)
    labels = head_labels(shape, affine, [((-18, -5, 28), 5.0), ((34, 20, 30), 4.0)])
    lesions = find_lesions(labels, affine)
    volumes = label_volumes(labels, affine)
    structures = {label: Structure(label, ml, 0.93 * ml, 0.99 - 0.003 * label) for label, ml in volumes.items()}
    measurements = measure(volumes, structures, QUALITY, lesions)
    sentences = write_sentences(measurements, lesions, QUALITY)
    date = datetime(2026, 3, 1, 9, 5)
    report, picture, *_ = a_report(measurements=measurements, lesions=lesions, sentences=sentences, created=date)
    draw_overlay(picture, labels, affine, tmp_path / "overlay.png")
    write_pdf(report, tmp_path / "overlay.png", tmp_path / "a.pdf")
    document = pypdfium2.PdfDocument(tmp_path / "a.pdf")
    pages = [page.get_textpage().get_text_range() for page in document]
    document.close()
    pdf = " ".join(" ".join(pages).split())
    assert "1 March 2026, 09:05 UTC" in pdf and "Kopf <1> & naïve" in pdf
    assert all(len(text) > 400 for text in pages)  # no page is nearly empty
    page = " ".join(re.sub(r"<[^>]*>", " ", volumes_html(structure_rows(report)) + lesions_html(report)).replace("\u00a0", " ").split())
    for row in structure_rows(report):
        values = [text for text in (row.left_text, row.right_text, row.middle_text) if text]
        told = " ".join([*values, row.asymmetry_text, row.confidence_text])
        assert f"{row.name} {told}" in pdf and f"{row.name[0].upper()}{row.name[1:]} {told}" in page
        said = next((item for item in report.sentences if item.text.lower().startswith(f"{row.name}: left")), None)
        if said is not None:
            assert all(text in said.text for text in (*values, row.asymmetry_text[:-2]))
            assert f"{said.confidence:.2f}" == row.confidence_text
    for place, lesion in enumerate(lesions, 1):
        sentence = next(item for item in report.sentences if item.text.startswith(f"Lesion {place}:"))
        told = f"{lesion.side} {lesion.zone} {sentence.confidence:.2f}"
        assert told in pdf and f"Lesion {place} {lesion.volume_ml:.2f} {told}" in page and f"{lesion.volume_ml:.2f} ml" in sentence.text
    assert all(item.text.split(";")[0].replace("<", "&lt;") in sentences_html(report).replace("\u00a0", " ") for item in report.sentences)


def test_tables_hold_every_measurement():
    report, *_ = a_report()
    rows = list(csv.DictReader(io.StringIO(statistics_csv(report))))
    assert {row["name"] for row in rows} >= {item.name for item in report.measurements} | {"lesion 1 centre x"}
    assert set(json.loads(statistics_json(report))) == {"job", "input", "quality", "models", "measurements", "lesions"}
    row = flat_row(report)
    assert row["quality"] == "limited" and "brain volume (ml)" in row and not any(name.startswith("lesion 1") for name in row)


def test_report_json_is_the_documented_one():
    report, *_ = a_report()
    data = json.loads(report.model_dump_json())
    documented = {"job", "input", "quality", "models", "measurements", "lesions", "sentences", "confidence", "seconds"}
    assert documented <= set(data) and set(data) - documented == {"not_looked_at", "limits", "created", "lesion_status"}
    assert {"name", "format", "shape", "spacing_mm", "orientation"} <= set(data["input"])
    assert {"name", "label", "side", "value", "unit"} <= set(data["measurements"][0])
    assert set(data["lesions"][0]) == {"kind", "volume_ml", "center_mm", "side", "zone"}
    assert set(data["sentences"][0]) == {"section", "text", "support", "confidence", "measurements", "passages", "reason"}
    assert Report.model_validate(data) == report


@pytest.mark.parametrize(
    ("shape", "spacing", "words"),
    [
        ((64, 64, 5), (3, 3, 3), "too few slices"),
        ((64, 64, 10), (3, 3, 3), "only part of a head"),
        ((64, 64, 64), (0.05, 0.05, 0.05), "not plausible for a head scan"),
        ((64, 64, 64), (12, 12, 12), "not plausible for a head scan"),
        ((400, 400, 100), (2, 2, 2), "more than a head"),
    ],
)
def test_what_cannot_be_a_head_is_refused_by_its_grid(shape, spacing, words):
    data = np.broadcast_to(np.arange(shape[2], dtype=np.float32), shape)[None]
    with pytest.raises(InvalidInput, match=words):
        check_scan(Volume(data, np.diag([*spacing, 1.0])))


def test_a_mask_is_no_scan_and_a_head_is():
    shape, affine = grid(4.0)
    labels = head_labels(shape, affine)
    with pytest.raises(InvalidInput, match="mask or label map"):
        check_scan(Volume((labels > 0).astype(np.float32)[None], affine))
    check_scan(Volume(head_picture(labels).astype(np.float32)[None], affine))


def test_samples_are_the_same_bytes_and_their_lesions_are_where_they_are_told(tmp_path: Path):
    paths = {name: make_sample(name, tmp_path) for name in SAMPLES}
    assert {path.name for path in paths.values()} == {sample.file for sample in SAMPLES.values()}
    again = tmp_path / "again"
    again.mkdir()
    assert make_sample("lesion", again).read_bytes() == paths["lesion"].read_bytes()
    plain, painted = (read_scan(paths[name]) for name in ("mni152", "lesion"))
    check_scan(plain.volume)
    changed = painted.volume.data[0] > 125
    places = np.argwhere(changed) @ plain.volume.affine[:3, :3].T + plain.volume.affine[:3, 3]
    millilitres = changed.sum() * plain.volume.voxel_ml
    assert 1.0 < millilitres < 10.0 and (places[:, 0] < 0).any() and (places[:, 0] > 0).any()
    with pytest.raises(NotFound):
        make_sample("elephant", tmp_path)
