"""Cut a document into chunks: by its structure first, by tokens second, never across sections or pages."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from knowledge.chunking.folding import folded
from knowledge.chunking.sentences import sentence_spans
from knowledge.chunking.tokens import TokenCounter
from knowledge.reading.document import Block, Document

_SPACE = re.compile(r"\s*")


@dataclass(frozen=True)
class ChunkOptions:
    """Sizes of chunks, in tokens of the embedding model unless said otherwise.

    Attributes:
        tokens: most a chunk's own text has. With its context it must fit the model (256 for MiniLM).
        overlap: about what a chunk repeats of the one before it, in whole sentences; tables repeat nothing.
        context: most that title, headings and a table's column names take.
        characters: most a chunk's own text has in characters, whatever its tokens. A word of more than 100 characters is one
            unknown token to MiniLM, so tokens alone do not bound a text.
    """

    tokens: int = 200
    overlap: int = 40
    context: int = 50
    characters: int = 4000


@dataclass(frozen=True)
class Chunk:
    """A passage to be indexed.

    Attributes:
        index: position in the document, from 0.
        start, end: characters of the document's text; ``text`` is exactly what stands there.
        page: page of its first character, None where the document has no pages; last_page likewise.
        headings: the headings above it, outermost first.
        kind: of its first block that is no heading.
        context: what is embedded before the text: headings, and the column names of a table that began earlier.
        tokens: tokens of ``text``.
    """

    index: int
    start: int
    end: int
    text: str
    page: int | None
    last_page: int | None
    headings: tuple[str, ...]
    kind: str
    context: str
    tokens: int


def chunk_document(document: Document, counter: TokenCounter, options: ChunkOptions | None = None) -> list[Chunk]:
    """All chunks of ``document`` in text order. Page headers and footers are in none."""
    options = options or ChunkOptions()
    text = document.text
    chunks: list[Chunk] = []
    for section in _sections(document.blocks):
        start, end = section[0].start, section[-1].end
        ruler = _Ruler(counter, text[start:end], start, options)
        body = next((block for block in section if block.kind != "heading"), section[-1])
        path = body.headings or section[-1].headings
        for first, last, names in _pack(section, text, ruler, options):
            pages = document.pages_of(first, last) or (None, None)
            kind = next((block.kind for block in section if block.end > first and block.kind != "heading"), body.kind)
            context = _cut(" > ".join([*path, *([names] if names else [])]), counter, options)
            chunks.append(
                Chunk(len(chunks), first, last, text[first:last], pages[0], pages[1], path, kind, context, ruler.count(first, last))
            )
    return chunks


def embedding_text(title: str | None, context: str, text: str) -> str:
    """What is searched of a chunk, by words and by meaning: its title and headings, then its own text, folded."""
    head = " > ".join(part for part in (title, context) if part)
    return folded(f"{head}\n{text}" if head else text)


def _sections(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Runs of blocks under one heading and on one page. A heading directly above another heading opens the same section."""
    section: list[Block] = []
    for block in blocks:
        if block.kind in ("header", "footer"):
            continue
        if section:
            only_headings = all(item.kind == "heading" for item in section)
            deeper = block.kind == "heading" and only_headings and block.level > section[-1].level
            same = block.kind != "heading" and (only_headings or block.headings == section[-1].headings)
            if block.page != section[-1].page or not (deeper or same):
                yield section
                section = []
        section.append(block)
    if section:
        yield section


