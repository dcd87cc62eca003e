"""The report on paper (A4): summary and picture first, then every sentence with what it rests on, numbers, models, limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, Image, KeepTogether, PageTemplate, Paragraph, Spacer, Table, TableStyle

from pipelines.imaging.labels import LABELS, LESION, PAIRS
from pipelines.imaging.report import Report, Sentence
from pipelines.imaging.sentences import SUMMARY
from pipelines.imaging.wording import amount, number

_HOW_TO_READ = (
    "How to read this: each sentence stands on measurements of the stored segmentation and was checked against them again before printing. "
    "The number is its confidence (0 to 1), computed from the segmentation, not asked of a model."
)
_DEFINITIONS = (
    "Volumes are voxels times the volume of a voxel. Asymmetry: (left - right) / mean of both; positive where the left is larger. "
    "Structures without a side stand under Left."
)
_UNIT = re.compile(r"(\d) (ml|mm|%)")  # a number and its unit stay on one line

rl_config.useA85 = 0  # pictures as bytes: as text they would be a quarter larger and take a second

_INK, _FAINT, _LINE, _BAND = (colors.HexColor(code) for code in ("#1b2733", "#5b6b7b", "#cfd8e1", "#f2f5f8"))
_ACCENT, _WARN, _GOOD = (colors.HexColor(code) for code in ("#1f5f8b", "#9a5b00", "#1d6b45"))
_WIDTH = A4[0] - 36 * mm

_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=13.5, textColor=_INK)
_LEAD = ParagraphStyle("lead", parent=_BODY, fontSize=10.5, leading=14.5)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=8, leading=11, textColor=_FAINT)
_CELL = ParagraphStyle("cell", parent=_BODY, fontSize=8.5, leading=11)
_NUMBER = ParagraphStyle("number", parent=_CELL, alignment=TA_RIGHT)
_HEADING = ParagraphStyle(
    "heading", parent=_BODY, fontName="Helvetica-Bold", fontSize=11.5, leading=15, textColor=_ACCENT, spaceBefore=10, spaceAfter=4
)
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=18, leading=22)


def write_pdf(report: Report, picture: Path, path: Path) -> None:
    """Write the report to ``path``; ``picture`` is the PNG of :mod:`pipelines.imaging.overlay`. The same report gives the same bytes."""
    document = BaseDocTemplate(
        str(path), pagesize=A4, leftMargin=18 * mm, rightMargin=18 * mm, topMargin=18 * mm, bottomMargin=20 * mm, invariant=1,
        title="Brain MRI: measurements", author="Workbench", subject="Research use only",
    )  # fmt: skip
    frame = Frame(document.leftMargin, document.bottomMargin, document.width, document.height, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate(frames=[frame], onPage=lambda canvas, doc: _footer(canvas, doc, report)))
    document.build(_story(report, picture))


def _story(report: Report, picture: Path) -> list[Flowable]:
    story: list[Flowable] = [*_header(report), *_summary(report)]
    story += [Spacer(1, 8), _fitted(picture), Spacer(1, 3)]
    story.append(_p("Above without, below with the labels. Radiological convention: the person's right is on the picture's left.", _SMALL))
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
    colour = _GOOD if report.quality.verdict == "good" else _WARN
    facts = [
        ("Scan", _latin(scan.name)),
        ("Format", f"{scan.format}; {size} voxels of {spacing} mm; {scan.orientation}"),
        ("Quality", f'<font color="{colour.hexval()}"><b>{report.quality.verdict}</b></font> ({report.quality.score:.2f})'),
        ("Confidence", f"<b>{report.confidence:.2f}</b> of 1, over all sentences"),
        ("Job", report.job),
    ]
    sequence = _sequence(scan.facts)
    if sequence:
        facts.insert(2, ("Sequence", sequence))
    rows = [[_p(name, _SMALL), Paragraph(text if name in ("Quality", "Confidence") else escape(text), _CELL)] for name, text in facts]
    table = Table(rows, colWidths=[24 * mm, _WIDTH - 24 * mm])
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 1.2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.2),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ]
        )
    )
    return [
        _p("Brain MRI: measurements", _TITLE),
        _p(report.limits, _SMALL),
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
    story: list[Flowable] = [_p("Summary", _HEADING)]
    rows = [_sentence(sentence, _LEAD) for sentence in report.sentences if sentence.section == SUMMARY]
    if rows:
        table = Table(rows, colWidths=[_WIDTH - 40 * mm, 24 * mm, 16 * mm])
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
        story.append(_p(f"Note: {reason}", ParagraphStyle("note", parent=_BODY, textColor=_WARN)))
    return story


def _findings(report: Report) -> list[Flowable]:
    """Every sentence with its support and confidence; sections in order."""
    story: list[Flowable] = []
    marked = _p(_HOW_TO_READ, _SMALL)
    findings = [sentence for sentence in report.sentences if sentence.section != SUMMARY]
    for place, (section, group) in enumerate(groupby(findings, key=lambda sentence: sentence.section)):
        sentences = list(group)
        head = [_p("Findings", _HEADING), marked, Spacer(1, 4)] if place == 0 else []
        table = Table([[_p(f"<b>{escape(section)}</b>", _CELL, raw=True), "", ""], *(_sentence(item) for item in sentences)],
                      colWidths=[_WIDTH - 40 * mm, 24 * mm, 16 * mm], repeatRows=1)  # fmt: skip
        table.setStyle(_rows(len(sentences)))
        story += [KeepTogether([*head, table]) if len(sentences) < 9 else table, Spacer(1, 5)]
    return story


def _sentence(sentence: Sentence, style: ParagraphStyle = _CELL) -> list[Any]:
    reason = f'<br/><font color="{_WARN.hexval()}" size="7.5">{escape(_latin(sentence.reason))}</font>' if sentence.reason else ""
    colour = _WARN if sentence.support == "unsupported" else _FAINT
    return [
        Paragraph(escape(_latin(_UNIT.sub("\\1\u00a0\\2", sentence.text))) + reason, style),
        Paragraph(f'<font color="{colour.hexval()}">{sentence.support}</font>', _CELL),
        Paragraph(f"{sentence.confidence:.2f}", _NUMBER),
    ]


def _tables(report: Report) -> list[Flowable]:
    by_name = {item.name: item for item in report.measurements}
    rows: list[list[Any]] = [_head("Structure", "Left, ml", "Right, ml", "Asymmetry, %", "Confidence")]
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
    paired = Table(rows, colWidths=[_WIDTH - 104 * mm, 26 * mm, 26 * mm, 28 * mm, 24 * mm], repeatRows=1)
    paired.setStyle(_rows(len(rows) - 1))
    totals: list[list[Any]] = [_head("Whole brain", "Value", "Confidence")]
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
    whole = Table(totals, colWidths=[_WIDTH - 70 * mm, 46 * mm, 24 * mm], repeatRows=1)
    whole.setStyle(_rows(len(totals) - 1))
    note = _p(_DEFINITIONS, _SMALL)
    return [KeepTogether([_p("Measurements", _HEADING), paired, Spacer(1, 3), note]), Spacer(1, 8), KeepTogether([whole])]


def _lesions(report: Report) -> list[Flowable]:
    shown = report.lesions[:40]
    rows: list[list[Any]] = [_head("Lesion", "Volume, ml", "Centre, mm (right, anterior, superior)", "Side", "Zone", right=(1,))]
    for place, lesion in enumerate(shown, 1):
        centre = ", ".join(f"{value:.0f}" for value in lesion.center_mm)
        rows.append(
            [
                _p(f"{place} ({lesion.kind})", _CELL),
                _p(number(lesion.volume_ml, "ml"), _NUMBER),
                _p(centre, _CELL),
                _p(lesion.side or "-", _CELL),
                _p(lesion.zone or "-", _CELL),
            ]
        )
    table = Table(rows, colWidths=[30 * mm, 24 * mm, _WIDTH - 112 * mm, 22 * mm, 36 * mm], repeatRows=1)
    table.setStyle(_rows(len(shown)))
    more = (
        [_p(f"{len(report.lesions) - len(shown)} smaller ones stand in report.json.", _SMALL)] if len(report.lesions) > len(shown) else []
    )
    return [Spacer(1, 4), _p("Lesions one by one", _HEADING), table, *more]


def _not_looked_at(report: Report) -> list[Flowable]:
    items = [_p(f"- {text}", _BODY) for text in report.not_looked_at]
    return [KeepTogether([_p("What was not looked at", _HEADING), *items])] if items else []


def _models(report: Report) -> list[Flowable]:
    rows: list[list[Any]] = [_head("Role", "Model and version", "Runs on", "Weights (sha256)", right=())]
    for model in report.models:
        rows.append(
            [
                _p(model.role, _CELL),
                _p(f"{model.name}, version {model.version}", _CELL),
                _p(f"{model.backend}, {model.device}", _CELL),
                _p(_halved(model.digest), _SMALL),
            ]
        )
    table = Table(rows, colWidths=[26 * mm, 48 * mm, 30 * mm, _WIDTH - 104 * mm])
    table.setStyle(_rows(len(rows) - 1))
    return [KeepTogether([_p("Models", _HEADING), table, Spacer(1, 6), _p(report.limits, _SMALL)])]


def _head(*names: str, right: Sequence[int] | None = None) -> list[Any]:
    ends = range(1, len(names)) if right is None else right
    return [_p(f"<b>{escape(name)}</b>", _NUMBER if place in ends else _CELL, raw=True) for place, name in enumerate(names)]


def _row(name: str, *values: str) -> list[Any]:
    return [_p(name, _CELL), *(_p(value, _NUMBER) for value in values)]


def _rows(count: int) -> TableStyle:
    return TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, _ACCENT),
            *(("LINEBELOW", (0, row), (-1, row), 0.25, _LINE) for row in range(1, count + 1)),
            *(("BACKGROUND", (0, row), (-1, row), _BAND) for row in range(2, count + 1, 2)),
            ("TOPPADDING", (0, 0), (-1, -1), 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ]
    )


def _fitted(picture: Path) -> Image:
    image = Image(str(picture))
    scale = _WIDTH / image.imageWidth
    image.drawWidth, image.drawHeight = _WIDTH, image.imageHeight * scale
    return image


def _footer(canvas: Any, document: Any, report: Report) -> None:
    canvas.saveState()
    canvas.setStrokeColor(_LINE)
    canvas.line(18 * mm, 15 * mm, A4[0] - 18 * mm, 15 * mm)
    canvas.setFont("Helvetica", 7.5)
    canvas.setFillColor(_FAINT)
    canvas.drawString(18 * mm, 11 * mm, "Workbench. For research only; not a medical device.")
    canvas.drawRightString(A4[0] - 18 * mm, 11 * mm, f"job {report.job}   page {document.page}")
    canvas.restoreState()


class _Rule(Flowable):
    """A thin line across the page."""

    def wrap(self, *size: float) -> tuple[float, float]:
        return _WIDTH, 1

    def draw(self) -> None:
        self.canv.setStrokeColor(_LINE)
        self.canv.line(0, 0, _WIDTH, 0)


def _p(text: str, style: ParagraphStyle, *, raw: bool = False) -> Paragraph:
    return Paragraph(text if raw else escape(_latin(text)), style)


def _halved(digest: str) -> str:
    return f"{digest[:32]} {digest[32:]}".strip()


def _latin(text: str | None) -> str:
    """The built-in fonts know Latin-1; other letters become '?' rather than boxes."""
    return (text or "").encode("cp1252", "replace").decode("cp1252")
