"""An analysis on paper (A4): score and risk first, then every gap with both sides and its action, then all requirements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Paragraph, Spacer, Table, TableStyle

from pipelines.compliance.actions import recommended
from pipelines.compliance.contract import ComplianceReport, RequirementVerdict
from pipelines.compliance.wording import (
    LIMITS,
    MEANINGS,
    RISK_WORDS,
    STANDINGS,
    counted,
    deciding,
    evidence_place,
    explained,
    gaps,
    headline,
    on_one_line,
    policies_line,
    policy_place,
    standing,
)
from pipelines.pdf_style import (
    ACCENT,
    BAD,
    BAND,
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
    models_table,
    paragraph,
    print_report,
    tight,
)

_COLOURS = {"violated": BAD, "missing": WARN, "satisfied": GOOD, "silent": FAINT, "permission": FAINT}
_RISKS = {"low": GOOD, "medium": WARN, "high": BAD, "critical": BAD}

_LEAD = ParagraphStyle("lead", parent=BODY, fontName="Helvetica-Bold", fontSize=12, leading=16)


def write_pdf(report: ComplianceReport, path: Path) -> None:
    """Write the analysis to ``path``. The same analysis gives the same bytes."""
    print_report(
        path,
        [*_header(report), *_score(report), *_gaps(report), *_all(report), *_own(report), *_made(report)],
        title=f"Compliance analysis: {report.document}",
        subject="For review",
        foot=("Workbench. For review; not legal advice.", report.document[:70]),
    )


def _header(report: ComplianceReport) -> list[Flowable]:
    facts = [("Document", report.document), ("Policies", policies_line(report)), ("SHA-256 of the file", report.sha256)]
    rows = [[paragraph(name, SMALL), paragraph(text, CELL)] for name, text in facts if text]
    table = Table(rows, colWidths=[24 * mm, WIDTH - 24 * mm])
    table.setStyle(tight())
    return [paragraph("Compliance analysis", TITLE), paragraph(LIMITS, SMALL), Spacer(1, 6), table, Spacer(1, 8)]


def _score(report: ComplianceReport) -> list[Flowable]:
    risk = _RISKS[report.grade.risk]
    number = ParagraphStyle("score", parent=BODY, fontName="Helvetica-Bold", fontSize=30, leading=34, textColor=ACCENT)
    left = [Paragraph(f'{report.grade.score:.0f}<font size="11" color="{FAINT.hexval()}"> of 100</font>', number)]
    left += [Paragraph(f'<font color="{risk.hexval()}"><b>{RISK_WORDS[report.grade.risk]}</b></font>', BODY)]
    count = counted(report.requirements)
    said = " &nbsp; ".join(
        f'<font color="{_COLOURS[name].hexval()}"><b>{number}</b></font> {STANDINGS[name].lower()}'
        for name, number in count.items()
        if number
    )
    right = [paragraph(headline(report), _LEAD), Spacer(1, 4), _bar(count), Spacer(1, 3), Paragraph(said, SMALL)]
    table = Table([[left, right]], colWidths=[40 * mm, WIDTH - 40 * mm])
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), BAND),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                *((side, (0, 0), (-1, -1), 10) for side in ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING", "BOTTOMPADDING")),
            ]
        )
    )
    why = [paragraph(sentence, SMALL) for sentence in explained(report)]
    notes = [paragraph(f"Note: {warning}", NOTE) for warning in report.warnings]
    return [table, Spacer(1, 6), *notes, *why]


def _bar(count: dict[Any, int]) -> Drawing:
    """How the requirements stand, as one bar; permissions are left out."""
    shown = {name: number for name, number in count.items() if name != "permission" and number}
    width, x = WIDTH - 62 * mm, 0.0
    drawing = Drawing(width, 7)
    for name, number in shown.items():
        part = width * number / sum(shown.values())
        bar: Any = Rect(x, 0, part - 0.8, 7)
        bar.fillColor, bar.strokeColor = LINE if name == "silent" else _COLOURS[name], None
        drawing.add(bar)
        x += part
    return drawing


def _gaps(report: ComplianceReport) -> list[Flowable]:
    found = gaps(report)
    if not found:
        return [paragraph("Gaps", HEADING), paragraph("No gaps found.", BODY)]
    story: list[Flowable] = [paragraph(f"Gaps and recommended actions ({len(found)})", HEADING)]
    for number, one in enumerate(found, 1):
        story.append(KeepTogether([_gap(number, one), Spacer(1, 6)]))
    return story


def _gap(number: int, one: RequirementVerdict) -> Table:
    where, evidence, action = standing(one), deciding(one), recommended(one)
    conflict = ", conflicting evidence" if one.conflict else ""
    sure = "decided by a reviewer" if one.reviewed else f"probability {getattr(one.probabilities, one.verdict):.2f}"
    head = (
        f'<b>{number}. <font color="{_COLOURS[where].hexval()}">{STANDINGS[where]}</font></b> &nbsp; '
        f'<font color="{FAINT.hexval()}">{one.requirement.severity} severity, {sure}{conflict}</font>'
    )
    quote = on_one_line(evidence.text, 600) if evidence else "Not mentioned in the document."
    place = evidence_place(evidence) if evidence else "-"
    rows = [
        [Paragraph(head, CELL), ""],
        [paragraph(policy_place(one.requirement.source), SMALL), paragraph(on_one_line(one.requirement.text, 600), CELL)],
        [paragraph(f"Document, {place}" if evidence else "Document", SMALL), paragraph(quote, CELL)],
        [paragraph("Action", SMALL), paragraph(action.text if action else "", CELL)],
    ]
    table = Table(rows, colWidths=[36 * mm, WIDTH - 36 * mm])
    table.setStyle(
        TableStyle(
            [
                ("SPAN", (0, 0), (1, 0)),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBEFORE", (0, 0), (0, -1), 2, _COLOURS[where]),
                ("LINEBELOW", (0, -1), (-1, -1), 0.25, LINE),
                ("TOPPADDING", (0, 0), (-1, -1), 1.8),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.8),
                ("LEFTPADDING", (0, 0), (-1, -1), 6),
            ]
        )
    )
    return table


def _all(report: ComplianceReport) -> list[Flowable]:
    rows: list[list[Any]] = [heading_row("Requirement", "Severity", "Finding", "Probability", "Page", right=(3, 4))]
    for one in report.requirements:
        where, evidence = standing(one), deciding(one)
        finding = f'<font color="{_COLOURS[where].hexval()}">{STANDINGS[where]}</font>' + (" (reviewed)" if one.reviewed else "")
        rows.append(
            [
                paragraph(on_one_line(one.requirement.text, 240), CELL),
                paragraph(one.requirement.severity, CELL),
                Paragraph(finding, CELL),
                paragraph("-" if where == "permission" else f"{getattr(one.probabilities, one.verdict):.2f}", NUMBER),
                paragraph(str(evidence.page) if evidence and evidence.page else "-", NUMBER),
            ]
        )
    table = Table(rows, colWidths=[WIDTH - 88 * mm, 18 * mm, 32 * mm, 22 * mm, 16 * mm], repeatRows=1)
    table.setStyle(banded(len(rows) - 1))
    meaning = "; ".join(f"{STANDINGS[name]}: {text}" for name, text in MEANINGS.items()) + "."
    return [paragraph("All requirements", HEADING), paragraph(meaning, SMALL), Spacer(1, 4), table]


def _own(report: ComplianceReport) -> list[Flowable]:
    if not report.own:
        return []
    items = [paragraph(f"- {on_one_line(one.text)}{f' (page {one.page})' if one.page else ''}", CELL) for one in report.own[:40]]
    more = [paragraph(f"{len(report.own) - 40} more in the JSON file.", SMALL)] if len(report.own) > 40 else []
    return [paragraph("Obligations in the document not covered by a policy", HEADING), *items, *more]


def _made(report: ComplianceReport) -> list[Flowable]:
    took = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.seconds.items())
    return [
        KeepTogether(
            [
                paragraph("Models", HEADING),
                models_table(report.models),
                Spacer(1, 4),
                paragraph(f"Duration: {took}." if took else "", SMALL),
            ]
        )
    ]
