"""An analysis as a Word document that a reviewer can edit and send on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docx import Document
from docx.shared import Cm, Pt, RGBColor

from pipelines.compliance.actions import recommended
from pipelines.compliance.contract import ComplianceReport, RequirementVerdict
from pipelines.compliance.wording import (
    LIMITS,
    RISK_WORDS,
    STANDINGS,
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

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLOURS = {"violated": "A3282D", "missing": "9A5B00", "satisfied": "1D6B45", "silent": "5B6B7B", "permission": "5B6B7B"}
_FAINT = "5B6B7B"


def write_docx(report: ComplianceReport, path: Path) -> None:
    """Write the analysis to ``path``."""
    document = Document()
    document.core_properties.title = _clean(f"Compliance analysis: {report.document}")[:255]
    document.core_properties.author = "Workbench"
    normal: Any = document.styles["Normal"]
    normal.font.name, normal.font.size = "Calibri", Pt(10.5)
    for section in document.sections:
        section.left_margin = section.right_margin = Cm(2.2)
        section.top_margin = section.bottom_margin = Cm(2)
    document.add_heading("Compliance analysis", 0)
    _say(document, report.document, bold=True)
    _say(document, f"Policies: {policies_line(report)}", colour=_FAINT)
    _say(document, LIMITS, colour=_FAINT)
    document.add_heading(f"Score {report.grade.score:.0f} of 100: {RISK_WORDS[report.grade.risk].lower()}", 1)
    _say(document, headline(report), bold=True)
    for sentence in (*report.warnings, *explained(report)):
        _say(document, sentence)
    found = gaps(report)
    document.add_heading("Gaps and recommended actions", 1)
    if not found:
        _say(document, "No gaps found.")
    for number, one in enumerate(found, 1):
        _gap(document, number, one)
    _all(document, report)
    if report.own:
        document.add_heading("Obligations in the document not covered by a policy", 1)
        for own in report.own:
            document.add_paragraph(_clean(on_one_line(own.text) + (f" (page {own.page})" if own.page else "")), style="List Bullet")
    document.add_heading("Models", 1)
    for model in report.models:
        _say(document, f"{model.role}: {model.name}, version {model.version}, {model.backend} on {model.device}, sha256 {model.digest}")
    document.save(str(path))


def _gap(document: Any, number: int, one: RequirementVerdict) -> None:
    where, evidence, action = standing(one), deciding(one), recommended(one)
    sure = "decided by a reviewer" if one.reviewed else f"probability {getattr(one.probabilities, one.verdict):.2f}"
    paragraph = document.add_paragraph()
    paragraph.paragraph_format.keep_with_next = True
    paragraph.paragraph_format.space_before = Pt(8)
    _run(paragraph, f"{number}. {STANDINGS[where]}", bold=True, colour=_COLOURS[where])
    _run(paragraph, f"   {one.requirement.severity} severity, {sure}{', conflicting evidence' if one.conflict else ''}", colour=_FAINT)
    lines = [(policy_place(one.requirement.source), one.requirement.text)]
    if evidence:
        lines.append((f"Document, {evidence_place(evidence)}", evidence.text))
    if action:
        lines.append(("What to do", action.text))
    for name, text in lines:
        paragraph = document.add_paragraph()
        paragraph.paragraph_format.left_indent = Cm(0.6)
        paragraph.paragraph_format.space_after = Pt(2)
        _run(paragraph, f"{name}: ", colour=_FAINT)
        _run(paragraph, on_one_line(text, 900))


def _all(document: Any, report: ComplianceReport) -> None:
    document.add_heading("All requirements", 1)
    table = document.add_table(rows=1, cols=5)
    table.style = "Light Grid Accent 1"
    for cell, name in zip(table.rows[0].cells, ("Requirement", "Severity", "Finding", "Probability", "Page"), strict=True):
        cell.text = name
    for one in report.requirements:
        where, evidence = standing(one), deciding(one)
        texts = (
            on_one_line(one.requirement.text, 400),
            one.requirement.severity,
            STANDINGS[where] + (" (reviewed)" if one.reviewed else ""),
            "" if where == "permission" else f"{getattr(one.probabilities, one.verdict):.2f}",
            str(evidence.page) if evidence and evidence.page else "",
        )
        for cell, text in zip(table.add_row().cells, texts, strict=True):
            cell.text = _clean(text)
    for row in table.rows:
        for cell, width in zip(row.cells, (8.4, 1.9, 3.0, 2.1, 1.2), strict=True):
            cell.width = Cm(width)
            for paragraph in cell.paragraphs:
                for run in paragraph.runs:
                    run.font.size = Pt(9)
                    run.font.bold = row is table.rows[0]


def _say(document: Any, text: str, *, bold: bool = False, colour: str = "") -> None:
    _run(document.add_paragraph(), text, bold=bold, colour=colour)


def _run(paragraph: Any, text: str, *, bold: bool = False, colour: str = "") -> None:
    run = paragraph.add_run(_clean(text))
    run.bold = bold
    if colour:
        run.font.color.rgb = RGBColor.from_string(colour)


def _clean(text: str) -> str:
    """Without the characters that XML forbids: documents may hold them, Word files may not."""
    return _NOT_XML.sub("", text)
