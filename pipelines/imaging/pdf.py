"""The report as PDF (A4): summary and images first, then sentences with their confidence, tables, models, limits."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Flowable, Image, KeepTogether, Paragraph, Spacer, Table, TableStyle

from pipelines.imaging.report import Report, Sentence
from pipelines.imaging.sentences import SUMMARY
from pipelines.imaging.tables import structure_rows
from pipelines.imaging.wording import amount, confidence, number
from pipelines.pdf_style import (
    BODY,
    CELL,
    FAINT,
    GOOD,
    HEADING,
    LINE,
    NOTE,
    NUMBER,
    SMALL,
    TITLE,
    WARN,
    WIDTH,
    banded,
    heading_row,
    latin,
    models_table,
    paragraph,
    print_report,
    tight,
)

_HOW_TO_READ = (
    "Each sentence is based on measurements of the segmentation and was checked against them. "
    "The number on the right is its confidence (0 to 1), computed from the segmentation."
)
_DEFINITIONS = (
    "Volumes in ml. Asymmetry index: |left - right| / mean of both; L or R is the larger side. "
    "Midline structures have one volume. Confidence: 0 to 1, including the quality of the scan."
)
_UNIT = re.compile(r"(\d) (ml|mm|%)")  # a number and its unit stay on one line

SHORT = 9
"""Rows that a table may have to be kept in one piece."""

_LEAD = ParagraphStyle("lead", parent=BODY, fontSize=10.5, leading=14.5)


def write_pdf(report: Report, picture: Path, path: Path) -> None:
    """Write the report to ``path``; ``picture`` is the PNG of :mod:`pipelines.imaging.overlay`. The same report gives the same bytes."""
    name = report.input.name if len(report.input.name) <= 60 else report.input.name[:57] + "..."
    print_report(
        path,
        _story(report, picture),
        title=f"Brain MRI report: {report.input.name}",
        subject="Research use only",
        foot=("Research use only. Not a medical device.", f"{name}, {_date(report)}" if report.created else name),
    )


def _date(report: Report) -> str:
    return f"{report.created.day} {report.created:%B %Y, %H:%M UTC}" if report.created else "unknown"


def _story(report: Report, picture: Path) -> list[Flowable]:
    caption = "Top: scan. Bottom: with labels. Radiological convention: the left of the image is the right of the patient."
    story: list[Flowable] = [*_header(report), *_summary(report)]
    story += [KeepTogether([Spacer(1, 6), _fitted(picture), Spacer(1, 3), paragraph(caption, SMALL)])]
    story += _findings(report)
    if report.lesions:
        story += _lesions(report)
    story += _tables(report)
    story += _not_looked_at(report)
    story += _models(report)
    return story


def _header(report: Report) -> list[Flowable]:
    scan = report.input
    size = " × ".join(str(value) for value in scan.shape)
    spacing = " × ".join(f"{value:.3g}" for value in scan.spacing_mm)
    colour = (GOOD if report.quality.verdict == "good" else WARN).hexval()
    score = f"(score {confidence(report.quality.score)} of 1.00)"
    facts = [
        ("Scan", latin(scan.name)),
        ("Report date", _date(report)),
        ("Format", f"{scan.format}; {size} voxels of {spacing} mm; {scan.orientation}"),
        (
            "Quality",
            f'<font color="{colour}"><b>{report.quality.verdict}</b></font> {score}',
        ),
        ("Confidence", f"<b>{confidence(report.confidence)}</b> (mean of all sentences, 0 to 1)"),
        ("Job", report.job),
    ]
    sequence = _sequence(scan.facts)
    if sequence:
        facts.insert(3, ("Sequence", sequence))
    rows = [[paragraph(name, SMALL), Paragraph(text if name in ("Quality", "Confidence") else escape(text), CELL)] for name, text in facts]
    table = Table(rows, colWidths=[24 * mm, WIDTH - 24 * mm])
    table.setStyle(tight())
    return [
        paragraph("Brain MRI report", TITLE),
        paragraph(report.limits, SMALL),
        Spacer(1, 6),
        _Rule(),
        Spacer(1, 4),
        table,
        Spacer(1, 4),
        _Rule(),
    ]


def _sequence(facts: dict[str, Any]) -> str:
    parts = [str(facts[name]) for name in ("sequence", "acquisition") if facts.get(name)]
    if facts.get("field_strength_t"):
        parts.append(f"{facts['field_strength_t']:g} T")
    for name, short in (("repetition_time_ms", "TR"), ("echo_time_ms", "TE"), ("inversion_time_ms", "TI")):
        if facts.get(name):
            parts.append(f"{short} {facts[name]:g} ms")
    return ", ".join(parts)


def _summary(report: Report) -> list[Flowable]:
    story: list[Flowable] = [paragraph("Summary", HEADING)]
    rows = [_sentence(sentence, _LEAD) for sentence in report.sentences if sentence.section == SUMMARY]
    if rows:
        table = Table(rows, colWidths=[WIDTH - 40 * mm, 24 * mm, 16 * mm])
        table.setStyle(
            TableStyle(
                [
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("TOPPADDING", (0, 0), (-1, -1), 1),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                    ("LEFTPADDING", (0, 0), (0, -1), 0),
                ]
            )
        )
        story.append(table)
    for reason in report.quality.reasons:
        story.append(paragraph(f"Note: {reason}", NOTE))
    return story


def _findings(report: Report) -> list[Flowable]:
    """Every sentence with its support and confidence, by section; tables break between rows, so no page stays half empty."""
    story: list[Flowable] = []
    marked = paragraph(_HOW_TO_READ, SMALL)
    findings = [sentence for sentence in report.sentences if sentence.section != SUMMARY]
    for place, (section, group) in enumerate(groupby(findings, key=lambda sentence: sentence.section)):
        sentences = list(group)
        head = [paragraph("Findings", HEADING), marked, Spacer(1, 4)] if place == 0 else []
        table = Table([[paragraph(f"<b>{escape(section)}</b>", CELL, raw=True), "", ""], *(_sentence(item) for item in sentences)],
                      colWidths=[WIDTH - 40 * mm, 24 * mm, 16 * mm], repeatRows=1)  # fmt: skip
        table.setStyle(banded(len(sentences)))
        story += [*_under(head, table, len(sentences)), Spacer(1, 5)]
    return story


def _sentence(sentence: Sentence, style: ParagraphStyle = CELL) -> list[Any]:
    reason = f'<br/><font color="{WARN.hexval()}" size="7.5">{escape(latin(sentence.reason))}</font>' if sentence.reason else ""
    colour = WARN if sentence.support == "unsupported" else FAINT
    return [
        Paragraph(escape(latin(_UNIT.sub("\\1\u00a0\\2", sentence.text))) + reason, style),
        Paragraph(f'<font color="{colour.hexval()}">{sentence.support}</font>', CELL),
        Paragraph(confidence(sentence.confidence), NUMBER),
    ]


def _tables(report: Report) -> list[Flowable]:
    by_name = {item.name: item for item in report.measurements}
    rows: list[list[Any]] = [heading_row("Structure", "Left", "Right", "Midline", "Asymmetry index", "Confidence", right=range(1, 6))]
    rows += [
        _row(row.name, row.left_text, row.right_text, row.middle_text, row.asymmetry_text, row.confidence_text)
        for row in structure_rows(report)
    ]
    paired = Table(rows, colWidths=[WIDTH - 122 * mm, 22 * mm, 22 * mm, 22 * mm, 32 * mm, 24 * mm], repeatRows=1)
    paired.setStyle(banded(len(rows) - 1))
    totals: list[list[Any]] = [heading_row("Whole brain", "Value", "Confidence", right=(1, 2))]
    names = (
        "brain volume", "grey matter volume", "white matter volume", "cerebral cortex volume", "cerebral white matter volume",
        "deep grey matter volume", "cerebellum volume", "ventricle volume", "intracranial volume",
        "brain to intracranial ratio", "ventricle-to-brain ratio", "grey to white matter ratio",
        "lesion count", "lesion load", "lesion load of white matter",
    )  # fmt: skip
    totals += [_row(name, amount(by_name[name]), confidence(by_name[name].confidence)) for name in names if name in by_name]
    whole = Table(totals, colWidths=[WIDTH - 70 * mm, 46 * mm, 24 * mm], repeatRows=1)
    whole.setStyle(banded(len(totals) - 1))
    head: list[Flowable] = [paragraph("Measurements", HEADING), paragraph(_DEFINITIONS, SMALL), Spacer(1, 4)]
    return [*_under(head, paired, len(rows) - 1), Spacer(1, 8), *_under([], whole, len(totals) - 1)]


def _under(head: list[Flowable], table: Table, count: int) -> list[Flowable]:
    """A table below its heading: a short one in one piece, a long one broken between rows, never parted from the heading."""
    if count <= SHORT:
        return [KeepTogether([*head, table])]
    return [CondPageBreak(60 * mm), *head, table]


def _lesions(report: Report) -> list[Flowable]:
    """Every lesion."""
    rows: list[list[Any]] = [
        heading_row("Lesion", "Volume, ml", "Centre, mm (R, A, S)", "Side", "Zone", "Confidence", right=(1, 5))
    ]  # fmt: skip
    by_name = {item.name: item for item in report.measurements}
    for place, lesion in enumerate(report.lesions, 1):
        centre = ", ".join(f"{value:.0f}" for value in lesion.center_mm)
        measured = by_name.get(f"lesion {place} volume")
        rows.append(
            [
                paragraph(str(place) if lesion.kind == "unclear" else f"{place} ({lesion.kind})", CELL),
                paragraph(number(lesion.volume_ml, "ml"), NUMBER),
                paragraph(centre, CELL),
                paragraph(lesion.side or "midline or bilateral", CELL),
                paragraph(lesion.zone or "undetermined", CELL),
                paragraph(confidence(measured.confidence if measured else None), NUMBER),
            ]
        )
    table = Table(rows, colWidths=[28 * mm, 22 * mm, WIDTH - 136 * mm, 30 * mm, 32 * mm, 24 * mm], repeatRows=1)
    table.setStyle(banded(len(report.lesions)))
    title = "Lesion candidates" if report.lesion_status == "candidates" else "Lesions"
    return _under([paragraph(title, HEADING)], table, len(report.lesions))


def _not_looked_at(report: Report) -> list[Flowable]:
    items = [paragraph(f"- {text}", BODY) for text in report.not_looked_at]
    return [KeepTogether([paragraph("Not assessed", HEADING), *items])] if items else []


def _models(report: Report) -> list[Flowable]:
    return [KeepTogether([paragraph("Models", HEADING), models_table(report.models), Spacer(1, 6), paragraph(report.limits, SMALL)])]


def _row(name: str, *values: str) -> list[Any]:
    return [paragraph(name, CELL), *(paragraph(value, NUMBER) for value in values)]


def _fitted(picture: Path) -> Image:
    image = Image(str(picture))
    scale = WIDTH / image.imageWidth
    image.drawWidth, image.drawHeight = WIDTH, image.imageHeight * scale
    return image


class _Rule(Flowable):
    """A thin line across the page."""

    def wrap(self, *size: float) -> tuple[float, float]:
        return WIDTH, 1

    def draw(self) -> None:
        self.canv.setStrokeColor(LINE)
        self.canv.line(0, 0, WIDTH, 0)
