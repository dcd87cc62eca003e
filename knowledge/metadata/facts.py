"""What a document is: title, organisation, kind, period, dates. Proposed at ingestion, corrected by people."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from knowledge.reading.document import RECORD, Document

HEAD = 6000  # characters at the beginning that are asked
_LEGAL = r"(?:Inc|Incorporated|Corp|Corporation|Company|Co|Ltd|Limited|LLC|LLP|PLC|plc|GmbH|AG|SE|S\.A|N\.V|B\.V|SpA|Oy|AB)"
_INSTITUTION = r"(?:University|Hospital|Institute|Authority|Commission|Agency|Ministry|Department|Committee|Council|Foundation|Bank)"
_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_YEAR = r"(?:19[5-9]\d|20\d\d)"
_DATE = re.compile(
    rf"\b({_MONTH})\s+(\d{{1,2}}),?\s+({_YEAR})\b|\b(\d{{1,2}})\s+({_MONTH})\s+({_YEAR})\b|\b({_YEAR})-(\d\d)-(\d\d)\b", re.I
)
_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]

# First match wins: from the exact name of a form to what a title merely suggests.
KINDS: list[tuple[str, str]] = [
    ("10-k", r"form\s*10-?k\b|annual report pursuant to section 13|\b10-?k\b"),
    ("10-q", r"form\s*10-?q\b|quarterly report pursuant to section 13|\b10-?q\b"),
    ("8-k", r"form\s*8-?k\b|current report pursuant to section 13|\b8-?k\b"),
    ("20-f", r"form\s*20-?f\b"),
    ("earnings release", r"\bearnings\b|reports? (?:\w+[- ]){0,3}(?:quarter|year)\b.{0,60}results|financial results"),
    ("annual report", r"\bannual report\b"),
    ("agreement", r"non-?disclosure agreement|confidentiality agreement|\bagreement\b.{0,200}\b(?:by and between|between)\b|\bcontract\b"),
    ("privacy policy", r"privacy (?:policy|notice|statement)"),
    ("regulation", r"\bregulations?\b|\brulebook\b|\bdirective\b|\bstatutory instrument\b|\bact of (?:19|20)\d\d"),
    ("guideline", r"\bguidelines?\b|\brecommendations?\b"),
    ("policy", r"\bpolicy\b|\bcode of conduct\b|\bstandard operating procedure\b"),
    ("manual", r"\bhandbook\b|\bmanual\b|\buser guide\b"),
    ("article", r"\babstract\b|\bdoi:|\bjournal\b"),
]

FILINGS = {"10-k", "10-q", "8-k", "20-f", "earnings release"}


@dataclass(frozen=True)
class Facts:
    """Attributes are None where the document does not tell.

    Attributes:
        kind: one of :data:`KINDS`' names.
        year, quarter: the period the document is about (not when it was written).
        date: ISO date it bears.
        also: other names of the organisation: in the file's name, before it was renamed.
    """

    title: str | None = None
    organisation: str | None = None
    kind: str | None = None
    year: int | None = None
    quarter: int | None = None
    date: str | None = None
    language: str | None = None
    also: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None and value != ()}

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the organisation, squashed."""
        return tuple(dict.fromkeys(squash(name) for name in (self.organisation, *self.also) if name and squash(name)))

    def tags(self) -> tuple[str, ...]:
        """For the index's filters."""
        pairs = [("kind", self.kind), ("year", self.year), ("quarter", self.quarter), ("language", self.language)]
        pairs += [("organisation", name) for name in self.names]
        return tuple(f"{name}:{value}".lower() for name, value in pairs if value)


