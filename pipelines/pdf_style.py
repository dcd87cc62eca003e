"""How a report looks on paper (A4), whatever it reports: type, colours, tables and the line at the foot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph, Table, TableStyle

rl_config.useA85 = 0  # pictures as bytes: as text they would be a quarter larger and take a second

INK, FAINT, LINE, BAND = (colors.HexColor(code) for code in ("#1b2733", "#5b6b7b", "#cfd8e1", "#f2f5f8"))
ACCENT, WARN, GOOD, BAD = (colors.HexColor(code) for code in ("#1f5f8b", "#9a5b00", "#1d6b45", "#a3282d"))
MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=13.5, textColor=INK)
NOTE = ParagraphStyle("note", parent=BODY, textColor=WARN)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=8, leading=11, textColor=FAINT)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=8.5, leading=11)
NUMBER = ParagraphStyle("number", parent=CELL, alignment=TA_RIGHT)
TITLE = ParagraphStyle("title", parent=BODY, fontName="Helvetica-Bold", fontSize=18, leading=22)
HEADING = ParagraphStyle(
    "heading", parent=BODY, fontName="Helvetica-Bold", fontSize=11.5, leading=15, textColor=ACCENT, spaceBefore=10, spaceAfter=4
)


class Model(Protocol):
    """A model that took part: the role it played, its version, the sha256 of its weights, and what ran it."""

    @property
    def role(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def device(self) -> str: ...


def print_report(path: Path, story: list[Flowable], *, title: str, subject: str, foot: tuple[str, str]) -> None:
    """Write ``story`` to ``path``. The same story gives the same bytes.

    Args:
        title, subject: the document's own properties.
        foot: at the foot of every page, on the left, and on the right before the page's number.
    """
    document = BaseDocTemplate(
        str(path), pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=18 * mm, bottomMargin=20 * mm, invariant=1,
        title=latin(title), author="Workbench", subject=subject,
    )  # fmt: skip
    frame = Frame(document.leftMargin, document.bottomMargin, document.width, document.height, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate(frames=[frame], onPage=lambda canvas, doc: _foot(canvas, doc.page, *foot)))
    document.build(story)


def paragraph(text: str | None, style: ParagraphStyle, *, raw: bool = False) -> Paragraph:
    """``text`` as it stands; with ``raw`` it is ReportLab's markup."""
    return Paragraph(text or "" if raw else escape(latin(text)), style)


def heading_row(*names: str, right: Sequence[int] = ()) -> list[Any]:
    """A table's first row; the columns ``right`` (from 0) hold numbers."""
    return [paragraph(f"<b>{escape(name)}</b>", NUMBER if place in right else CELL, raw=True) for place, name in enumerate(names)]


def banded(count: int) -> TableStyle:
    """A table of a :func:`heading_row` and ``count`` rows, every second one tinted."""
    return TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, ACCENT),
            *(("LINEBELOW", (0, row), (-1, row), 0.25, LINE) for row in range(1, count + 1)),
            *(("BACKGROUND", (0, row), (-1, row), BAND) for row in range(2, count + 1, 2)),
            ("TOPPADDING", (0, 0), (-1, -1), 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ]
    )


def tight() -> TableStyle:
    """Names and what they stand for, without lines."""
    edges = (("TOPPADDING", (0, 0), (-1, -1), 1.2), ("BOTTOMPADDING", (0, 0), (-1, -1), 1.2), ("LEFTPADDING", (0, 0), (-1, -1), 0))
    return TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *edges])


def models_table(models: Iterable[Model]) -> Table:
    """Which version of which model took part."""
    rows: list[list[Any]] = [heading_row("Role", "Model and version", "Runs on", "Weights (sha256)")]
    for model in models:
        rows.append(
            [
                paragraph(model.role, CELL),
                paragraph(f"{model.name}, version {model.version}", CELL),
                paragraph(f"{model.backend}, {model.device}", CELL),
                paragraph(f"{model.digest[:32]} {model.digest[32:]}".strip(), SMALL),
            ]
        )
    table = Table(rows, colWidths=[26 * mm, 48 * mm, 30 * mm, WIDTH - 104 * mm])
    table.setStyle(banded(len(rows) - 1))
    return table


def latin(text: str | None) -> str:
    """The built-in fonts know Latin-1; other letters become '?' rather than boxes (the other formats keep them)."""
    return (text or "").encode("cp1252", "replace").decode("cp1252")


def _foot(canvas: Any, page: int, left: str, right: str) -> None:
    canvas.saveState()
    canvas.setStrokeColor(LINE)
    canvas.line(MARGIN, 15 * mm, A4[0] - MARGIN, 15 * mm)
    canvas.setFont("Helvetica", 7.5)
    canvas.setFillColor(FAINT)
    canvas.drawString(MARGIN, 11 * mm, left)
    canvas.drawRightString(A4[0] - MARGIN, 11 * mm, f"{latin(right)}   page {page}")
    canvas.restoreState()
