"""Assembles a document's text, pages and blocks while a reader walks through a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from infra.errors import TooLarge
from knowledge.reading.document import PAGE_BREAK, Limits
from knowledge.reading.tables import Raw, write_table

# Form feeds separate pages and NUL breaks databases: neither may stand inside a text. Lone surrogates cannot be encoded.
_SPACING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FORBIDDEN = re.compile(r"[\ufffe\uffff\ud800-\udfff]")


QUOTED, LONGEST_QUOTE = 8, 300  # passages a warning quotes, and characters of each
MOST_LEFT_OUT = 10_000
LEFT_OUT = "A part of the {} is damaged, nested too deeply or too long to be read: what follows there was left out."


def clean(text: str) -> str:
    """``text`` without characters that no text should have; line ends are ``\\n``."""
    return _FORBIDDEN.sub("", _SPACING.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")))


def _shortened(words: str) -> str:
    return words if len(words) <= LONGEST_QUOTE else words[:LONGEST_QUOTE].rsplit(" ", 1)[0] + " ..."


class Builder:
    """Collects blocks; ``result()`` is plain JSON that crosses the process border."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.warnings: list[str] = []
        self._left_out: dict[tuple[str, int | None], list[str]] = {}
        self._unread: dict[str, list[str]] = {}
        self.metadata: dict[str, str] = {}
        self.title: str | None = None
        self._pages: list[dict[str, Any]] = []
        self._blocks: list[tuple[str, int, int, int, int]] = []
        self._cells: dict[int, list[list[int]]] = {}
        self._parts: list[str] = []
        self._length = 0
        self._page_start = 0
        self._recognised = False

    @property
    def pages(self) -> int:
        """Pages finished so far."""
        return len(self._pages)

    @property
    def blank(self) -> bool:
        """Whether no block was written yet."""
        return not self._blocks

    def warn(self, sentence: str) -> None:
        if sentence not in self.warnings and len(self.warnings) < 50:
            self.warnings.append(sentence)

    def leave_out(self, why: str, words: str, *, page: int | None = None) -> None:
        """Note that ``words`` stand in the file but a reader does not see them; :meth:`result` warns of them by ``why``."""
        words = " ".join(clean(words).split())
        if words:
            self._left_out.setdefault((why, page), []).append(words)

    def unread(self, what: str, name: str = "") -> None:
        """Note that ``what`` (a picture, an embedded page) is in the file and was not read; ``name`` tells which.

        ``{s}`` in ``what`` is where its plural has an s; by default at its end.
        """
        name = " ".join(clean(name).split())[:100]
        self._unread.setdefault(what, []).append(name)

    def add(self, kind: str, text: str, *, level: int = 0, gap: str = "\n\n") -> int:
        """Append a block after ``gap`` white space; gives the offset in the document where it starts."""
        text = clean(text).strip("\n ")
        if not text.strip():
            return self._length
        if self._parts:
            self._append(gap)
        start = self._length
        self._append(text)
        self._blocks.append((kind, start, self._length, len(self._pages) + 1, level if kind == "heading" else 0))
        return start

    def add_table(self, rows: Sequence[Sequence[Raw]], *, caption: str = "") -> None:
        """Append a table; ``caption`` is its first line."""
        text, cells = write_table([[Raw(clean(raw.text), raw.rows, raw.columns, raw.header) for raw in row] for row in rows])
        caption = " ".join(clean(caption).split())
        if not text.strip():
            self.add("paragraph", caption)
            return
        head = f"{caption}\n" if caption else ""
        whole = head + text
        lead = len(whole) - len(whole.lstrip("\n "))
        start = self.add("table", whole) - lead + len(head)
        self._cells[len(self._blocks) - 1] = [
            [c.row, c.column, c.rows, c.columns, start + c.start, start + c.end, int(c.header)] for c in cells
        ]

    def add_result(self, read: dict[str, Any], name: str) -> None:
        """Append what a reader gave (:meth:`result`) for a document called ``name`` inside this one."""
        text = PAGE_BREAK.join(page["text"] for page in read["pages"])
        cells = dict(read["cells"])
        for position, (kind, start, end, _, level) in enumerate(read["blocks"]):
            at = self.add(kind, text[start:end], level=level + 1 if kind == "heading" else 0, gap="\n" if kind == "list" else "\n\n")
            if position in cells:
                shift = at - start
                self._cells[len(self._blocks) - 1] = [[*cell[:4], cell[4] + shift, cell[5] + shift, cell[6]] for cell in cells[position]]
        for warning in read["warnings"]:
            self.warn(f"{name}: {warning}")

    def add_own_text(self, text: str, blocks: list[tuple[str, int, int, int]]) -> None:
        """The whole file's own text, with ``(kind, start, end, level)`` blocks over it."""
        self._append(text)
        self._blocks += [(kind, start, end, 1, level) for kind, start, end, level in blocks if text[start:end].strip()]

    def end_page(self, *, recognised: bool = False) -> None:
        """Finish the page that was being filled (possibly empty)."""
        text = "".join(self._parts)
        self._pages.append({"number": len(self._pages) + 1, "start": self._page_start, "text": text, "recognised": recognised})
        self._parts = []
        self._length += len(PAGE_BREAK)
        self._page_start = self._length

    def result(self, media_type: str, *, paged: bool) -> dict[str, Any]:
        if self._parts or not self._pages:
            self.end_page()
        self._tell()
        return {
            "media_type": media_type,
            "paged": paged,
            "pages": self._pages,
            "blocks": self._blocks,
            "cells": sorted(self._cells.items()),
            "title": self.title,
            "metadata": self.metadata,
            "warnings": self.warnings,
            "left_out": [words[:MOST_LEFT_OUT] for passages in self._left_out.values() for words in passages][:MOST_LEFT_OUT],
        }

    def _tell(self) -> None:
        """Warnings for all that was left out or not read, the words quoted."""
        for (why, page), passages in self._left_out.items():
            shown = [f'"{_shortened(words)}"' for words in dict.fromkeys(passages)]
            more = f" and {len(shown) - QUOTED} more" if len(shown) > QUOTED else ""
            self.warn(f"Left out{f' on page {page}' if page else ''}, {why}: {', '.join(shown[:QUOTED])}{more}.")
        for what, names in self._unread.items():
            named = [name for name in dict.fromkeys(names) if name]
            listed = f": {', '.join(named[:QUOTED])}{' and others' if len(named) > QUOTED else ''}" if named else ""
            counted = (what if "{s}" in what else f"{what}{{s}}").replace("{s}", "s" if len(names) > 1 else "")
            self.warn(f"Not read: {len(names)} {counted}{listed}.")

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        if self._length > self.limits.max_characters:
            raise TooLarge(f"The document's text is longer than {self.limits.max_characters:,} characters. Split it and upload the parts.")