def squash(name: str) -> str:
    """A name without case, spaces, punctuation and legal form, to compare: "MGM Resorts, Inc." is ``mgmresorts``."""
    short = re.sub(rf"[,\s]+(?:{_LEGAL}|International|Holdings|Group)\b\.?|\.com\b", "", f" {name} ", flags=re.I)
    key = re.sub(r"[^a-z0-9]", "", (short if re.search(r"\w", short) else name).lower())
    # Letter-spaced titles ("I NTERNATIONAL") hide the word until the spaces are gone.
    return re.sub(r"(?<=...)(?:international|incorporated|corporation|holdings)$", "", key)


def extract_facts(document: Document) -> Facts:
    """Read the facts off the file's name, its own metadata and its first pages.

    A record (a line of a .jsonl file) is too short to tell who it is by; only what its fields say counts.
    """
    if document.media_type == RECORD:
        return _record_facts(document)
    head = document.text[:HEAD]
    name = _from_name(document.name)
    kind = name.get("kind") or _kind(document, head)
    year, quarter = name.get("year"), name.get("quarter")
    stated = _period(head)
    stated_name, filed_under = _organisation(document, head), name.get("organisation")
    formerly = re.findall(r"formerly (?:known as |named )?([A-Z][\w&.]*(?: [A-Z][\w&.]*){0,3})", head[:3000])
    organisation = stated_name or filed_under
    period = year or stated[0]
    quarter = quarter or (stated[1] if stated[0] == period and kind not in ("10-k", "annual report") else None)
    title = _title(document)
    if organisation and period and kind in FILINGS:
        # All filings bear the regulator's title: who, what and when says more.
        title = f"{organisation} {kind.upper() if kind[0].isdigit() else kind} {f'Q{quarter} ' if quarter else ''}{period}"
    return Facts(
        title=title,
        organisation=organisation,
        also=tuple(
            other for other in dict.fromkeys([filed_under, *formerly[:2]]) if other and stated_name and squash(other) != squash(stated_name)
        ),
        kind=kind,
        year=period,
        quarter=quarter,
        date=_date(document, head),
        language=document.language,
    )


def _record_facts(document: Document) -> Facts:
    stated = document.metadata
    year = next((int(m[0]) for key in ("year", "period", "doc_period", "date") if (m := re.search(_YEAR, stated.get(key, "")))), None)
    return Facts(
        title=document.title,
        organisation=stated.get("organisation") or stated.get("organization") or stated.get("company"),
        kind=stated.get("kind") or stated.get("type"),
        year=year,
        date=stated.get("date"),
        language=document.language,
    )


def _from_name(name: str) -> dict[str, Any]:
    """``ACME_2022Q4_EARNINGS.pdf``: what people put in file names, between separators."""
    found: dict[str, Any] = {}
    parts = [part for part in re.split(r"[_\s,]+|(?<!\d)-|-(?!\d)", PurePosixPath(name).stem) if part]
    lead: list[str] = []
    for part in parts:
        if match := re.fullmatch(rf"(?:FY|CY)?({_YEAR})(?:-?Q([1-4]))?", part, re.I):
            found.setdefault("year", int(match[1]))
            if match[2]:
                found["quarter"] = int(match[2])
        elif match := re.fullmatch(rf"Q([1-4])(?:-?(?:FY)?({_YEAR}))?", part, re.I):
            found["quarter"] = int(match[1])
            if match[2]:
                found.setdefault("year", int(match[2]))
        elif match := re.fullmatch(r"(10|8|20)-?([kqf])(?:a)?", part, re.I):
            found["kind"] = f"{match[1]}-{match[2].lower()}"
        elif part.lower() == "earnings":
            found["kind"] = "earnings release"
        elif not found:
            lead.append(part)
    # Only a name that is built this way says who; "my scan (3)" does not.
    if lead and len(found) >= 2 and any(c.isupper() for c in "".join(lead)):
        found["organisation"] = " ".join(lead)
    return found