class _Ruler:
    """Counts tokens between offsets of one section, tokenised once."""

    def __init__(self, counter: TokenCounter, text: str, offset: int, options: ChunkOptions) -> None:
        self.starts = [start + offset for start in counter.starts(text)]
        self._options = options

    def count(self, start: int, end: int) -> int:
        return bisect.bisect_left(self.starts, end) - bisect.bisect_left(self.starts, start)

    def fits(self, start: int, end: int) -> bool:
        """Whether the text between two offsets may be one chunk."""
        return end - start <= self._options.characters and self.count(start, end) <= self._options.tokens

    def cut(self, start: int, end: int) -> int:
        """The last offset up to which the text from ``start`` may be one chunk, at most ``end``."""
        at = bisect.bisect_left(self.starts, start) + self._options.tokens
        by_tokens = self.starts[at] if at < len(self.starts) and self.starts[at] > start else end
        return min(by_tokens, start + self._options.characters, end)


def _pack(section: list[Block], text: str, ruler: _Ruler, options: ChunkOptions) -> Iterator[tuple[int, int, str]]:
    """``(start, end, column names)`` of each chunk of a section."""
    units = [unit for block in section for unit in _units(block, text, ruler)]
    first = 0
    while first < len(units):
        last = first
        while last + 1 < len(units) and ruler.fits(units[first].start, units[last + 1].end):
            last += 1
        # A heading belongs to what follows it.
        while last > first and last + 1 < len(units) and units[last].heading:
            last -= 1
        yield units[first].start, units[last].end, units[first].names
        if last + 1 >= len(units):
            return
        following = last + 1
        back = following
        while back - 1 > first and units[back - 1].prose and ruler.count(units[back - 1].start, units[last].end) <= options.overlap:
            back -= 1
        # The overlap must leave room for something new.
        first = back if ruler.fits(units[back].start, units[following].end) else following


@dataclass(frozen=True)
class _Unit:
    """What is not cut without need: a sentence, a row of a table, a heading."""

    start: int
    end: int
    prose: bool
    heading: bool
    names: str


def _units(block: Block, text: str, ruler: _Ruler) -> Iterator[_Unit]:
    if block.kind == "table":
        spans = [(m.start() + block.start, m.end() + block.start) for m in re.finditer(r"[^\n]*\S[^\n]*", text[block.start : block.end])]
        names = _column_names([text[start:end] for start, end in spans[:4]])
    elif block.kind == "heading":
        spans, names = [(block.start, block.end)], ""
    else:
        spans, names = sentence_spans(text[block.start : block.end], block.start), ""
    for number, (start, end) in enumerate(spans):
        while not ruler.fits(start, end):
            start = _after_space(text, start, end)
            cut = ruler.cut(start, end)
            space = text.rfind(" ", start + 1, cut)
            cut = space if space > start + (cut - start) // 2 else cut
            if cut >= end:
                break
            yield _Unit(start, cut, False, False, names if number else "")
            start = _after_space(text, cut, end)
        if start < end:
            yield _Unit(start, end, block.kind != "table", block.kind == "heading", names if number else "")


def _after_space(text: str, start: int, end: int) -> int:
    """Where the white space at ``start`` ends."""
    found = _SPACE.match(text, start, end)
    return found.end() if found else start


def _column_names(rows: list[str]) -> str:
    """The first rows of a table, up to the first with mostly numbers in its cells, if they look like names of columns."""
    names: list[str] = []
    for row in rows:
        cells = [cell for cell in row.replace("|", "\t").split("\t") if cell.strip()]
        numbers = sum(
            1 for cell in cells if re.fullmatch(r"[\s$€£¥(+–—-]*[\d.,]+[\s%)]*", cell) and not re.fullmatch(r"\s*(19|20)\d\d\s*", cell)
        )
        if numbers > len(cells) / 2:
            break
        if not re.fullmatch(r"[\s|:-]*", row):
            names.append(" ".join(row.replace("|", " ").split()))
    return " ".join(names[:3])[:300] if len(names) < len(rows) else (names[0][:300] if names else "")


def _cut(context: str, counter: TokenCounter, options: ChunkOptions) -> str:
    # The innermost headings say most.
    context = context[-options.characters :]
    starts = counter.starts(context)
    return context if len(starts) <= options.context else context[starts[len(starts) - options.context] :]
