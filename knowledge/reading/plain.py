"""Text, Markdown and CSV files: the document's text is the file's own text, and blocks are spans over it."""

from __future__ import annotations

import re
from typing import Any

from knowledge.reading.builder import Builder
from knowledge.reading.document import Limits
from knowledge.reading.kinds import CSV, MARKDOWN, TEXT, File, bytes_of

Span = tuple[str, int, int, int]
SHORT = 2000  # bytes


def decode(content: bytes) -> tuple[str, str | None]:
    """Text and, where the encoding had to be guessed, a warning. Line ends become ``\\n``."""
    warning = None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16", "replace")
    elif b"\x00" in content[:4096]:
        text = content.decode("utf-16-le" if content[1:200:2].count(0) > content[0:200:2].count(0) else "utf-16-be", "replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text, name = _guess(content)
            warning = f"No encoding declared; read as {name}."
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Form feeds would look like page borders; one character for another keeps offsets.
    return text.replace("\f", "\n").replace("\x00", " "), warning


def _guess(content: bytes) -> tuple[str, str]:
    # A short text tells little of its code page: the usual one of Windows before rare ones, unless it is mostly foreign letters.
    letters = sum(chr(byte).isalpha() for byte in content[:SHORT])
    if len(content) < SHORT and sum(byte >= 0xC0 for byte in content) <= 0.45 * max(1, letters):
        try:
            return content.decode("cp1252"), "cp1252"
        except UnicodeDecodeError:
            pass
    from charset_normalizer import from_bytes

    best = from_bytes(content[:200_000]).best()
    name = best.encoding if best else "cp1252"
    return content.decode(name, "replace"), name


def read_plain(file: File, kind: str, limits: Limits) -> dict[str, Any]:
    """Read a text, Markdown or CSV file."""
    builder = Builder(limits)
    text, warning = decode(bytes_of(file))
    if warning:
        builder.warn(warning)
    blocks = {MARKDOWN: markdown_blocks, CSV: csv_blocks, TEXT: text_blocks}[kind](text)
    builder.add_own_text(text, blocks)
    if kind == MARKDOWN:
        builder.title = next((text[s:e].lstrip("# ").strip() for k, s, e, _ in blocks if k == "heading"), None)
        if match := re.match(r"---\n(.*?)\n---\n", text, re.S):
            for key, value in re.findall(r"^(\w+):\s*(.+)$", match[1], re.M):
                builder.metadata[key.lower()] = value.strip("\"' ")
            builder.title = builder.metadata.get("title", builder.title)
    return builder.result(kind, paged=False)


def text_blocks(text: str) -> list[Span]:
    """Paragraphs between empty lines; a short line alone that is numbered or in capitals is a heading."""
    blocks: list[Span] = []
    for match in re.finditer(r"[^\n](?:.|\n(?!\s*\n))*", text):
        start, end = match.start(), match.start() + len(match[0].rstrip())
        part = text[start:end]
        if not part.strip():
            continue
        level = _plain_heading(part)
        kind = "heading" if level else "list" if re.match(r"\s*([-*•]|\(?[a-z0-9]{1,3}[.)])\s", part) else "paragraph"
        blocks.append((kind, start, end, level))
    return blocks


def _plain_heading(part: str) -> int:
    if "\n" in part.strip():
        lines = part.strip().split("\n")
        return 1 if len(lines) == 2 and re.fullmatch(r"[=~*-]{3,}", lines[1].strip()) else 0
    line = part.strip()
    if len(line) > 100 or re.search(r"[.;,]$", line):
        return 0
    if re.match(r"(part|chapter|section|article|annex|schedule|appendix)\s+[\divxlc]+\b", line, re.I):
        return 1
    if match := re.match(r"(\d+(?:\.\d+)*)\.?\s+[A-Z]", line):
        return match[1].count(".") + 1
    return 1 if line.isupper() and len(line) > 3 else 0


def markdown_blocks(text: str) -> list[Span]:
    blocks: list[Span] = []
    lines = list(re.finditer(r"[^\n]*(?:\n|$)", text))
    index = 0
    if text.startswith("---\n") and (end := text.find("\n---\n", 4)) > 0:
        index = text.count("\n", 0, end) + 2

    def line(i: int) -> str:
        return lines[i][0].rstrip("\n")

    def kind_of(i: int) -> str:
        content = line(i)
        if not content.strip():
            return ""
        if re.match(r"#{1,6}\s", content):
            return "heading"
        if content.lstrip().startswith("|") or (
            re.match(r"^[^|]+\|", content) and i + 1 < len(lines) and re.fullmatch(r"[\s|:-]+", line(i + 1) or "x")
        ):
            return "table"
        if re.match(r"\s*([-*+]|\d+[.)])\s", content):
            return "list"
        if re.match(r"\[\^[^\]]+\]:", content):
            return "footnote"
        return "paragraph"

    while index < len(lines):
        kind = kind_of(index)
        if not kind:
            index += 1
            continue
        first = index
        index += 1
        if re.match(r"\s*(```|~~~)", line(first)):
            fence = line(first).strip()[:3]
            while index < len(lines) and not line(index).strip().startswith(fence):
                index += 1
            index += 1
        elif kind == "paragraph" and index < len(lines) and re.fullmatch(r"(=+|-+)\s*", line(index)) and line(index).strip():
            blocks.append(("heading", lines[first].start(), lines[first].start() + len(line(first)), 1 if line(index)[0] == "=" else 2))
            index += 1
            continue
        elif kind != "heading":
            while index < len(lines) and (kind_of(index) == kind or (kind == "list" and line(index).startswith("  "))):
                index += 1
        start = lines[first].start()
        end = start + len(text[start : lines[min(index, len(lines)) - 1].end()].rstrip())
        level = len(re.match(r"#*", line(first))[0]) if kind == "heading" else 0  # type: ignore[index]
        blocks.append((kind, start, end, level))
    return blocks


def csv_blocks(text: str) -> list[Span]:
    """One table; a row whose quoted cell runs over several lines is still inside it."""
    end = len(text.rstrip())
    return [("table", 0, end, 0)] if end else []
