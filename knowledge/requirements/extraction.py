"""Requirements out of a policy's text: every sentence (or item of a list) that obliges, forbids or permits."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from knowledge.reading import Document
from knowledge.requirements.contract import Requirement, Severity, Source
from knowledge.requirements.rating import clause_beginnings, rated_severity
from knowledge.requirements.spans import ITEM, Span, spans_of
from knowledge.requirements.wording import leading_tag, modality_of, read_wording, tagged_severity, without_marks

VERSION = "2"
"""Raised when the same text would give other requirements: collections are then extracted again."""
FEWEST_WORDS, MOST_WORDS = 4, 120
_NUMBERING = re.compile(
    r"^(?:(?:part|chapter|section|article|annex|schedule|appendix)\s+)?[\dIVXLC]+(?:\.\d+)*[.):]?\s+|^[#\s]+", re.IGNORECASE
)


def extract_requirements(document: Document, *, collection_id: str = "") -> list[Requirement]:
    """The requirements of a policy, in its order. Their ids follow from the document's name and their words.

    Items of a list are completed by the sentence that introduces it, so each requirement can be read alone. A sentence that
    rates a breach of its clause ("Failures are rated high.") is none: it gives the clause's requirements their severity, but
    those that have a tag of their own and those that an earlier such sentence rated.
    """
    found: list[Requirement] = []
    seen: Counter[str] = Counter()
    spans = spans_of(document)
    leads = {span.lead for span in spans if span.lead}
    unrated: list[int] = []  # requirements of the clause, as rows of ``found``
    for span, begins in zip(spans, clause_beginnings(document, spans), strict=True):
        before, _ = leading_tag(span.text)
        if before and found:
            found[-1] = replace(found[-1], severity=before)
            unrated = [row for row in unrated if row != len(found) - 1]
        unrated = [] if begins else unrated
        if rated := rated_severity(leading_tag(span.text)[1]):
            for row in unrated:
                found[row] = replace(found[row], severity=rated)
            unrated = []
            continue
        for text, tagged in _sentences(span, leads):
            wording = read_wording(text)
            if wording is None or not FEWEST_WORDS <= len(text.split()) <= MOST_WORDS:
                continue
            digest = hashlib.sha256(f"{document.name}\n{text.lower()}".encode()).hexdigest()
            seen[digest] += 1
            severity = tagged or wording.severity
            if tagged is None:
                unrated.append(len(found))
            found.append(
                Requirement(
                    id=hashlib.sha256(f"{digest}\n{seen[digest]}".encode()).hexdigest()[:16],
                    text=text,
                    modality=wording.modality,
                    severity=severity,
                    topic=topic_of(document, span),
                    subject=wording.subject,
                    action=wording.action,
                    condition=wording.condition,
                    exception=wording.exception,
                    source=Source(document.name, document.title, span.page, span.start, span.end, span.text, collection_id),
                )
            )
    return found


def _sentences(span: Span, leads: set[str]) -> Iterator[tuple[str, Severity | None]]:
    """The span as a sentence of its own, and the severity that a tag gives it."""
    own = leading_tag(span.text)[1]
    text, tagged = without_marks(own), tagged_severity(own)
    if any(text.endswith(lead) or lead.endswith(text) for lead in leads if lead):
        return  # it introduces a list: its items are the requirements
    lead = without_marks(span.lead) if span.lead else ""
    if lead and ITEM.match(span.text) and modality_of(lead):
        item = re.sub(r"[;,]?\s*(?:and|or)?$", "", text.rstrip(";, ")).rstrip(";,")
        if modality_of(text) is None or text[:1].islower():
            lead_words = re.sub(r"\s*(?:the following(?: \w+)?)?\s*[:—-]\s*$", "", lead)
            text = f"{lead_words} {item[:1].lower() + item[1:] if item[1:2].islower() else item}"
    yield text if text.endswith((".", "!", "?")) else text.rstrip(";:, ") + ".", tagged


def topic_of(document: Document, span: Span) -> str:
    """The policy's own word for it: the outermost heading below the title, without its number; else the title."""
    parts = [part for part in span.heading.split(" > ") if part]
    title = (document.title or "").strip().lower()
    named = next((part for part in reversed(parts) if part.strip().lower() != title), document.title or "")
    cleaned = " ".join(_NUMBERING.sub("", named).split())
    return cleaned[:60].rstrip(" :.")
