"""The text of a Word paragraph as Word shows it: runs, fields, form controls, symbols, notes' marks; tracked changes accepted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lxml import etree

from knowledge.reading.builder import Builder
from knowledge.reading.docx_parts import children, local, value
from knowledge.reading.docx_runs import DELETED, Look, RunStyles
from knowledge.reading.numerals import written
from knowledge.reading.scripts import Part, joined
from knowledge.reading.symbols import glyph, is_symbol_font

SILENT = {
    "instrText", "delInstrText", "Fallback", "rPr", "pPr", "tblPr", "tblGrid", "tcPr", "trPr", "sectPr", "fldData", "ctrlPr", "sdtPr",
    "sdtEndPr", "customXmlPr", "smartTagPr", "rubyPr", "annotationRef", "footnoteRef", "endnoteRef", "oMathParaPr", "ffData",
}  # fmt: skip
_DELETED = {"del", "moveFrom"}
_BREAKS = {"br": "\n", "cr": "\n", "tab": "\t", "noBreakHyphen": "-", "softHyphen": "", "ptab": "\t"}
_MATH = {"f", "sSup", "sSub", "sSubSup", "rad", "nary", "d", "func", "m", "mr", "eqArr"}
_QUIET_FIELDS = {
    "XE",
    "TC",
    "TA",
    "RD",
    "SET",
    "BOOKMARK",
    "ASK",
    "PRIVATE",
    "PAGE",
    "NUMPAGES",
    "TOC",
    "INDEX",
    "TOA",
    "HYPERLINK",
    "FORMTEXT",
    "INCLUDEPICTURE",
}
_OFF = ("0", "false", "off")


@dataclass
class Notes:
    """Footnotes and endnotes by id, counted at their marks."""

    kind: str
    form: str = "decimal"
    next: int = 1
    texts: dict[str, etree._Element] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


@dataclass
class Where:
    """Where a paragraph stands: its style's id and the colour behind it (None: not known)."""

    style: str = ""
    background: str | None = "FFFFFF"


@dataclass
class _Field:
    instruction: str = ""
    shown: bool = False
    data: etree._Element | None = None


class Inline:
    """Reads paragraphs of one part.

    Args:
        runs: the document's run formatting.
        notes: ``footnoteReference`` and ``endnoteReference`` -> the notes.
        diagram: gives the words of a diagram (SmartArt) by its relation id.
    """

    def __init__(self, builder: Builder, runs: RunStyles, notes: dict[str, Notes], diagram: Callable[[str], str]) -> None:
        self.builder, self.runs, self.notes, self.diagram = builder, runs, notes, diagram
        self.boxes: list[etree._Element] = []
        """Text boxes anchored in what was read; whoever reads them empties the list."""
        self.marked: list[tuple[str, etree._Element]] = []
        """Notes whose marks were read, with their marks; likewise."""
        self._fields: list[_Field] = []

    def text(self, paragraph: etree._Element, where: Where) -> str:
        """The paragraph's text. Line breaks are ``\\n``, tabs ``\\t``."""
        walk = _Walk(self, where)
        for child in paragraph:
            walk.item(child)
        walk.end_hidden()
        return joined(walk.parts)

    def mark(self, reference: etree._Element, kind: str) -> str:
        """The mark of a note, which is counted; '' where the document sets a mark of its own or there is no such note."""
        notes, identifier = self.notes[kind], value(reference, "id") or ""
        note = notes.texts.get(identifier)
        if note is None:
            return ""
        own = (value(reference, "customMarkFollows") or "0") not in _OFF
        mark = "" if own else written(notes.next, notes.form)
        notes.next += not own
        notes.used.add(identifier)
        self.marked.append((mark, note))
        return mark


