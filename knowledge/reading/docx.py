"""DOCX files: paragraphs, headings, lists, tables, text boxes, notes, headers and footers, in reading order.

The XML is walked directly: python-docx leaves out text boxes, content controls and tracked insertions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from infra.errors import CorruptFile
from knowledge.reading.builder import LEFT_OUT, Builder
from knowledge.reading.document import Limits
from knowledge.reading.docx_parts import Numbering, chart_table
from knowledge.reading.docx_parts import children as _children
from knowledge.reading.docx_parts import local as _local
from knowledge.reading.docx_parts import value as _value
from knowledge.reading.kinds import DOCX
from knowledge.reading.ooxml import Package

_LEAVE_OUT = {"del", "moveFrom", "instrText", "delText", "Fallback", "rPr", "pPr", "tblPr", "tcPr", "trPr", "sectPr", "fldData", "ctrlPr"}
_BREAKS = {"br": "\n", "cr": "\n", "tab": "\t", "noBreakHyphen": "-", "softHyphen": "", "ptab": "\t"}


def read_docx(path: Path, limits: Limits) -> dict[str, Any]:
    """Read a Word document.

    Raises:
        CorruptFile, PasswordProtected, TooLarge.
    """
    package = Package(path, limits)
    try:
        builder = Builder(limits)
        main = package.main_part()
        root = package.xml(main)
        body = next(_children(root, "body"), None) if root is not None else None
        if body is None:
            raise CorruptFile("The Word document is damaged: it has no body.")
        reader = _Reader(package, main, builder)
        reader.margins("header")
        reader.blocks(body)
        reader.notes()
        reader.margins("footer")
        _metadata(package, builder)
        if builder.blank:
            builder.warn("The document has no text to search or cite.")
        if package.damaged:
            builder.warn(LEFT_OUT.format("document"))
        return builder.result(DOCX, paged=False)
    finally:
        package.close()


class _Reader:
    """Walks a part; holds what its styles, numbering and notes say."""

    def __init__(self, package: Package, main: str, builder: Builder) -> None:
        self.package, self.builder = package, builder
        self.relations = package.relations(main)
        self.styles = self._styles()
        self.numbering = Numbering(self.part("numbering"), self.part("styles"))

    def part(self, kind: str) -> etree._Element | None:
        target = next((target for found, target in self.relations.values() if found == kind), None)
        return self.package.xml(target) if target else None

    def _styles(self) -> dict[str, tuple[int, bool]]:
        """Style id -> (heading level or 0, whether it is a list)."""
        root = self.part("styles")
        own: dict[str, tuple[int, bool, str | None]] = {}
        for style in _children(root, "style") if root is not None else ():
            identifier = _value(style, "styleId") or ""
            name = (_value(next(_children(style, "name"), None)) or identifier).lower()
            match = re.fullmatch(r"(?:heading|überschrift|titre|título)\s*(\d)", name)
            level = int(match[1]) if match else 1 if name == "title" else 2 if name == "subtitle" else 0
            if not level:
                outline = next((_value(item) for item in style.iter() if _local(item) == "outlineLvl"), None)
                level = int(outline) + 1 if outline and outline.isdigit() and int(outline) < 9 else 0
            base = _value(next(_children(style, "basedOn"), None))
            own[identifier] = (level, "list" in name, base)
        found = {}
        for identifier, (level, is_list, base) in own.items():
            for _ in range(8):
                if level or is_list or base not in own:
                    break
                level, is_list, base = own[base]
            found[identifier] = (level, is_list)
        return found

    def blocks(self, parent: etree._Element) -> None:
        """Every paragraph and table below ``parent``, in order."""
        for child in parent:
            name = _local(child)
            if name == "p":
                self._paragraph(child)
            elif name == "tbl":
                self._table(child)
            elif name not in _LEAVE_OUT and len(child):
                self.blocks(child)  # content controls, custom XML, insertions

    def _paragraph(self, paragraph: etree._Element) -> None:
        boxes: list[etree._Element] = []
        text = _text(paragraph, boxes)
        style, number = _number_of(paragraph)
        if text.strip() and (label := self.numbering.label(style, number)):
            text = f"{label} {text.lstrip()}"
        kind, level = self._kind(paragraph)
        self.builder.add(kind, text, level=level, gap="\n" if kind == "list" else "\n\n")
        self._charts(paragraph)
        for box in boxes:
            self.blocks(box)

    def _charts(self, paragraph: etree._Element) -> None:
        for item in paragraph.iter():
            if _local(item) == "chart" and (target := self.relations.get(_value(item, "id") or "")):
                root = self.package.xml(target[1])
                if root is not None:
                    self.builder.add("table", chart_table(root))

    def _kind(self, paragraph: etree._Element) -> tuple[str, int]:
        properties = next(_children(paragraph, "pPr"), None)
        if properties is None:
            return "paragraph", 0
        style = _value(next(_children(properties, "pStyle"), None)) or ""
        level, is_list = self.styles.get(style, (0, False))
        if not level and (match := re.fullmatch(r"(?i)heading(\d)", style)):
            level = int(match[1])
        outline = _value(next(_children(properties, "outlineLvl"), None))
        if outline and outline.isdigit() and int(outline) < 9:
            level = int(outline) + 1
        if level:
            return "heading", level
        return ("list", 0) if is_list or next(_children(properties, "numPr"), None) is not None else ("paragraph", 0)

    def _table(self, table: etree._Element) -> None:
        rows, boxes = [], []
        for row in _nearest(table, "tr"):
            cells = []
            for cell in _nearest(row, "tc"):
                # A cell is one line: its paragraphs, and tables in it, are joined by spaces.
                cells.append(" ".join(filter(None, (" ".join(_text(p, boxes).split()) for p in _paragraphs(cell)))))
            if any(cells):
                rows.append("\t".join(cells))
        self.builder.add("table", "\n".join(rows))
        for box in boxes:
            self.blocks(box)

    def notes(self) -> None:
        for kind, name in (("footnotes", "footnote"), ("endnotes", "endnote")):
            root = self.part(kind)
            for note in _children(root, name) if root is not None else ():
                if (_value(note, "type") or "normal") == "normal":
                    self.builder.add("footnote", " ".join(_text(p, []) for p in _paragraphs(note)))

    def margins(self, kind: str) -> None:
        """Headers or footers, each distinct text once."""
        seen: set[str] = set()
        for found, target in self.relations.values():
            root = self.package.xml(target) if found == kind else None
            if root is None:
                continue
            boxes: list[etree._Element] = []
            lines = [_text(p, boxes) for p in _paragraphs(root)] + [_text(p, []) for box in boxes for p in _paragraphs(box)]
            text = "\n".join(line for line in lines if line.strip())
            if text.strip() and text not in seen:
                seen.add(text)
                self.builder.add(kind, text)


def _text(node: etree._Element, boxes: list[etree._Element]) -> str:
    """Characters of a paragraph; text boxes anchored in it are collected, to be read after it."""
    parts: list[str] = []

    def walk(item: etree._Element) -> None:
        name = _local(item)
        if name in _LEAVE_OUT:
            return
        if name == "txbxContent":
            boxes.append(item)
        elif name == "t":
            parts.append("".join([item.text or "", *(child.tail or "" for child in item)]))  # around entities, which stay unexpanded
        elif name in _BREAKS:
            parts.append(_BREAKS[name])
        elif name == "sym":
            parts.append("•")
        elif name == "AlternateContent":
            chosen = next(_children(item, "Choice"), None)
            if chosen is not None and _has_text(chosen):
                walk(chosen)
            else:
                for fallback in _children(item, "Fallback"):
                    for child in fallback:
                        walk(child)
        else:
            math = name in ("f", "sSup", "sSub", "sSubSup", "rad", "nary", "d", "func", "m", "mr", "eqArr")
            for child in item:
                if math and parts and not parts[-1].endswith((" ", "\n", "\t")) and _local(child) in ("den", "sup", "sub", "e", "lim"):
                    parts.append({"den": "/", "sup": "^", "sub": "_"}.get(_local(child), " "))
                walk(child)
            if name == "p" and item is not node:
                parts.append(" ")

    for child in node:
        walk(child)
    return "".join(parts)


def _number_of(paragraph: etree._Element) -> tuple[str, tuple[str, int] | None]:
    """Style of a paragraph, and the (list, depth) it names itself."""
    properties = next(_children(paragraph, "pPr"), None)
    style = _value(next(_children(properties, "pStyle"), None)) or ""
    number = next(_children(properties, "numPr"), None)
    if number is None:
        return style, None
    depth = _value(next(_children(number, "ilvl"), None)) or "0"
    return style, (_value(next(_children(number, "numId"), None)) or "", int(depth) if depth.isdigit() else 0)


def _has_text(node: etree._Element) -> bool:
    return any(_local(item) == "t" and (item.text or "").strip() for item in node.iter())


def _paragraphs(node: etree._Element) -> Iterator[etree._Element]:
    """Paragraphs below ``node``, not those inside other paragraphs (text boxes)."""
    for child in node:
        if _local(child) == "p":
            yield child
        elif _local(child) not in _LEAVE_OUT:
            yield from _paragraphs(child)


def _nearest(node: etree._Element, name: str) -> Iterator[etree._Element]:
    """Descendants called ``name``, through wrappers, not into nested tables."""
    for child in node:
        local = _local(child)
        if local == name:
            yield child
        elif local not in ("tbl", "tr", "tc", "p") and local not in _LEAVE_OUT:
            yield from _nearest(child, name)


def _metadata(package: Package, builder: Builder) -> None:
    try:
        root = package.xml("docProps/core.xml")
    except CorruptFile:
        return
    for item in root if root is not None else ():
        text = " ".join((item.text or "").split())
        if text:
            builder.metadata[_local(item).lower()] = text[:500]
    builder.title = builder.metadata.get("title")
