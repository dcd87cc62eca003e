"""The report on paper (A4): summary and picture first, then every sentence with what it rests on, numbers, models, limits."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, KeepTogether, Paragraph, Spacer, Table, TableStyle

from pipelines.imaging.labels import LABELS, LESION, PAIRS
from pipelines.imaging.report import Report, Sentence
from pipelines.imaging.sentences import SUMMARY
from pipelines.imaging.wording import amount, number
from pipelines.paper import (
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
    "How to read this: each sentence stands on measurements of the stored segmentation and was checked against them again before printing. "
    "The number is its confidence (0 to 1), computed from the segmentation, not asked of a model."
)
_DEFINITIONS = (
    "Volumes are voxels times the volume of a voxel. Asymmetry: (left - right) / mean of both; positive where the left is larger. "
    "Structures without a side stand under Left."
)
_UNIT = re.compile(r"(\d) (ml|mm|%)")  # a number and its unit stay on one line

_LEAD = ParagraphStyle("lead", parent=BODY, fontSize=10.5, leading=14.5)


def write_pdf(report: Report, picture: Path, path: Path) -> None:
    """Write the report to ``path``; ``picture`` is the PNG of :mod:`pipelines.imaging.overlay`. The same report gives the same bytes."""
    print_report(
        path,
        _story(report, picture),
        title="Brain MRI: measurements",
        subject="Research use only",
        foot=("Workbench. For research only; not a medical device.", f"job {report.job}"),
    )


def _story(report: Report, picture: Path) -> list[Flowable]:
    story: list[Flowable] = [*_header(report), *_summary(report)]
    story += [Spacer(1, 8), _fitted(picture), Spacer(1, 3)]
    story.append(
        paragraph("Above without, below with the labels. Radiological convention: the person's right is on the picture's left.", SMALL)
    )
    story += _findings(report)
    story += _tables(report)
    if report.lesions:
        story += _lesions(report)
    story += _not_looked_at(report)
    story += _models(report)
    return story


def _header(report: Report) -> list[Flowable]:
    scan = report.input
    size = " × ".join(str(value) for value in scan.shape)
    spacing = " × ".join(f"{value:.3g}" for value in scan.spacing_mm)
    colour = GOOD if report.quality.verdict == "good" else WARN
    facts = [
        ("Scan", latin(scan.name)),
        ("Format", f"{scan.format}; {size} voxels of {spacing} mm; {scan.orientation}"),
        ("Quality", f'<font color="{colour.hexval()}"><b>{report.quality.verdict}</b></font> ({report.quality.score:.2f})'),
        ("Confidence", f"<b>{report.confidence:.2f}</b> of 1, over all sentences"),
        ("Job", report.job),
    ]
    sequence = _sequence(scan.facts)
    if sequence:
        facts.insert(2, ("Sequence", sequence))
    rows = [[paragraph(name, SMALL), Paragraph(text if name in ("Quality", "Confidence") else escape(text), CELL)] for name, text in facts]
    table = Table(rows, colWidths=[24 * mm, WIDTH - 24 * mm])
    table.setStyle(tight())
    return [
        paragraph("Brain MRI: measurements", TITLE),
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
    """Every sentence with its support and confidence; sections in order."""
    story: list[Flowable] = []
    marked = paragraph(_HOW_TO_READ, SMALL)
    findings = [sentence for sentence in report.sentences if sentence.section != SUMMARY]
    for place, (section, group) in enumerate(groupby(findings, key=lambda sentence: sentence.section)):
        sentences = list(group)
        head = [paragraph("Findings", HEADING), marked, Spacer(1, 4)] if place == 0 else []
        table = Table([[paragraph(f"<b>{escape(section)}</b>", CELL, raw=True), "", ""], *(_sentence(item) for item in sentences)],
                      colWidths=[WIDTH - 40 * mm, 24 * mm, 16 * mm], repeatRows=1)  # fmt: skip
        table.setStyle(banded(len(sentences)))
        story += [KeepTogether([*head, table]) if len(sentences) < 9 else table, Spacer(1, 5)]
    return story


def _sentence(sentence: Sentence, style: ParagraphStyle = CELL) -> list[Any]:
    reason = f'<br/><font color="{WARN.hexval()}" size="7.5">{escape(latin(sentence.reason))}</font>' if sentence.reason else ""
    colour = WARN if sentence.support == "unsupported" else FAINT
    return [
        Paragraph(escape(latin(_UNIT.sub("\\1\u00a0\\2", sentence.text))) + reason, style),
        Paragraph(f'<font color="{colour.hexval()}">{sentence.support}</font>', CELL),
        Paragraph(f"{sentence.confidence:.2f}", NUMBER),
    ]


def _tables(report: Report) -> list[Flowable]:
    by_name = {item.name: item for item in report.measurements}
    rows: list[list[Any]] = [heading_row("Structure", "Left, ml", "Right, ml", "Asymmetry, %", "Confidence", right=range(1, 5))]
    for name in PAIRS:
        left, right, index = (by_name.get(text) for text in (f"left {name} volume", f"right {name} volume", f"{name} asymmetry index"))
        if left is None or right is None:
            continue
        known = [value for value in (left.confidence, right.confidence) if value is not None]
        rows.append(
            _row(
                name,
                number(left.value, "ml"),
                number(right.value, "ml"),
                f"{index.value:+.1f}" if index else "-",
                f"{min(known):.2f}" if known else "-",
            )
        )
    for label in LABELS.values():
        item = by_name.get(f"{label.name} volume")
        if label.side is None and item is not None and label.id != LESION:
            rows.append(_row(label.name, number(item.value, "ml"), "", "", "-" if item.confidence is None else f"{item.confidence:.2f}"))
    paired = Table(rows, colWidths=[WIDTH - 104 * mm, 26 * mm, 26 * mm, 28 * mm, 24 * mm], repeatRows=1)
    paired.setStyle(banded(len(rows) - 1))
    totals: list[list[Any]] = [heading_row("Whole brain", "Value", "Confidence", right=(1, 2))]
    names = (
        "brain volume", "grey matter volume", "white matter volume", "cerebral cortex volume", "cerebral white matter volume",
        "deep grey matter volume", "cerebellum volume", "ventricle volume", "intracranial volume",
        "brain to intracranial ratio", "ventricle-to-brain ratio", "grey to white matter ratio",
        "lesion count", "lesion load", "lesion load of white matter",
    )  # fmt: skip
    for name in names:
        if name in by_name:
            item = by_name[name]
            totals.append(_row(name, amount(item), "-" if item.confidence is None else f"{item.confidence:.2f}"))
    whole = Table(totals, colWidths=[WIDTH - 70 * mm, 46 * mm, 24 * mm], repeatRows=1)
    whole.setStyle(banded(len(totals) - 1))
    note = paragraph(_DEFINITIONS, SMALL)
    return [KeepTogether([paragraph("Measurements", HEADING), paired, Spacer(1, 3), note]), Spacer(1, 8), KeepTogether([whole])]


def _lesions(report: Report) -> list[Flowable]:
    shown = report.lesions[:40]
    rows: list[list[Any]] = [heading_row("Lesion", "Volume, ml", "Centre, mm (right, anterior, superior)", "Side", "Zone", right=(1,))]
    for place, lesion in enumerate(shown, 1):
        centre = ", ".join(f"{value:.0f}" for value in lesion.center_mm)
        rows.append(
            [
                paragraph(f"{place} ({lesion.kind})", CELL),
                paragraph(number(lesion.volume_ml, "ml"), NUMBER),
                paragraph(centre, CELL),
                paragraph(lesion.side or "-", CELL),
                paragraph(lesion.zone or "-", CELL),
            ]
        )
    table = Table(rows, colWidths=[30 * mm, 24 * mm, WIDTH - 112 * mm, 22 * mm, 36 * mm], repeatRows=1)
    table.setStyle(banded(len(shown)))
    more = (
        [paragraph(f"{len(report.lesions) - len(shown)} smaller ones stand in report.json.", SMALL)]
        if len(report.lesions) > len(shown)
        else []
    )
    return [Spacer(1, 4), paragraph("Lesions one by one", HEADING), table, *more]


def _not_looked_at(report: Report) -> list[Flowable]:
    items = [paragraph(f"- {text}", BODY) for text in report.not_looked_at]
    return [KeepTogether([paragraph("What was not looked at", HEADING), *items])] if items else []


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