class _Walk:
    """One paragraph."""

    def __init__(self, inline: Inline, where: Where) -> None:
        self.inline, self.where = inline, where
        self.parts: list[Part] = []
        self._hidden: tuple[str, list[str]] = ("", [])
        self._fields = inline._fields

    def say(self, text: str, look: Look | None = None) -> None:
        if not text:
            return
        if look is not None and look.hidden:
            self._hide(look.hidden, text)
            return
        if text.strip():
            self.end_hidden()
        self.parts.append((text, look.script if look is not None else ""))

    def _hide(self, why: str, text: str) -> None:
        if self._hidden[0] != why:
            self.end_hidden()
            self._hidden = (why, [])
        self._hidden[1].append(text)

    def end_hidden(self) -> None:
        if self._hidden[1]:
            self.inline.builder.leave_out(self._hidden[0], "".join(self._hidden[1]))
        self._hidden = ("", [])

    def item(self, node: etree._Element) -> None:
        name = local(node)
        if name in SILENT or not name:
            return
        if name in _DELETED:
            self._hide(DELETED, words_of(node))
        elif (
            name == "r"
            and not node.tag.startswith("{http://schemas.openxmlformats.org/officeDocument/2006/math")
            and "math" not in node.tag
        ):
            self._run(node)
        elif name == "fldSimple" and not any(local(child) == "r" for child in node.iter()):
            self._ended(_Field(value(node, "instr") or ""))
        elif name == "ruby":
            for child in node:
                if local(child) == "rubyBase":
                    self._each(child)
            reading = "".join(words_of(child) for child in node if local(child) == "rt")
            self.say(f"({reading})" if reading else "")
        elif name == "AlternateContent":
            self._alternate(node)
        else:
            self._other(node, name, None)

    def _each(self, node: etree._Element) -> None:
        for child in node:
            self.item(child)

    def _run(self, run: etree._Element) -> None:
        look = self.inline.runs.look(next(children(run, "rPr"), None), self.where.style, self.where.background)
        for child in run:
            self._in_run(child, look)

    def _in_run(self, node: etree._Element, look: Look) -> None:
        name = local(node)
        if name == "fldChar":
            self._field(node)
        elif name == "instrText" and self._fields:
            self._fields[-1].instruction += node.text or ""
        elif name in SILENT or not name:
            return
        elif name in ("t", "delText"):
            text = "".join([node.text or "", *(child.tail or "" for child in node)])  # around entities, which stay unexpanded
            self._note_shown()
            text = text.replace("\u00ad", "")
            self.say(self._symbols(text, look.font) if is_symbol_font(look.font) else text, look)
        elif name in _BREAKS:
            self.say(_BREAKS[name], look if look.hidden else None)
        elif name == "sym":
            self._note_shown()
            code = value(node, "char") or ""
            font = value(node, "font") or ""
            self.say(self._glyph(font, int(code, 16) if re.fullmatch("[0-9A-Fa-f]{1,6}", code) else 0), look)
        elif name in self.inline.notes:
            if not look.hidden and (mark := self.inline.mark(node, name)):
                self.say(mark, Look("", "sup"))
        elif name == "AlternateContent":
            self._alternate(node)
        elif name == "ruby":
            self.item(node)
        else:
            self._other(node, name, look)

    def _other(self, node: etree._Element, name: str, look: Look | None) -> None:
        builder = self.inline.builder
        if name == "txbxContent":
            self.inline.boxes.append(node)
        elif name == "t":
            self.say(node.text or "")
        elif name in _BREAKS:
            self.say(_BREAKS[name])
        elif name in ("pic", "imagedata"):
            builder.unread("picture", _picture_name(node))
        elif name == "OLEObject":
            builder.unread("embedded object", value(node, "ProgID") or "")
        elif name == "contentPart":
            builder.unread("ink drawing")
        elif name == "textpath":
            self.say(f" {value(node, 'string') or ''} ", look)
        elif name == "relIds":
            words = self.inline.diagram(value(node, "dm") or "")
            if words:
                self.say(f" {words} ", look)
            else:
                builder.unread("diagram")
        elif name in _MATH:
            self._math(node)
        else:
            for child in node:
                self._in_run(child, look) if look is not None else self.item(child)
            if name == "p":
                self.say(" ")

    def _math(self, node: etree._Element) -> None:
        for child in node:
            inner = local(child)
            before = self.parts[-1][0] if self.parts else ""
            if inner in ("den", "sup", "sub", "e", "lim") and before and not before.endswith((" ", "\n", "\t")):
                self.say({"den": "/", "sup": "^", "sub": "_"}.get(inner, " "))
            self.item(child)

    def _alternate(self, node: etree._Element) -> None:
        chosen = next(children(node, "Choice"), None)
        if chosen is None or not _says_something(chosen):
            fallback = next(children(node, "Fallback"), None)
            chosen = fallback if fallback is not None and (chosen is None or _says_something(fallback)) else chosen
        if chosen is not None:
            self._each(chosen)

    def _symbols(self, text: str, font: str) -> str:
        return "".join(character if character.isspace() else self._glyph(font, ord(character)) for character in text)

    def _glyph(self, font: str, code: int) -> str:
        shown = glyph(font, code)
        if shown is None:
            if not 0xE000 <= code <= 0xF8FF and code >= 0x100:
                return chr(code)
            if code < 0x20 or 0xE000 <= code <= 0xF8FF or is_symbol_font(font):
                self.inline.builder.unread("symbol", f"{font or 'unknown font'} {code:X}")
                return "•"
            return chr(code)
        return shown

    def _note_shown(self) -> None:
        for one in self._fields:
            one.shown = True

    def _field(self, node: etree._Element) -> None:
        kind = value(node, "fldCharType")
        if kind == "begin":
            self._fields.append(_Field(data=next(children(node, "ffData"), None)))
        elif kind == "end" and self._fields:
            self._ended(self._fields.pop())

    def _ended(self, ended: _Field) -> None:
        """What a field without a result of its own shows: a form's box or choice, a symbol, a button's words."""
        words = ended.instruction.split()
        name = words[0].upper() if words else ""
        box = next(children(ended.data, "checkBox"), None)
        choice = next(children(ended.data, "ddList"), None)
        if box is not None or name == "FORMCHECKBOX":
            state = next(children(box, "checked"), None)
            state = state if state is not None else next(children(box, "default"), None)
            self.say("☒" if state is not None and (value(state) or "1") not in _OFF else "☐")
        elif choice is not None and not ended.shown:
            result = value(next(children(choice, "result"), None)) or value(next(children(choice, "default"), None)) or "0"
            entries = [value(entry) or "" for entry in children(choice, "listEntry")]
            self.say(entries[int(result)] if result.isdigit() and int(result) < len(entries) else "")
        elif ended.shown:
            return
        elif name == "SYMBOL" and len(words) > 1:
            font = re.search(r'\\f\s+"?([^"\\]+)"?', ended.instruction)
            code = int(words[1], 0) if re.fullmatch(r"\d+|0x[0-9A-Fa-f]+", words[1]) else 0
            self.say(self._glyph(font[1].strip() if font else "Symbol", code))
        elif name in ("MACROBUTTON", "GOTOBUTTON"):
            self.say(" ".join(words[2:]))
        elif name == "QUOTE":
            self.say(" ".join(words[1:]).strip('"'))
        elif name and name not in _QUIET_FIELDS:
            self.inline.builder.unread("field{s} without a result", ended.instruction.strip())


def words_of(node: etree._Element) -> str:
    """All characters in a part of a document, visible or not, for a warning that quotes them."""
    out: list[str] = []
    for item in node.iter():
        name = local(item)
        if name in ("t", "delText"):
            out.append(item.text or "")
        elif name in ("p", "tab", "br", "tc"):
            out.append(" ")
    return "".join(out)


def paragraphs(node: etree._Element) -> Iterator[etree._Element]:
    """Paragraphs below ``node``, not those inside other paragraphs (text boxes)."""
    for child in node:
        if local(child) == "p":
            yield child
        elif local(child) not in SILENT and local(child) not in _DELETED:
            yield from paragraphs(child)


def _says_something(node: etree._Element) -> bool:
    return any(local(item) in ("pic", "relIds", "chart") or (local(item) == "t" and (item.text or "").strip()) for item in node.iter())


def _picture_name(node: etree._Element) -> str:
    above = node.getparent()
    for _ in range(6):
        if above is None:
            break
        if local(above) in ("inline", "anchor"):
            about = next(children(above, "docPr"), None)
            return value(about, "descr") or value(about, "name") or ""
        above = above.getparent()
    return value(node, "title") or ""
