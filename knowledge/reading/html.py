"""HTML files: what a reader of the page sees, without scripts, styles and navigation chrome's markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lxml.html
from lxml import etree

from infra.errors import CorruptFile
from knowledge.reading.builder import LEFT_OUT, Builder
from knowledge.reading.document import Limits
from knowledge.reading.kinds import HTML

_BR = "\x1e"  # stands for <br> until a block is written
_SILENT = {"script", "style", "noscript", "template", "svg", "head", "iframe", "object", "select", "canvas"}
_BLOCK = {
    "address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer",
    "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "main", "nav", "ol", "p", "pre", "section", "summary",
    "table", "ul",
}  # fmt: skip


def read_html(path: Path, limits: Limits) -> dict[str, Any]:
    """Read a page of HTML. Nothing it refers to is fetched.

    Raises:
        CorruptFile: nothing in it can be parsed.
    """
    builder = Builder(limits)
    content = path.read_bytes()
    parser = lxml.html.HTMLParser(encoding=_encoding(content), no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = lxml.html.document_fromstring(content, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise CorruptFile("The HTML file has no readable content.") from error
    title = root.findtext(".//title")
    builder.title = " ".join(title.split()) if title and title.strip() else None
    for meta in root.iter("meta"):
        name, value = (meta.get("name") or meta.get("property") or "").lower(), meta.get("content")
        if name in ("author", "description", "date", "article:published_time", "keywords") and value:
            builder.metadata[name] = " ".join(value.split())[:500]
    if language := root.get("lang"):
        builder.metadata["language"] = language
    body = root.find("body")
    _Walker(builder).walk(body if body is not None else root, "paragraph")
    if any(fault.level == etree.ErrorLevels.FATAL for fault in parser.error_log):
        builder.warn(LEFT_OUT.format("page"))
    if builder.blank:
        builder.warn("The page has no text to search or cite.")
    return builder.result(HTML, paged=False)


def _encoding(content: bytes) -> str | None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return None  # what the page declares, as lxml finds it


class _Walker:
    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.inline: list[str] = []
        self.preformatted = 0

    def walk(self, node: Any, kind: str) -> None:
        """Depth first; inline text is gathered and written as a block at every block border."""
        stack: list[tuple[Any, str, bool]] = [(node, kind, False)]
        while stack:
            item, kind, leaving = stack.pop()
            tag = item.tag if isinstance(item.tag, str) else ""
            if leaving:
                if tag in _BLOCK:
                    self._flush(kind, tag)
                if tag == "pre":
                    self.preformatted -= 1
                self.inline.append(item.tail or "")
                continue
            if tag in _SILENT or item.get("hidden") is not None or not tag:
                self.inline.append(" " if tag else "")
                self.inline.append(item.tail or "")
                continue
            if tag == "table" and not self._layout_table(item):
                self._flush(kind, "")
                self.builder.add("table", _table(item))
                self.inline.append(item.tail or "")
                continue
            if tag in _BLOCK:
                self._flush(kind, "")
            if tag == "br":
                self.inline.append(_BR)
            if tag == "pre":
                self.preformatted += 1
            inner = self._inner(tag, kind)
            self.inline.append(item.text or "")
            stack.append((item, inner, True))
            stack.extend((child, inner, False) for child in reversed(item))
        self._flush(kind, "")

    @staticmethod
    def _inner(tag: str, kind: str) -> str:
        if tag in ("header", "footer"):
            return tag
        if tag == "nav":
            return "header"
        if tag in ("li", "dd", "dt") and kind == "paragraph":
            return "list"
        return kind

    @staticmethod
    def _layout_table(table: Any) -> bool:
        """A table that only places things (one cell a row, or whole documents in its cells) is not read as one."""
        rows = table.findall(".//tr")
        widest = max((len(row.findall("td")) + len(row.findall("th")) for row in rows), default=0)
        return widest <= 1 or table.find(".//table") is not None or table.find(".//h1") is not None

    def _flush(self, kind: str, tag: str) -> None:
        text = "".join(self.inline)
        self.inline = []
        # Line ends of the source are white space, unless preformatted; <br> breaks a line.
        text = "\n".join(line if self.preformatted else " ".join(line.split()) for line in text.split(_BR))
        if not text.strip():
            return
        if re.fullmatch("h[1-6]", tag):
            self.builder.add("heading", " ".join(text.split()), level=int(tag[1]))
        else:
            self.builder.add(kind, text, gap="\n" if kind == "list" else "\n\n")


def _table(table: Any) -> str:
    rows = []
    for row in table.iter("tr"):
        cells = [" ".join(cell.text_content().split()) for cell in row if cell.tag in ("td", "th")]
        if any(cells):
            rows.append("\t".join(cells))
    caption = table.findtext("caption")
    return "\n".join(([" ".join(caption.split())] if caption and caption.strip() else []) + rows)
