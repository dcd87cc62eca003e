"""What the reader gets from a file: pages, blocks and metadata. Light: the reading child imports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from knowledge.reading.tables import Cell

BlockKind = Literal["heading", "paragraph", "list", "table", "header", "footer", "footnote"]
KINDS: tuple[str, ...] = get_args(BlockKind)
PAGE_BREAK = "\f"
RECORD = "application/x-ndjson"  # media type of a document that was one line of a .jsonl file


@dataclass(frozen=True)
class Limits:
    """What one document may cost. Exceeding any is a refusal (TooLarge), never a crash of the caller.

    Attributes:
        max_file_mb: largest file read at all.
        max_memory_mb: private memory of the reading process.
        stall_cpu_seconds: processor time one page (or the opening) may take; a page that takes more is skipped with a warning.
        stall_wall_seconds: the same by the clock, far larger, for a machine that is busy or a reader that sleeps.
        seconds: processor time of the whole document without OCR.
        max_pages: pages of a PDF.
        max_characters: characters of the document's text.
        max_unpacked_mb: size of a DOCX's parts, unpacked; its central directory is asked before anything is unpacked, and
            the unpacking itself stops there, since a directory can lie.
        ocr: whether scanned pages are recognised.
        ocr_pages: scanned pages recognised; later ones stay empty, with a warning.
        ocr_seconds: processor time for one scanned page.
    """

    max_file_mb: int = 512
    max_memory_mb: int = 1000
    stall_cpu_seconds: float = 4.0
    stall_wall_seconds: float = 60.0
    seconds: float = 300.0
    max_pages: int = 10_000
    max_characters: int = 50_000_000
    max_unpacked_mb: int = 100
    ocr: bool = True
    ocr_pages: int = 500
    ocr_seconds: float = 40.0


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        number: from 1.
        start: offset of its text in the document's text.
        text: its text.
        recognised: read by OCR from a picture of the page.
    """

    number: int
    start: int
    text: str
    recognised: bool = False

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Block:
    """A piece of the structure: the characters ``start`` to ``end`` of the document's text.

    Attributes:
        level: depth of a heading, from 1; 0 for other kinds.
        headings: the headings above it, outermost first (a heading is not among its own).
        cells: of a table, where its cells are known; row by row.
    """

    kind: BlockKind
    start: int
    end: int
    page: int
    level: int = 0
    headings: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Document:
    """A file that was read.

    Attributes:
        name: file name.
        media_type: by content.
        pages: at least one; a format without pages has exactly one, and ``paged`` is False.
        blocks: in text order, without overlap; between them stands white space only.
        title: the document's own title, or None.
        language: ISO 639-1 code, or None where the text does not tell.
        metadata: what the file says of itself (author, dates, subject, attachments ...), strings.
        warnings: a sentence each, for a person.
        left_out: passages that stand in the file and that a reader does not see; the warnings quote them, shortened.
    """

    name: str
    media_type: str
    pages: tuple[Page, ...]
    blocks: tuple[Block, ...]
    paged: bool
    title: str | None = None
    language: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The pages' texts joined by one form feed each."""
        return PAGE_BREAK.join(page.text for page in self.pages)

    @property
    def empty(self) -> bool:
        """Whether there is nothing that could be searched or cited."""
        return sum(len(page.text.split()) for page in self.pages) == 0

    def pages_of(self, start: int, end: int) -> tuple[int, int] | None:
        """First and last page number of a span; None where the document has no pages."""
        if not self.paged:
            return None
        touched = [p.number for p in self.pages if p.start < max(end, start + 1) and p.end >= start]
        return (touched[0], touched[-1]) if touched else None


def as_kb_read(document: Document) -> dict[str, Any]:
    """The contract of ``workbench kb read --json``."""
    return {
        "document": document.name,
        "title": document.title,
        "media_type": document.media_type,
        "language": document.language,
        "pages": [{"page": p.number, "start": p.start, "text": p.text} for p in document.pages],
        "warnings": list(document.warnings),
    }


def with_paths(
    blocks: Sequence[tuple[str, int, int, int, int]], text: str, cells: Mapping[int, Sequence[Sequence[int]]] | None = None
) -> tuple[Block, ...]:
    """Blocks from ``(kind, start, end, page, level)`` in text order, each with the headings above it.

    Args:
        cells: position of a block -> its cells as ``(row, column, rows, columns, start, end, header)``.
    """
    stack: list[tuple[int, str]] = []
    out = []
    for position, (kind, start, end, page, level) in enumerate(blocks):
        if kind == "heading":
            while stack and stack[-1][0] >= level:
                stack.pop()
        own = tuple(Cell(item[0], item[1], item[2], item[3], item[4], item[5], bool(item[6])) for item in (cells or {}).get(position, ()))
        out.append(Block(kind, start, end, page, level, tuple(title for _, title in stack), own))  # type: ignore[arg-type]
        if kind == "heading":
            stack.append((level, " ".join(text[start:end].split())[:200]))
    return tuple(out)
