"""A made rulebook and a made document that keeps most of its rules: as many pages and requirements as one likes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowledge.requirements import Requirement

WHO = ("branch", "data office", "supplier", "warehouse", "archive", "trading desk", "helpdesk", "audit team", "clinic", "laboratory")
WHAT = (
    "access list", "incident log", "training record", "client file", "backup tape", "price list", "visitor book", "exit plan",
    "key register", "complaint form", "sample label", "risk report", "vendor contract", "gift register", "retention schedule",
    "recovery test", "door alarm", "payment order", "staff badge", "cooling unit",
)  # fmt: skip
DOES = ("review", "update", "sign", "archive", "report", "inspect", "approve", "encrypt", "publish", "count")
WITHIN = ("24 hours", "three days", "ten days", "30 days", "six weeks", "three months", "six months", "one year")
FILLER = (
    "The {who} works in two shifts, and the morning shift hands the {what} over at noon.",
    "In the year before last the {what} of the {who} was kept on paper.",
    "Questions about the {what} are answered by the {who} on weekdays between nine and five.",
    "The {who} was founded when the firm moved to its second building, and has a {what} of its own since.",
    "A short history of the {what} stands in the annex, with pictures of the {who} at work.",
)


def make_requirements(count: int) -> list[Requirement]:
    """Different duties, the same ones each time; no prohibition, of which some pairs are read twice."""
    rows = [(who, what, does) for what in WHAT for who in WHO for does in DOES]
    chosen = random.Random(0).sample(rows, count)
    return [
        Requirement(f"R{number:03d}", f"The {who} must {does} the {what} within {WITHIN[number % len(WITHIN)]}.", topic=what)
        for number, (who, what, does) in enumerate(chosen, 1)
    ]


def write_document(path: Path, requirements: list[Requirement], pages: int) -> int:
    """A PDF of exactly so many pages of about 420 words, in which most requirements are kept, some broken and some missing;
    gives its words."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

    drawn, styles = random.Random(1), getSampleStyleSheet()
    said = {page: [] for page in range(pages)}
    for number, one in enumerate(requirements):
        if number % 5:  # every fifth is missing, and every fifth has another period
            period = WITHIN[number % len(WITHIN)]
            text = one.text if number % 5 > 1 else one.text.replace(period, WITHIN[(number + 3) % len(WITHIN)])
            said[drawn.randrange(pages)].append(text.replace("must", "shall"))
    parts: list[Any] = []
    words = 0
    for page in range(pages):
        parts.append(Paragraph(f"{page + 1} On the {drawn.choice(WHAT)}", styles["Heading2"]))
        sentences = [*said[page], *_filler(drawn, page + 1, 26)]
        drawn.shuffle(sentences)
        for start in range(0, len(sentences), 5):
            text = " ".join(sentences[start : start + 5])
            words += len(text.split())
            parts.append(Paragraph(text, styles["BodyText"]))
        parts.append(PageBreak())
    SimpleDocTemplate(str(path), pagesize=A4, title="Manual of procedures", invariant=1).build(parts)
    return words


def _filler(drawn: random.Random, page: int, count: int) -> Iterator[str]:
    """Sentences that ask for nothing, no two the same."""
    for number in range(1, count + 1):
        text = drawn.choice(FILLER).format(who=drawn.choice(WHO), what=drawn.choice(WHAT))
        yield f"{text[:-1]} (note {page}.{number})."
