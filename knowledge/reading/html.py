"""HTML files: what a reader of the page sees. What a browser would not show is left out, with a warning that quotes it."""

from __future__ import annotations

import re
from typing import Any

import lxml.html
from lxml import etree

from infra.errors import CorruptFile
from knowledge.reading.builder import LEFT_OUT, Builder
from knowledge.reading.css import STRUCK, Style, Styles, with_attributes
from knowledge.reading.document import Limits
from knowledge.reading.kinds import HTML, File, bytes_of
from knowledge.reading.numerals import written
from knowledge.reading.scripts import Part, joined
from knowledge.reading.tables import Raw

_BR = "\x1e"  # stands for <br> until a block is written
_UNREAD = {
    "canvas": "drawing",
    "iframe": "embedded page",
    "object": "embedded object",
    "embed": "embedded object",
    "video": "video",
    "audio": "sound",
}
_SILENT = {"script", "style", "head", "title", "meta", "link", "datalist", "param", "source", "track", "area", "rp"}
_LIST_TYPES = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman", "1": "decimal"}
_CSS_TYPES = {
    "lower-alpha": "lowerLetter", "lower-latin": "lowerLetter", "upper-alpha": "upperLetter", "upper-latin": "upperLetter",
    "lower-roman": "lowerRoman", "upper-roman": "upperRoman", "decimal": "decimal", "decimal-leading-zero": "decimalZero",
}  # fmt: skip


def read_html(file: File, limits: Limits) -> dict[str, Any]:
    """Read a page of HTML. Nothing it refers to is fetched.

    Raises:
        CorruptFile: nothing in it can be parsed.
    """
    builder = Builder(limits)
    root = add_html(bytes_of(file), builder)
    title = root.findtext(".//title")
    builder.title = " ".join(title.split()) if title and title.strip() else None
    for meta in root.iter("meta"):
        name, value = (meta.get("name") or meta.get("property") or "").lower(), meta.get("content")
        if name in ("author", "description", "date", "article:published_time", "keywords") and value:
            builder.metadata[name] = " ".join(value.split())[:500]
    if language := root.get("lang"):
        builder.metadata["language"] = language
    if builder.blank:
        builder.warn("The page has no text to search or cite.")
    return builder.result(HTML, paged=False)


