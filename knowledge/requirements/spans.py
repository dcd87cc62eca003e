"""A document cut into the spans that evidence is made of: sentences, items of lists, rows; each with what it is read with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from knowledge.chunking.sentences import sentence_spans
from knowledge.reading import Document

SHORT = 3
"""Letters; what has fewer is no span."""
LONG = 1200
"""Characters; a longer span (a table's row, a text without stops) is cut at a space."""
LEAD_WORDS = 30
"""Most words of a list's lead sentence that an item is read with."""
LEAD_SPANS = 9
"""How far above an item its lead sentence may stand, in spans."""

ITEM = re.compile(r"\s*(?:[•▪◦*–—-]|\(?(?:[a-z]{1,2}|[ivxlc]{1,5}|\d{1,2}(?:\.\d{1,2})*)[.)])\s", re.IGNORECASE)
_INLINE_ITEM = re.compile(r"\s(?=\((?:[a-z]|[ivx]{1,4}|\d{1,2})\)\s)", re.IGNORECASE)
_REFERENCE = re.compile(
    r"(?:sections?|paragraphs?|clauses?|articles?|items?|sub\w+|points?|and|or|to|through|\)|one|two|three|four|five|six|seven|eight|nine|ten|twelve|\w+teen|\w+ty)$",
    re.IGNORECASE,
)
_ENDED = re.compile(r"[.:;!?”\"]\s*$")
_HEADING = re.compile(r"^(?:(?:Section|Article|Clause)\s+)?(?:\(?[\dIVX][\dIVX.]*[.)]?\s+)?[A-Z][^.;:]{2,60}[.:]?$")
_NUMBERED = re.compile(r"^(?:(?:section|article|chapter|part)\s+)?(?:\d+(?:\.\d+)*[.):]?|[IVXLC]+[.):])\s+", re.IGNORECASE)
_SENTENCE = re.compile(r":$|^(?:\S+ ){4,}.*\b(?:must|shall|may|should)\b")
"""What a reader of plain text takes for a heading, and is none: it introduces a list, or is a sentence without a full stop."""
WRAPPED = 160
"""Characters: a text with no longer line than this may be wrapped; its line breaks then end nothing by themselves."""


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to ``end`` of the document's text.

    Attributes:
        page: from 1; None where the document has no pages.
        text: exactly what stands there.
        heading: the innermost headings above it, outermost first, joined by " > ".
        lead: the end of the sentence that introduces the list it is an item of; else empty.
        marked: the document says which lines are headings; else ``heading`` is a line above that looks like one.
    """

    page: int | None
    start: int
    end: int
    text: str
    heading: str = ""
    lead: str = ""
    marked: bool = False

    @property
    def premise(self) -> str:
        """What the entailment model reads: the span on one line, after what it needs to be understood.

        Marked headings come as a sentence without their numbers ("Information security, Access. Passwords are ..."): from "5 Information
        security > 5.2 Access" on a line of its own the small model takes that the span is about all kinds of things
        (``python -m tests.benchmarks.compliance_headings``). Contracts are trained with the line above.
        """
        text = " ".join(self.text.split())
        if self.heading and self.marked and not self.lead:
            names = [_NUMBERED.sub("", one).strip(" .:") for one in self.heading.split(" > ")]
            return f"{', '.join(filter(None, names))}. {text}" if any(names) else text
        before = self.lead or self.heading
        return f"{before}\n{text}" if before else text


def spans_of(document: Document) -> list[Span]:
    """The document's spans, in its order. Headers and footers are none, and headings only explain what follows them."""
    found: list[Span] = []
    heading = ""
    text, wrapped = document.text, _wrapped(document.text)
    for block in document.blocks:
        if block.kind in ("header", "footer"):
            continue
        path = " > ".join(heading.lstrip("# ") for heading in block.headings[-2:])  # Markdown's marks are no words
        if block.kind == "heading" and not _SENTENCE.search(" ".join(text[block.start : block.end].split())):
            continue
        heading = path
        for start, end in _pieces(text, block.start, block.end, wrapped, block.kind == "table"):
            piece = text[start:end]
            if sum(c.isalpha() for c in piece) < SHORT:
                continue
            pages = document.pages_of(start, end)
            lead = _lead(found, piece) if ITEM.match(piece) or piece[:1].islower() else ""
            own = _heading_above(found) if not path and not lead else ""
            found.append(Span(pages[0] if pages else None, start, end, piece, heading or own, lead, bool(heading)))
    return found


def _wrapped(text: str) -> bool:
    lines = [len(line) for line in text.splitlines() if line.strip()]
    return bool(lines) and max(lines) <= WRAPPED and sorted(lines)[len(lines) // 2] > 40


def _pieces(text: str, start: int, end: int, wrapped: bool, table: bool) -> Iterator[tuple[int, int]]:
    """Lines that stand by themselves, then sentences, then items inside a sentence; white space trimmed."""
    for a, b in _lines(text, start, end, wrapped and not table):
        for c, d in [(a, b)] if table else sentence_spans(text[a:b], a):
            yield from _cut(text, c, d)


def _lines(text: str, start: int, end: int, wrapped: bool) -> Iterator[tuple[int, int]]:
    begin = start
    for match in re.finditer(r"\n", text[start:end]):
        at = start + match.start()
        before, after = text[begin:at], text[at + 1 : end]
        if not before.strip():
            continue
        following = after.lstrip()
        last = before.rsplit("\n", 1)[-1]
        goes_on = following[:1].islower() and not ITEM.match(following)
        if wrapped:
            # Within a wrapped paragraph only a short line that ended, or an item's mark, tells that something new begins.
            ends = bool(ITEM.match(following)) or (bool(_ENDED.search(last)) and len(last) < 0.7 * WRAPPED / 2) or not following
        else:
            ends = not goes_on or last.rstrip()[-1:] in ",;:."
        if ends:
            yield begin, at
            begin = at + 1
    if text[begin:end].strip():
        yield begin, end


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begins = [start, *_items(text, start, end)]
    for begin, stop in zip(begins, [*begins[1:], end], strict=True):
        while stop - begin > LONG:
            at = text.rfind(" ", begin + LONG // 2, begin + LONG)
            at = at if at > 0 else begin + LONG
            yield from _trimmed(text, begin, at)
            begin = at
        yield from _trimmed(text, begin, stop)


def _items(text: str, start: int, end: int) -> list[int]:
    """Where items begin inside a sentence: "(a)", "(ii)"; not a reference to one, which a word like "paragraph"
    precedes, nor a number that is said twice: "five (5)"."""
    found = []
    for match in _INLINE_ITEM.finditer(text[start:end]):
        word = text[start : start + match.start()].rstrip().rpartition(" ")[2]
        follows = word.lower() in ("and", "or") and text[start : start + match.start()].rstrip()[: -len(word)].rstrip()[-1:] in ",;"
        if follows or not _REFERENCE.search(word):
            found.append(start + match.end())
    return found


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    part = text[start:end]
    begin = start + len(part) - len(part.lstrip())
    if part.strip():
        yield begin, begin + len(part.strip())


def _lead(before: list[Span], piece: str) -> str:
    """The sentence above that an item of a list goes on: the nearest one that ends with a colon or a dash."""
    for span in before[: -LEAD_SPANS - 1 : -1]:
        if span.text.endswith((":", "—", "-")):
            return " ".join(span.text.split()[-LEAD_WORDS:])
    return ""


def _heading_above(before: list[Span]) -> str:
    """A short line above that looks like a heading, where the reader found no headings."""
    for span in before[:-LEAD_SPANS:-1]:
        if _HEADING.match(span.text) and len(span.text.split()) <= 8:
            return " ".join(span.text.split())
    return ""