def _title(document: Document) -> str | None:
    own = document.title
    if (
        own
        and re.search(r"[^\W\d_]{3}", own)
        and not re.search(r"^(untitled|microsoft word|document\d*|layout \d|slide \d)|\.(docx?|pdf|indd|qxd|tmp)$", own, re.I)
    ):
        return own[:300]
    for block in document.blocks[:30]:
        text = " ".join(document.text[block.start : block.end].split())
        if block.kind == "heading" and 3 < len(text) <= 200 and re.search(r"[^\W\d]{3}", text):
            return text.lstrip("# ")
    return None


def _organisation(document: Document, head: str) -> str | None:
    flat = re.sub(r"[ \t]+", " ", head)
    if match := re.search(r"([^\n]{2,80})\s*\n*\s*\(?\s*exact name of (?:the )?registrant", flat, re.I):
        return _name(match[1].replace("\t", " "))
    names = Counter(
        _name(m[0]) for m in re.finditer(rf"\b[A-Z][\w&'’.-]*(?: (?:of|and|&|the|[A-Z0-9][\w&'’.-]*)){{0,5}},? {_LEGAL}\b\.?", flat)
    )
    names.update(
        _name(m[0])
        for m in re.finditer(rf"\b(?:[A-Z][\w&'’-]* ){{1,4}}{_INSTITUTION}\b|\b{_INSTITUTION} (?:of|for) (?:[A-Z][\w&'’-]* ?){{1,4}}", flat)
    )
    for name in list(names):
        if re.search(r"\b(?:Stock Exchange|Securities|Nasdaq|Internal Revenue)\b|\b(?:the|this|each) \w+$", name, re.I):
            del names[name]
    if names:
        return names.most_common(1)[0][0]
    stated = document.metadata.get("company") or document.metadata.get("organisation")
    return stated or None


def _name(text: str) -> str:
    return " ".join(text.split()).strip(" ,.;:_-*")[:120]


def _kind(document: Document, head: str) -> str | None:
    for place in (document.title or "", document.name.replace("_", " "), head[:3000]):
        for kind, pattern in KINDS:
            if re.search(pattern, place, re.I | re.S):
                return kind
    return None


def _period(head: str) -> tuple[int | None, int | None]:
    """Fiscal year and quarter, from the sentence that states them, else from the first lines."""
    flat = " ".join(head.split())
    ordinals = {"first": 1, "second": 2, "third": 3, "fourth": 4}
    if match := re.search(rf"\b(first|second|third|fourth)[- ]quarter(?:,? (?:of )?(?:fiscal )?(?:year )?)? ?({_YEAR})", flat[:2500], re.I):
        return int(match[2]), ordinals[match[1].lower()]
    if match := re.search(rf"fiscal year(?:ly period)? ended:?\s*(?:{_MONTH})?\s*\d{{0,2}},?\s*({_YEAR})", flat, re.I):
        return int(match[1]), None
    if match := re.search(rf"(?:quarter(?:ly period)?|three months) ended:?\s*({_MONTH})\s*\d{{0,2}},?\s*({_YEAR})", flat, re.I):
        return int(match[2]), _MONTHS.index(match[1].lower()) // 3 + 1
    if match := re.search(rf"\b(?:year|fiscal|FY|annual report|for) ?({_YEAR})\b", flat[:1500], re.I):
        return int(match[1]), None
    years = Counter(re.findall(rf"\b{_YEAR}\b", flat[:1500]))
    return (int(years.most_common(1)[0][0]), None) if years else (None, None)


def _date(document: Document, head: str) -> str | None:
    if match := _DATE.search(head):
        day, month, year = (match[2], match[1], match[3]) if match[1] else (match[4], match[5], match[6])
        if match[7]:
            return match[0]
        return f"{year}-{_MONTHS.index(month.lower()) + 1:02d}-{int(day):02d}"
    stated = document.metadata.get("creationdate") or document.metadata.get("created") or document.metadata.get("date") or ""
    if match := re.search(r"(\d{4})-?(\d\d)-?(\d\d)", stated):
        return f"{match[1]}-{match[2]}-{match[3]}"
    return None
