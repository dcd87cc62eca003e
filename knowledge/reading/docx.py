"""DOCX files: paragraphs, headings, lists, tables, text boxes, notes, headers and footers, in reading order.

The XML is walked directly: python-docx leaves out text boxes, content controls, tracked insertions, notes and fields, and does
not know what formatting hides.
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from infra.errors import CorruptFile, WorkbenchError
from knowledge.reading.builder import LEFT_OUT, Builder
from knowledge.reading.document import Limits
from knowledge.reading.docx_numbering import Numbering
from knowledge.reading.docx_parts import chart_table
from knowledge.reading.docx_parts import children as _children
from knowledge.reading.docx_parts import local as _local
from knowledge.reading.docx_parts import value as _value
from knowledge.reading.docx_runs import DELETED, RunStyles, shading_of
from knowledge.reading.docx_text import SILENT, Inline, Notes, Where, paragraphs, words_of
from knowledge.reading.kinds import DOCX, File
from knowledge.reading.ooxml import Package
from knowledge.reading.tables import Raw

_OFF = ("0", "false", "off")
_MOST_NESTED = 3  # documents inside documents


def read_docx(file: File, limits: Limits) -> dict[str, Any]:
    """Read a Word document.

    Raises:
        CorruptFile, PasswordProtected, TooLarge.
    """
    package = Package(file, limits)
    try:
        builder = Builder(limits)
        add_docx(package, builder)
        _metadata(package, builder)
        if builder.blank:
            builder.warn("The document has no text to search or cite.")
        return builder.result(DOCX, paged=False)
    finally:
        package.close()


def add_docx(package: Package, builder: Builder, *, depth: int = 0) -> None:
    """Append the text of a Word document to ``builder``; ``depth`` is how many documents it is inside of."""
    main = package.main_part()
    root = package.xml(main)
    body = next(_children(root, "body"), None) if root is not None else None
    if body is None:
        raise CorruptFile("The Word document is damaged: it has no body.")
    reader = _Reader(package, main, builder, depth)
    reader.margins("header", root)
    reader.blocks(body, Where())
    reader.loose_notes()
    reader.margins("footer", root)
    reader.comments()
    if package.damaged:
        builder.warn(LEFT_OUT.format("document"))


class _Reader:
    """Walks a part; holds what its styles, numbering and notes say."""

    def __init__(self, package: Package, main: str, builder: Builder, depth: int) -> None:
        self.package, self.builder, self.depth = package, builder, depth
        self.relations = package.relations(main)
        self.styles = self._styles()
        self.numbering = Numbering(self.part("numbering"), self.part("styles"))
        self.runs = RunStyles(self.part("styles"))
        self.settings = self.part("settings")
        notes = {"footnoteReference": self._notes("footnote", "decimal"), "endnoteReference": self._notes("endnote", "lowerRoman")}
        self.inline = Inline(builder, self.runs, notes, self._diagram)
        self._carried = ""

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

    def _notes(self, kind: str, form: str) -> Notes:
        root = self.part(f"{kind}s")
        said = next(_children(self.settings, f"{kind}Pr"), None)
        start = _value(next(_children(said, "numStart"), None)) or "1"
        return Notes(
            kind,
            _value(next(_children(said, "numFmt"), None)) or form,
            int(start) if start.isdigit() and len(start) < 6 else 1,
            {_value(note, "id") or "": note for note in _children(root, kind) if (_value(note, "type") or "normal") == "normal"},
        )

    def _diagram(self, relation: str) -> str:
        target = self.relations.get(relation)
        root = self.package.xml(target[1]) if target else None
        texts = [
            "".join(t.text or "" for t in p.iter() if _local(t) == "t")
            for p in (root.iter() if root is not None else ())
            if _local(p) == "p"
        ]
        return "; ".join(text.strip() for text in texts if text.strip())

    def blocks(self, parent: etree._Element, where: Where) -> None:
        """Every paragraph and table below ``parent``, in order."""
        for child in parent:
            name = _local(child)
            if name == "p":
                self._paragraph(child, where)
            elif name == "tbl":
                self._table(child, where)
            elif name == "altChunk":
                self._chunk(child)
            elif name in ("del", "moveFrom"):
                self.builder.leave_out(DELETED, words_of(child))
            elif name == "AlternateContent":
                chosen = next(_children(child, "Choice"), None)
                chosen = chosen if chosen is not None else next(_children(child, "Fallback"), None)
                if chosen is not None:
                    self.blocks(chosen, where)
            elif name not in SILENT and len(child):
                self.blocks(child, where)  # content controls, custom XML, insertions

    def _text(self, paragraph: etree._Element, where: Where) -> tuple[str, str]:
        """Label and text of a paragraph."""
        properties = next(_children(paragraph, "pPr"), None)
        style = _value(next(_children(properties, "pStyle"), None)) or ""
        background = self.runs.background(properties, style) or where.background
        text = self.inline.text(paragraph, Where(style, background))
        mark = next(_children(properties, "rPr"), None)
        gone = not text.strip() and (
            next(_children(mark, "del"), None) is not None or self.runs.look(mark, style, background).hidden == "hidden text"
        )
        return "" if gone else self.numbering.label(style, properties), text

    def _paragraph(self, paragraph: etree._Element, where: Where) -> None:
        label, text = self._text(paragraph, where)
        properties = next(_children(paragraph, "pPr"), None)
        if self._carried:
            text, self._carried = self._carried + text, ""
        elif label and text.strip():
            text = f"{label} {text.lstrip()}"
        mark = next(_children(properties, "rPr"), None)
        following = paragraph.getnext()
        if text.strip() and following is not None and _local(following) == "p":
            merged = [
                item for name in ("del", "vanish", "specVanish") for item in _children(mark, name) if (_value(item) or "1") not in _OFF
            ]
            if merged:  # Word shows the next paragraph on the same line
                self._carried = text
                return
        kind, level = self._kind(paragraph)
        self.builder.add(kind, text, level=level, gap="\n" if kind == "list" else "\n\n")
        self._charts(paragraph)
        self._after(where)

    def _after(self, where: Where) -> None:
        """Notes and text boxes whose marks and anchors were read."""
        marked, boxes = self.inline.marked[:], self.inline.boxes[:]
        self.inline.marked.clear()
        self.inline.boxes.clear()
        for mark, note in marked:
            self._note(mark, note)
        for box in boxes:
            self.blocks(box, Where(where.style, None))  # a box may be filled

    def _note(self, mark: str, note: etree._Element) -> None:
        text = " ".join(filter(None, (" ".join(self._text(p, Where())[1].split()) for p in paragraphs(note))))
        self.builder.add("footnote", f"[{mark}] {text}" if mark and text else text)

    def loose_notes(self) -> None:
        """Notes that no mark in the text refers to: no page shows them."""
        for notes in self.inline.notes.values():
            for identifier, note in notes.texts.items():
                if identifier not in notes.used:
                    self.builder.leave_out(f"a {notes.kind} without a mark in the text", words_of(note))

    def comments(self) -> None:
        root = self.part("comments")
        for comment in _children(root, "comment"):
            self.builder.leave_out("a comment in the margin", words_of(comment))

    def _chunk(self, node: etree._Element) -> None:
        """Another document inside this one, which Word shows as a part of it."""
        target = self.relations.get(_value(node, "id") or "", ("", ""))[1]
        name, extension = posixpath.basename(target), posixpath.splitext(target)[1].lower()
        try:
            content = self.package.read(target)
            if self.depth < _MOST_NESTED and add_part(content, extension, self.builder, self.depth + 1):
                return
        except (WorkbenchError, KeyError):
            pass
        self.builder.unread("document{s} inside the document", name or _value(node, "id") or "")

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
        return ("list", 0) if is_list or self.numbering.numbered(style, properties) else ("paragraph", 0)

    def _table(self, table: etree._Element, where: Where) -> None:
        properties = next(_children(table, "tblPr"), None)
        # A table's style may shade its cells: what stands behind their text is then not known.
        shaded = next(_children(properties, "tblStyle"), None) is not None
        rows: list[list[Raw]] = []
        merged: dict[int, Raw] = {}
        found = list(_nearest(table, "tr"))
        if len(found) == 1 and len(cells := list(_nearest(found[0], "tc"))) == 1:  # a frame around some paragraphs
            fill = shading_of(next(_children(cells[0], "tcPr"), None))
            self.blocks(cells[0], Where("", fill or (None if shaded else where.background)))
            return
        for row in found:
            about = next(_children(row, "trPr"), None)
            if next(_children(about, "del"), None) is not None:
                self.builder.leave_out(DELETED, words_of(row))
                continue
            if any((_value(item) or "1") not in _OFF for item in _children(about, "hidden")):
                self.builder.leave_out("hidden text", words_of(row))
                continue
            rows.append(self._row(row, about, merged, None if shaded else where.background))
        self.builder.add_table(rows)
        self._after(where)

    def _row(self, row: etree._Element, about: etree._Element | None, merged: dict[int, Raw], background: str | None) -> list[Raw]:
        header = any((_value(item) or "1") not in _OFF for item in _children(about, "tblHeader"))
        column = _number(_value(next(_children(about, "gridBefore"), None)), 0)
        cells = [Raw("", columns=column)] if column else []
        for cell in _nearest(row, "tc"):
            properties = next(_children(cell, "tcPr"), None)
            width = max(1, _number(_value(next(_children(properties, "gridSpan"), None)), 1))
            if next(_children(properties, "cellDel"), None) is not None:
                self.builder.leave_out(DELETED, words_of(cell))
                cells.append(Raw("", columns=width))
                column += width
                continue
            downwards = next(_children(properties, "vMerge"), None)
            across = next(_children(properties, "hMerge"), None)
            if across is not None and (_value(across) or "continue") == "continue" and cells:
                cells[-1].columns += width
            elif downwards is not None and (_value(downwards) or "continue") == "continue" and column in merged:
                merged[column].rows += 1
                self.builder.leave_out("in a merged cell", words_of(cell))
            else:
                fill = shading_of(properties)
                raw = Raw(self._cell(cell, Where("", fill or background)), 1, width, header)
                merged.pop(column, None)
                if downwards is not None:
                    merged[column] = raw
                cells.append(raw)
            column += width
        return cells

    def _cell(self, cell: etree._Element, where: Where) -> str:
        """A cell is one line: its paragraphs, and tables in it, are joined by spaces."""
        texts = []
        for paragraph in paragraphs(cell):
            label, text = self._text(paragraph, where)
            if text.strip():
                texts.append(f"{label} {text}" if label else text)
        return " ".join(" ".join(texts).split())

    def margins(self, kind: str, root: etree._Element | None) -> None:
        """Headers or footers that a page shows, each distinct text once."""
        shown = self._shown_margins(kind, root)
        seen: set[str] = set()
        for identifier, (found, target) in self.relations.items():
            part = self.package.xml(target) if found == kind else None
            if part is None:
                continue
            if identifier not in shown:
                self.builder.leave_out(f"a {kind} that no page shows", words_of(part))
                continue
            lines = [self._labelled(p) for p in paragraphs(part)]
            lines += [self._labelled(p) for box in self.inline.boxes for p in paragraphs(box)]
            self.inline.boxes.clear()
            text = "\n".join(line for line in lines if line.strip())
            if text.strip() and text not in seen:
                seen.add(text)
                self.builder.add(kind, text)

    def _labelled(self, paragraph: etree._Element) -> str:
        label, text = self._text(paragraph, Where("", None))
        return f"{label} {text}" if label and text.strip() else text

    def _shown_margins(self, kind: str, root: etree._Element | None) -> set[str]:
        even = any((_value(item) or "1") not in _OFF for item in _children(self.settings, "evenAndOddHeaders"))
        shown: set[str] = set()
        for section in root.iter() if root is not None else ():
            if _local(section) != "sectPr":
                continue
            first = any((_value(item) or "1") not in _OFF for item in _children(section, "titlePg"))
            for reference in _children(section, f"{kind}Reference"):
                page = _value(reference, "type") or "default"
                if page == "default" or (page == "first" and first) or (page == "even" and even):
                    shown.add(_value(reference, "id") or "")
        return shown


def add_part(content: bytes, extension: str, builder: Builder, depth: int) -> bool:
    """Append a document that stands inside another; whether its kind is one that is read there."""
    if extension in (".html", ".htm", ".xhtml", ".xht"):
        from knowledge.reading.html import add_html

        add_html(content, builder)
    elif extension in (".docx", ".docm", ".dotx"):
        package = Package(io.BytesIO(content), builder.limits)
        try:
            add_docx(package, builder, depth=depth)
        finally:
            package.close()
    elif extension == ".txt":
        from knowledge.reading.plain import decode

        for part in re.split(r"\n\s*\n", decode(content)[0]):
            builder.add("paragraph", part)
    else:
        return False
    return True


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and len(text) < 5 else default


def _nearest(node: etree._Element, name: str) -> Iterator[etree._Element]:
    """Descendants called ``name``, through wrappers, not into nested tables."""
    for child in node:
        local = _local(child)
        if local == name:
            yield child
        elif local not in ("tbl", "tr", "tc", "p") and local not in SILENT:
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
