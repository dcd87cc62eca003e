"""The starter set: five policies and two sample documents, in our own words, frozen before anything was trained for them.

``starter/policies/*.md`` are the policies of a fictional firm. ``starter/documents`` has a manual that keeps to all of them and
procedures with planted breaches; the JSON beside each lists what is planted, by policy and clause. ``starter/frozen.json`` has the
digest of every file: none of them is changed to suit a model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import CorruptFile, NotFound

STARTER = Path(__file__).parent / "starter"
POLICIES = STARTER / "policies"
COLLECTION = "Starter policies"
DESCRIPTION = "Five policies of a fictional firm: data protection, outsourcing, anti-money laundering, conflicts of interest, records."


class PolicyClause(BaseModel):
    """A numbered clause of a policy; ``policy`` is the file's name."""

    model_config = ConfigDict(frozen=True)

    policy: str
    clause: str


class PlantedBreach(PolicyClause):
    """A breach that was written into a sample; of one that leaves something out, ``section`` and ``quote`` are None."""

    kind: Literal["period", "number", "negated duty", "prohibited act", "missing"]
    section: str | None
    quote: str | None


class Planted(BaseModel):
    """What was written into a sample document."""

    model_config = ConfigDict(frozen=True)

    document: str
    breaches: tuple[PlantedBreach, ...]
    unmentioned_prohibitions: tuple[PolicyClause, ...]


@dataclass(frozen=True)
class SampleDocument:
    """A bundled document: its name in addresses, its file's name, and what a person reads."""

    name: str
    file: str
    title: str
    text: str

    @property
    def markdown(self) -> str:
        """Its text as it was written."""
        return (STARTER / "documents" / Path(self.file).with_suffix(".md").name).read_text()

    @property
    def planted(self) -> Planted:
        """What was written into it.

        Raises:
            CorruptFile: the list beside it is damaged.
        """
        path = STARTER / "documents" / f"{Path(self.file).stem}.breaches.json"
        try:
            return Planted.model_validate_json(path.read_text())
        except ValidationError as error:
            raise CorruptFile(f"{path.name} is damaged; install the package again.") from error


SAMPLES: Mapping[str, SampleDocument] = {
    sample.name: sample
    for sample in (
        SampleDocument(
            "pellworth",
            "pellworth-operating-procedures.pdf",
            "Operating procedures",
            "A fictional payment institution; contains violations in every chapter.",
        ),
        SampleDocument(
            "calder-wren",
            "calder-wren-compliance-manual.pdf",
            "Compliance manual",
            "A fictional wealth manager; complies with all starter policies.",
        ),
    )
}


def find_sample(name: str) -> SampleDocument:
    """Raises NotFound where there is no sample of that name."""
    if name not in SAMPLES:
        raise NotFound(f"Unknown sample '{name}'. Available: {', '.join(SAMPLES)}.")
    return SAMPLES[name]


def policy_clause(policy: str, clause: str) -> str:
    """The text of a clause of a starter policy, without its number.

    Raises:
        NotFound: no such policy, or no such clause in it.
    """
    path = POLICIES / policy
    found = re.search(rf"(?m)^{re.escape(clause)} (.+)$", path.read_text()) if path.is_file() else None
    if found is None:
        raise NotFound(f"The starter policies have no clause {clause} in '{policy}'.")
    return found[1]


def write_sample(name: str, folder: Path) -> Path:
    """Write a sample as a PDF into ``folder`` and give its path; the same bytes every time.

    Raises:
        NotFound: there is no such sample.
    """
    sample = find_sample(name)
    path = folder / sample.file
    markdown_pdf(sample.markdown, path)
    return path


def markdown_pdf(text: str, path: Path) -> None:
    """Set headings and paragraphs of a Markdown text as an A4 document with numbered pages (no tables, no lists)."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate

    ink, blue = colors.HexColor("#1b2733"), colors.HexColor("#173f6c")
    body = ParagraphStyle("body", fontName="Times-Roman", fontSize=10.5, leading=14.5, textColor=ink, spaceAfter=7)
    styles = {
        "#": ParagraphStyle("title", parent=body, fontName="Helvetica-Bold", fontSize=20, leading=25, textColor=blue, spaceAfter=10),
        "##": ParagraphStyle(
            "chapter", parent=body, fontName="Helvetica-Bold", fontSize=13.5, leading=18, textColor=blue, spaceBefore=12, keepWithNext=1
        ),
        "###": ParagraphStyle(
            "section", parent=body, fontName="Helvetica-Bold", fontSize=11, leading=15, textColor=ink, spaceBefore=6, keepWithNext=1
        ),
    }
    story: list[Flowable] = []
    title = ""
    for block in re.split(r"\n\s*\n", text.strip()):
        marks, _, heading = block.partition(" ")
        if marks in styles:
            title = title or heading
            story.append(Paragraph(escape(heading), styles[marks]))
        else:
            story.append(Paragraph(escape(" ".join(block.split())), body))

    def foot(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(colors.HexColor("#5b6b7b"))
        canvas.drawString(24 * mm, 13 * mm, title)
        canvas.drawRightString(A4[0] - 24 * mm, 13 * mm, f"{document.page}")
        canvas.restoreState()

    document = SimpleDocTemplate(
        str(path), pagesize=A4, leftMargin=24 * mm, rightMargin=24 * mm, topMargin=22 * mm, bottomMargin=22 * mm, invariant=1,
        title=title, author="Workbench starter set",
    )  # fmt: skip
    document.build(story, onFirstPage=foot, onLaterPages=foot)
