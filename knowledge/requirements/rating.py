"""Sentences that say how bad it is to break the clause they stand in: "Failures are rated high.", "A breach is critical."

Such a sentence asks for nothing itself. Rules of English, as in :mod:`knowledge.requirements.wording`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from knowledge.reading import Document
from knowledge.requirements.contract import Severity
from knowledge.requirements.spans import ITEM, Span
from knowledge.requirements.wording import is_labelled, modality_of, without_marks

LONGEST = 20
"""Words; a longer sentence says more than a rating."""
_LEVELS: dict[str, Severity] = {
    "critical": "critical",
    "high": "high",
    "severe": "high",
    "serious": "high",
    "major": "high",
    "medium": "medium",
    "moderate": "medium",
    "low": "low",
    "minor": "low",
}
_BE = r"(?:is|are|(?:shall|will|must|should|may) (?:each )?be|constitutes?|counts?|ranks?|carr(?:y|ies)|has|have)"
_RATED = (
    r"(?:rated|ranked|graded|scored|classed|classified|categori[sz]ed|considered|regarded|treated|deemed|assigned|given|held|to be|of|as)\b"
)
_LEVEL = rf"(?P<level>{'|'.join(_LEVELS)})"
_KIND = (
    r"(?:severity|priority|risk|importance|criticality|rating|breach(?:es)?|violations?|failures?|matters?|incidents?|offences?"
    r"|finding|findings|requirements?|obligations?|dut(?:y|ies)|rules?|controls?)"
)
_SAID = re.compile(
    rf"^(?P<subject>.+?)\s+{_BE}\s+(?:(?:always|never less than|at least)\s+)?(?P<rated>(?:{_RATED}\s+)*)(?:an?\s+|the\s+)?"
    rf"{_LEVEL}(?:[ -]{_KIND})?(?P<rest>\s*[.;!]?|[,;]\s.*)$",
    re.IGNORECASE,
)
_FAILING = re.compile(
    r"\b(?:breach(?:es|ing)?|violat\w+|fail(?:s|ed|ing|ures?)?|non[- ]?(?:compliance|conformity|observance)|infring\w+|infractions?"
    r"|contraven\w+|defaults?|deviations?|departures?|lapses?|omissions?|late|missed|missing|overdue|incomplete|unauthori[sz]ed"
    r"|(?:the )?severity|(?:this|these|the above|such an?) (?:clauses?|requirements?|obligations?|dut(?:y|ies)|rules?|controls?"
    r"|prohibitions?|sections?|paragraphs?))\b|^(?:this|these|it|they)$",
    re.IGNORECASE,
)
"""The subject is the breaking of the clause, or the clause."""
_OPEN = re.compile(r"\b(?:if|whether|where|when|whenever|unless|how|which|that|who|not|no)\b", re.IGNORECASE)
"""The sentence supposes it, asks for it, or denies it: it does not say it."""
_SCALE = re.compile(rf"\bor (?:{'|'.join(_LEVELS)})\b", re.IGNORECASE)
_ACT = re.compile(r"^(?:\w+ly\s+)?\w{3,}ing\b(?:\s+\S+){0,6}$", re.IGNORECASE)
"""The subject is what somebody does: "Tipping off is critical."."""


def rated_severity(text: str) -> Severity | None:
    """The severity that a sentence gives to breaking its clause; None where it is no such sentence.

    "Demand is high." rates nothing: without a word like "rated" the subject has to be a failing or an act.
    """
    line = without_marks(text)
    found = _SAID.match(line) if len(line.split()) <= LONGEST else None
    if found is None:
        return None
    subject, level, rest = found["subject"], _LEVELS[found["level"].lower()], found["rest"]
    if _OPEN.search(subject) or _SCALE.search(rest) or modality_of(rest):
        return None
    if _FAILING.search(subject) or (_ACT.match(subject) and level == "critical"):
        return level
    return None


def clause_beginnings(document: Document, spans: Sequence[Span]) -> list[bool]:
    """For each span whether a clause begins with it: a paragraph does, and a number; not an item of a list that is
    introduced, nor a rating that stands in a paragraph of its own below what it rates."""
    blocks, place = document.blocks, -1
    found: list[bool] = []
    for span in spans:
        before = place
        while place + 1 < len(blocks) and blocks[place + 1].start <= span.start:
            place += 1
        labelled = is_labelled(span.text)
        own = labelled and not (span.lead and ITEM.match(span.text))
        goes_on = bool(span.lead) or (not labelled and rated_severity(span.text) is not None)
        other = before >= 0 and blocks[place].headings != blocks[before].headings
        found.append(own or other or (place != before and not goes_on))
    return found