def add_html(content: bytes, builder: Builder, *, encoding: str | None = None) -> Any:
    """Append the text of a page to ``builder``; gives the page's root element.

    Args:
        encoding: of ``content``; by default found from it and from what it declares.

    Raises:
        CorruptFile: nothing in it can be parsed.
    """
    parser = lxml.html.HTMLParser(
        encoding=encoding or _encoding(content), no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = lxml.html.document_fromstring(content, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise CorruptFile("The HTML file has no readable content.") from error
    styles = Styles(root)
    body = root.find("body")
    above = styles.of(root, Style()) if body is not None else Style()
    walker = _Walker(builder, styles)
    walker.walk(body if body is not None else root, "paragraph", above)
    walker.end_hidden()
    if any(fault.level == etree.ErrorLevels.FATAL for fault in parser.error_log):
        builder.warn(LEFT_OUT.format("page"))
    for name in dict.fromkeys(styles.unread):
        if name == "counters":
            builder.warn("Numbers that the page's style sheet generates (counters) were not read.")
        else:
            builder.unread("style sheet{s} that the page refers to", name)
    return root


def _encoding(content: bytes) -> str | None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return None  # what the page declares, as lxml finds it


class _Walker:
    """Depth first; inline text is gathered and written as a block at every block border.

    Args:
        sink: where blocks go instead of the builder (the texts of a table's cell).
    """

    def __init__(self, builder: Builder, styles: Styles, sink: list[str] | None = None) -> None:
        self.builder, self.styles, self.sink = builder, styles, sink
        self.inline: list[Part] = []
        self.label = ""
        self.preformatted = False
        self._hidden: tuple[str, list[str]] = ("", [])

    def walk(self, node: Any, kind: str, above: Style) -> None:
        stack: list[tuple[Any, str, Style, Style, str]] = [(node, kind, self._style(node, above), above, "enter")]
        while stack:
            item, kind, style, above, step = stack.pop()
            tag = item.tag.lower() if isinstance(item.tag, str) else ""
            if step == "tail":
                self._text(item.tail or "", above)
                continue
            if step == "leave":
                self._text(style.after, style)
                if tag == "q":
                    self._text("”", style)
                if style.flow == "block" and not style.gone:
                    self._flush(kind, tag)
                self._apart(style)
                continue
            stack.append((item, kind, style, above, "tail"))
            if not tag or tag in _SILENT:
                continue
            if style.gone:
                self._hide(style.gone, " ".join(item.itertext()))
                continue
            if self._special(item, tag, style, kind):
                continue
            if style.flow == "block":
                self._flush(kind, "")
            self._apart(style)
            if tag == "br":
                self.inline.append((_BR, ""))
            elif tag == "wbr":
                continue
            if tag == "li":
                self._number(item, style)
            self.preformatted = self.preformatted or style.preformatted
            inner = _inner(tag, kind)
            self._text(("“" if tag == "q" else "") + style.before, style)
            self._text(item.text or "", style)
            stack.append((item, inner, style, above, "leave"))
            children = list(item)
            ordered = children if style.reversed else children[::-1]
            stack.extend((child, inner, self._style(child, style), style, "enter") for child in ordered)
        if node is not None:
            self._flush(kind, "")

    def _style(self, element: Any, above: Style) -> Style:
        if not isinstance(element.tag, str):
            return above
        return with_attributes(element, self.styles.of(element, above))

    def _special(self, item: Any, tag: str, style: Style, kind: str) -> bool:
        """Tables, form fields, pictures and the like; whether ``item`` was one."""
        if tag == "table" and self.sink is None and not _layout_table(item):
            self._flush(kind, "")
            self._table(item, style)
        elif tag in ("input", "select", "textarea", "meter", "progress"):
            self._text(f" {_field(item, tag)} ", style)
        elif tag == "img":
            alt = item.get("alt")
            if alt != "" and item.get("role") not in ("presentation", "none"):
                self.builder.unread("picture", alt or (item.get("src") or "").partition("?")[0].rpartition("/")[2][:60])
            self._text(" ", style)
        elif tag == "svg":
            words = [
                " ".join(text.itertext())
                for text in item.iter()
                if isinstance(text.tag, str) and text.tag.lower() in ("text", "foreignobject")
            ]
            self._text(f" {' '.join(words)} ", style)
            if not words and item.get("aria-hidden") != "true":
                self.builder.unread("drawing", item.get("aria-label") or item.findtext("title") or "")
        elif tag == "iframe" and item.get("srcdoc") and self.sink is None:
            self._flush(kind, "")
            add_html(item.get("srcdoc").encode(), self.builder, encoding="utf-8")
        elif tag in _UNREAD:
            self.builder.unread(_UNREAD[tag], item.get("src") or item.get("data") or item.get("title") or "")
        elif tag == "math":
            self._text(f" {_formula(item)} ", style)
        elif tag == "rt":
            self._text("(", style)
            self._text("".join(item.itertext()), style)
            self._text(")", style)
        else:
            return False
        return True

    def _apart(self, style: Style) -> None:
        if style.flow == "apart" and not style.gone:
            self.inline.append((" ", ""))

    def _text(self, text: str, style: Style) -> None:
        if not text:
            return
        if (why := style.hidden) and text.strip():
            self._hide(why, text)
            self.inline.append((" ", "") if why == STRUCK else ("", ""))
            return
        if text.strip():
            self.end_hidden()
        self.inline.append((text, style.script))

    def _hide(self, why: str, text: str) -> None:
        if not text.strip():
            return
        if self._hidden[0] != why:
            self.end_hidden()
            self._hidden = (why, [])
        self._hidden[1].append(text)

    def end_hidden(self) -> None:
        """Note the words that were hidden up to here."""
        why, words = self._hidden
        if words:
            self.builder.leave_out(why, " ".join(words))
        self._hidden = ("", [])

    def _number(self, item: Any, style: Style) -> None:
        """The number that a browser shows before a list's item waits for the item's first text."""
        parent = item.getparent()
        tag = parent.tag if parent is not None and isinstance(parent.tag, str) else ""
        form = _CSS_TYPES.get(style.list_type)
        if style.list_type == "none" or (tag != "ol" and form is None):
            return
        if style.list_type and form is None and style.list_type not in ("inherit", "initial"):
            return  # a bullet
        form = form or _LIST_TYPES.get(item.get("type") or (parent.get("type") if parent is not None else "") or "1", "decimal")
        self.label += f"{written(_ordinal(item, parent), form)}. "

    def _flush(self, kind: str, tag: str) -> None:
        text = joined(self.inline).replace("\u00ad", "")  # a soft hyphen that breaks no line is not seen
        self.inline = []
        preformatted, self.preformatted = self.preformatted, False
        # Line ends of the source are white space, unless preformatted; <br> breaks a line.
        text = "\n".join(line if preformatted else " ".join(line.split()) for line in text.split(_BR))
        if not text.strip():
            return
        text, self.label = self.label + text, ""
        if self.sink is not None:
            self.sink.append(text)
        elif re.fullmatch("h[1-6]", tag):
            self.builder.add("heading", " ".join(text.split()), level=int(tag[1]))
        else:
            self.builder.add(kind, text, gap="\n" if kind == "list" else "\n\n")

    def _table(self, table: Any, style: Style) -> None:
        rows: list[list[Raw]] = []
        caption = ""
        last: list[list[Raw]] = []
        for part, above in self._parts(table, style):
            if part.tag == "caption":
                caption = self._cell(part, above)
                continue
            row_style = self._style(part, above)
            if row_style.gone or row_style.invisible:
                self._hide(row_style.gone or "hidden by the page's style", " ".join(part.itertext()))
                continue
            cells = []
            for cell in part:
                if cell.tag not in ("td", "th"):
                    continue
                cell_style = self._style(cell, row_style)
                if cell_style.gone:
                    self._hide(cell_style.gone, " ".join(cell.itertext()))
                    continue
                header = cell.tag == "th" or (part.getparent() is not None and part.getparent().tag == "thead")
                cells.append(Raw(self._cell(cell, row_style), _span(cell, "rowspan"), _span(cell, "colspan"), header))
            (last if part.getparent() is not None and part.getparent().tag == "tfoot" else rows).append(cells)
        self.end_hidden()
        self.builder.add_table(rows + last, caption=caption)

    def _parts(self, table: Any, style: Style) -> Any:
        """Rows and caption of a table, each with the style of what it stands in."""
        for child in table:
            tag = child.tag if isinstance(child.tag, str) else ""
            if tag in ("tr", "caption"):
                yield child, style
            elif tag in ("thead", "tbody", "tfoot"):
                inner = self._style(child, style)
                if inner.gone:
                    self._hide(inner.gone, " ".join(child.itertext()))
                    continue
                for row in child:
                    if row.tag == "tr":
                        yield row, inner

    def _cell(self, cell: Any, above: Style) -> str:
        texts: list[str] = []
        walker = _Walker(self.builder, self.styles, texts)
        walker.walk(cell, "paragraph", above)
        walker.end_hidden()
        return " ".join(" ".join(texts).split())


def _inner(tag: str, kind: str) -> str:
    if tag in ("header", "footer"):
        return tag
    if tag == "nav":
        return "header"
    if tag in ("li", "dd", "dt") and kind == "paragraph":
        return "list"
    return kind


def _layout_table(table: Any) -> bool:
    """A table that only places things (one cell a row, or whole documents in its cells) is not read as one."""
    rows = table.findall(".//tr")
    widest = max((len(row.findall("td")) + len(row.findall("th")) for row in rows), default=0)
    return (
        widest <= 1
        or table.find(".//table") is not None
        or table.find(".//h1") is not None
        or table.get("role") in ("presentation", "none")
    )


def _span(cell: Any, name: str) -> int:
    text = (cell.get(name) or "1").strip()
    if not text.isdigit() or len(text) > 6:
        return 1
    return 65_000 if name == "rowspan" and text == "0" else max(1, int(text))


def _ordinal(item: Any, parent: Any) -> int:
    """The number of a list's item, as HTML counts: ``start``, ``value`` and ``reversed``."""
    items = [child for child in parent if child.tag == "li"] if parent is not None else [item]
    backwards = parent is not None and parent.get("reversed") is not None
    step = -1 if backwards else 1
    number = _integer(parent.get("start") if parent is not None else None)
    current = number if number is not None else len(items) if backwards else 1
    for child in items:
        value = _integer(child.get("value"))
        current = value if value is not None else current
        if child is item:
            return current
        current += step
    return current


def _integer(text: str | None) -> int | None:
    match = re.match(r"\s*([-+]?\d{1,9})", text or "")
    return int(match[1]) if match else None


def _field(item: Any, tag: str) -> str:
    """What a form's field shows before anybody touches it."""
    if tag == "select":
        options = list(item.iter("option"))
        chosen = [option for option in options if option.get("selected") is not None]
        if item.get("multiple") is None and (_integer(item.get("size")) or 1) <= 1:
            shown = chosen[-1:] or options[:1]
            return " ".join(" ".join(option.itertext()) for option in shown)
        return " ".join(f"{'☑' if option in chosen else '☐'} {' '.join(option.itertext())}" for option in options)
    if tag == "textarea":
        return "".join(item.itertext())
    if tag in ("meter", "progress"):
        return f"{item.get('value') or ''} / {item.get('max') or '1'}" if item.get("value") else ""
    kind = (item.get("type") or "text").lower()
    if kind in ("checkbox", "radio"):
        return "☑" if item.get("checked") is not None else "☐"
    return "" if kind in ("hidden", "password", "file", "image", "color") else item.get("value") or ""


def _formula(node: Any) -> str:
    """MathML on one line: powers by ``^``, indices by ``_``, fractions by ``/``."""
    parts = [_formula(child) + (child.tail or "").strip() for child in node if isinstance(child.tag, str)]
    tag = node.tag.lower().rpartition("}")[2]
    if tag in ("annotation", "annotation-xml"):
        return ""
    if tag in ("msup", "mover") and len(parts) == 2:
        return f"{parts[0]}^{parts[1]}"
    if tag in ("msub", "munder") and len(parts) == 2:
        return f"{parts[0]}_{parts[1]}"
    if tag == "msubsup" and len(parts) == 3:
        return f"{parts[0]}_{parts[1]}^{parts[2]}"
    if tag == "mfrac" and len(parts) == 2:
        return f"{parts[0]}/{parts[1]}"
    if tag == "msqrt":
        return f"√({' '.join(parts)})"
    return ((node.text or "").strip() + " ".join(part for part in parts if part)).strip()
