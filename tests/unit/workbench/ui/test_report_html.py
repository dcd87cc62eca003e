"""A report as HTML: every sentence with what it rests on, nothing hidden, nothing unescaped."""

from __future__ import annotations

import pytest

from pipelines.imaging.report import Lesion, Measurement, Report, ReportInput, ReportModel, ReportQuality, Sentence
from pipelines.imaging.tables import structure_rows
from workbench.ui.imaging.charts import asymmetry_chart, volume_chart
from workbench.ui.imaging.report import finding_html, lesions_html, made_html, sentences_html, volumes_html


def volume(label: int, name: str, side: str | None, value: float) -> Measurement:
    return Measurement(name=name, label=label, side=side, value=value, unit="ml", definition="Voxels.", confidence=0.9)  # type: ignore[arg-type]


def sentence(section: str, text: str, *names: str) -> Sentence:
    return Sentence(section=section, text=text, support="measured", confidence=0.9, measurements=list(names))


@pytest.fixture
def report() -> Report:
    return Report(
        job="j",
        input=ReportInput(name="a.nii", format="NIfTI", shape=(1, 2, 3), spacing_mm=(1, 1, 1), orientation="RAS"),
        quality=ReportQuality(verdict="good", score=0.9, reasons=["Sharp & whole."]),
        models=[ReportModel(role="segmentation", name="net", version="3", digest="ab" * 32, backend="openvino", device="cpu")],
        measurements=[
            volume(17, "left hippocampus volume", "left", 2.0),
            volume(53, "right hippocampus volume", "right", 1.0),
            volume(16, "brain stem volume", None, 20.0),
            volume(18, "left amygdala volume", "left", 0.0),
            volume(54, "right amygdala volume", "right", 0.0),
            Measurement(name="hippocampus asymmetry index", value=66.67, unit="%"),
            Measurement(name="lesion 1 volume", value=0.5, unit="ml"),
        ],
        lesions=[Lesion(kind="unclear", volume_ml=0.5, center_mm=(-24.0, 10.5, 3.0), side="left", zone="deep")],
        sentences=[
            Sentence(
                section="Summary",
                text="The <brain> has 3 ml.",
                support="measured",
                confidence=0.9,
                measurements=["left hippocampus volume"],
            ),
            Sentence(section="Lesions", text="Lesion 1.", support="measured", confidence=0.5, measurements=["lesion 1 volume"]),
            Sentence(section="Else", text="Who knows.", support="unsupported", confidence=0.0, reason="Nobody looked."),
        ],
        confidence=0.81,
        seconds={"segment": 2.0, "segment.infer": 1.5, "write": 0.1},
        not_looked_at=["The skull."],
    )


def test_finding_first_then_how_sure(report: Report) -> None:
    html = finding_html(report)
    assert html.index("The &lt;brain&gt; has 3\u00a0ml.") < html.index("Good") < html.index("0.81") < html.index("Sharp &amp; whole.")


def test_limited_quality_is_read_before_the_numbers(report: Report) -> None:
    report.quality = ReportQuality(verdict="limited", score=0.2, reasons=["Cut off."])
    html = finding_html(report)
    assert html.index("Cut off.") < html.index("The &lt;brain&gt;")
    assert html.count("Cut off.") == 1


def test_every_sentence_opens_what_it_rests_on(report: Report) -> None:
    html = sentences_html(report)
    assert html.count("<details") == 3
    assert 'data-show="17"' in html
    assert 'data-show="77" data-mm="-24.0,10.5,3.0"' in html
    assert "Nobody looked." in html
    assert '<em class="unsupported">unsupported</em>' in html
    assert "The skull." in html


def test_rows_largest_first_without_what_was_not_found(report: Report) -> None:
    rows = structure_rows(report)
    assert [row.name for row in rows] == ["brain stem", "hippocampus"]
    assert (rows[1].left_text, rows[1].right_text, rows[1].labels) == ("2.00", "1.00", (17, 53))
    assert rows[1].asymmetry_text == "66.7 % L" and rows[1].confidence_text == "0.90"
    html = volumes_html(rows)
    assert "66.7\u00a0% L" in html
    assert 'data-show="17,53"' in html


def test_charts_draw_the_persons_left_to_the_left(report: Report) -> None:
    rows = structure_rows(report)
    bar = asymmetry_chart(rows).data[0]
    assert list(bar.x) == [pytest.approx(-66.67)]
    names = [trace.name for trace in volume_chart(rows).data if trace.name]
    assert names == ["Left", "Right", "Midline"]


def test_charts_of_nothing_are_empty_not_an_error() -> None:
    assert len(asymmetry_chart([]).data[0].x) == 0
    volume_chart([])


def test_who_made_it_and_how_long_it_took(report: Report) -> None:
    html = made_html(report, {"segment": "Segmentation"})
    assert "version 3 · openvino on CPU" in html
    assert "abababababab" in html
    assert html.index("Segmentation") < html.index("Details") < html.index("Infer")
    assert "Segmentation" in html


def test_every_lesion_is_listed_and_leads_to_its_place(report: Report) -> None:
    many = [report.lesions[0].model_copy(update={"volume_ml": 0.5 - place / 100}) for place in range(11)]
    html = lesions_html(report.model_copy(update={"lesions": many}))
    assert "Lesions (11)" in html and html.count('data-mm="-24.0,10.5,3.0"') == 11 and "Lesion 11" in html
    assert lesions_html(report.model_copy(update={"lesions": []})) == ""
