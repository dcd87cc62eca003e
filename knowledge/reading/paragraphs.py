"""From the lines of a paged document to its blocks: paragraphs, headings, lists, tables, headers, footers, footnotes."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass

from knowledge.reading.builder import Builder
from knowledge.reading.layout import Line
from knowledge.reading.tables import Raw
from knowledge.reading.words import HYPHEN

_BULLET = re.compile(r"^([•●▪■◦‣∙·⁃–—*-]|\(?(?:[a-z]|[ivx]{1,4}|\d{1,3})[.)])\s+\S")
_BULLET_GLYPH = re.compile("^[\ue000-\uf8ff\x80-\x9f\u25a0\u25a3-\u25fa\u25fc-\u25ff]$")
_NUMBERED = re.compile(r"^(\d+(?:\.\d+){0,4})\.?\s+[A-Z(]")
_NAMED = re.compile(r"^(part|item|section|chapter|article|annex|schedule|appendix|note)\s+(\d+[a-z]?|[ivxlc]+)\b", re.I)
_FOOTNOTE = re.compile(r"^(\d{1,2}|[*†‡§]{1,2}|\([a-z0-9]\))\s*\S")
_SENTENCE_END = re.compile(r"[.!?:;][\"”’)]*$")


@dataclass(slots=True)
class Row:
    """A line without its words: what is kept of it until the whole document has been seen."""

    cells: list[str]
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    column: tuple[float, float]
    role: str = ""
    edges: tuple[tuple[float, float], ...] = ()
    """Left and right edge of each cell."""

    @property
    def text(self) -> str:
        return "\t".join(self.cells)


@dataclass(slots=True)
class PageRows:
    """A page until it is written: its rows in reading order, and whether they were recognised from a picture."""

    rows: list[Row]
    recognised: bool = False


def as_row(line: Line) -> Row:
    cells = [" ".join("•" if _BULLET_GLYPH.match(word.text) else word.text for word in cell.words) for cell in line.cells]
    return Row(
        cells, line.x0, line.y0, line.x1, line.y1, line.size, line.bold, line.column, "", tuple((cell.x0, cell.x1) for cell in line.cells)
    )


def write_pages(pages: list[PageRows], builder: Builder) -> None:
    """All pages as blocks of ``builder``."""
    _mark_margins(pages)
    body = _body_size(pages)
    levels = _heading_levels(pages, body)
    vocabulary = _vocabulary(pages)
    pitch = _pitch(pages)
    for page in pages:
        _mark_footnotes(page.rows, body)
        for kind, rows in _group(page.rows, body, pitch):
            if kind == "table" and (grid := _grid(rows)) is not None:
                builder.add_table(grid)
                continue
            text = _table(rows) if kind == "table" else _flow(rows, vocabulary)
            level = levels.get(round(rows[0].size * 2) / 2, len(levels) + 1) if kind == "heading" else 0
            if kind == "heading" and level > len(levels):
                level += _depth(text)
            builder.add(kind, text, level=level)
        builder.end_page(recognised=page.recognised)


def _body_size(pages: list[PageRows]) -> float:
    sizes: Counter[float] = Counter()
    for page in pages:
        for row in page.rows:
            sizes[round(row.size * 2) / 2] += len(row.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _pitch(pages: list[PageRows]) -> dict[float, float]:
    """Usual distance of lines in a paragraph by size of the font (its height, to half a point), as a multiple of it.

    Only a long line and the one below it tell: lines of tables and lists have their own rhythm.
    """
    found: dict[float, list[float]] = {}
    for page in pages:
        for previous, row in zip(page.rows, page.rows[1:], strict=False):
            step = row.y0 - previous.y0
            wide = previous.x1 > previous.column[1] - 0.15 * (previous.column[1] - previous.column[0])
            if (
                wide
                and len(previous.text) > 40
                and 0.7 * row.size < step < 2.2 * row.size
                and abs(row.size - previous.size) < 0.1 * row.size
            ):
                found.setdefault(round(row.size * 2) / 2, []).append(round(step / row.size, 2))
    # The gaps between paragraphs are among them: the lower quartile is inside one.
    return {size: sorted(ratios)[len(ratios) // 4] for size, ratios in found.items() if len(ratios) >= 3}


def _heading_levels(pages: list[PageRows], body: float) -> dict[float, int]:
    """Level 1, 2, 3 for the sizes above the body's, largest first; only sizes of short lines count."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for row in page.rows:
            if not row.role and row.size > 1.15 * body and len(row.cells) == 1 and len(row.text) < 200:
                sizes[round(row.size * 2) / 2] += 1
    return {size: min(index + 1, 3) for index, size in enumerate(sorted(sizes, reverse=True))}


def _depth(text: str) -> int:
    if match := _NAMED.match(text):
        return {"part": 0, "chapter": 0, "annex": 0, "schedule": 0, "appendix": 0, "item": 1, "section": 1, "article": 1}.get(
            match[1].lower(), 2
        )
    if match := _NUMBERED.match(text):
        return match[1].count(".") + 1
    return 3


def _vocabulary(pages: list[PageRows]) -> set[str]:
    """Hyphenated words of the document: one of these broken at its hyphen keeps it."""
    found: set[str] = set()
    for page in pages:
        for row in page.rows:
            found.update(word.lower() for word in re.findall(r"\w+(?:-\w+)+", row.text))
    return found


EDGE = 3  # lines from the top or bottom that may be a header or footer


def _mark_margins(pages: list[PageRows]) -> None:
    """Lines that stand at the top or bottom of several pages at one height are headers and footers; so are lone page numbers.

    Lines that are alike but for their numbers count too, if white space sets them off: the last row of a table is alike as well.
    """
    ordered = [sorted(page.rows, key=lambda row: row.y0) for page in pages]
    exact: Counter[tuple[str, int]] = Counter()
    alike: Counter[tuple[str, int]] = Counter()
    for rows in ordered:
        edge = rows[:EDGE] + rows[-EDGE:] if len(rows) > EDGE + 1 else []
        exact.update({(row.text.lower(), round(row.y0 / 12)) for row in edge})
        alike.update({(_without_numbers(row.text), round(row.y0 / 12)) for row in edge})
    needed = max(2, min(5, round(0.25 * len(pages))))

    def often(counts: Counter[tuple[str, int]], text: str, row: Row) -> bool:
        height = round(row.y0 / 12)
        return len(text) < 200 and max(counts[text, height + shift] for shift in (-1, 0, 1)) >= needed

    for rows in ordered:
        if len(rows) <= EDGE + 1:
            continue
        for role, inwards in (("header", rows), ("footer", rows[::-1])):
            for position, row in enumerate(inwards[:EDGE]):
                following = inwards[position + 1]
                gap = following.y0 - row.y1 if role == "header" else row.y0 - following.y1
                apart = gap > 0.7 * row.size
                repeated = often(exact, row.text.lower(), row) or (apart and often(alike, _without_numbers(row.text), row))
                if repeated or (position == 0 and _page_number(row.text)):
                    row.role = role
                elif apart or not often(alike, _without_numbers(row.text), row):
                    break
            # Between two lines of a header nothing else stands.
            marked = [position for position, row in enumerate(inwards[:EDGE]) if row.role == role]
            for row in inwards[: marked[-1] if marked else 0]:
                row.role = role


def _without_numbers(text: str) -> str:
    return re.sub(r"[\divxlc]+\b", "#", text.lower())


def _page_number(text: str) -> bool:
    return bool(re.fullmatch(r"\W*(page\s*)?(\d{1,4}|[ivxlc]{1,6}|[A-F]-\d{1,3})(\s*(of|/)\s*\d{1,4})?\W*", text.strip(), re.I))


def _mark_footnotes(rows: list[Row], body: float) -> None:
    """Small lines at the foot of the page, from the first that begins with a mark."""
    tail = [row for row in rows if not row.role]
    start = len(tail)
    while start and tail[start - 1].size < 0.92 * body and len(tail[start - 1].cells) <= 2:
        start -= 1
    small = tail[start:]
    if len(small) < len(tail) and small:
        for index, row in enumerate(small):
            if _FOOTNOTE.match(row.text):
                for note in small[index:]:
                    note.role = "footnote"
                return


def _group(rows: list[Row], body: float, pitch: dict[float, float]) -> list[tuple[str, list[Row]]]:
    groups: list[tuple[str, list[Row]]] = []
    index = 0
    while index < len(rows):
        row = rows[index]
        if row.role:
            end = index + 1
            while row.role == "footnote" and end < len(rows) and rows[end].role == "footnote" and not _FOOTNOTE.match(rows[end].text):
                end += 1
            groups.append((row.role, rows[index:end]))
        elif (end := _table_end(rows, index)) > index + 1:
            groups.append(("table", rows[index:end]))
        else:
            end = _paragraph_end(rows, index, pitch)
            part = rows[index:end]
            groups.append((_kind(part, body), part))
        index = end
    return groups


def _table_end(rows: list[Row], index: int) -> int:
    """One past the last row of a table that begins here; ``index`` where none does.

    A table has at least two rows of several cells. Rows of one cell belong to it when short and enclosed.
    """
    if len(rows[index].cells) < 2:
        return index
    last, several, end = index, 1, index + 1
    while end < len(rows) and not rows[end].role:
        row, previous = rows[end], rows[end - 1]
        if row.y0 < previous.y0 - 1 or row.y0 - previous.y1 > 2.5 * max(row.size, previous.size):
            break
        if len(row.cells) > 1:
            last, several = end, several + 1
        elif end - last > 2 or len(row.text) > 140:
            break
        end += 1
    return last + 1 if several >= 2 else index


def _paragraph_end(rows: list[Row], index: int, pitch: dict[float, float]) -> int:
    end = index + 1
    while end < len(rows) and not rows[end].role and _same_paragraph(rows[end - 1], rows[end], pitch) and _table_end(rows, end) == end:
        end += 1
    return end


def _same_paragraph(previous: Row, row: Row, pitch: dict[float, float]) -> bool:
    if _BULLET.match(row.text) or row.bold != previous.bold or len(row.cells) > 1 or len(previous.cells) > 1:
        return False
    if abs(row.size - previous.size) > 0.15 * max(row.size, previous.size):
        return False
    if row.y0 < previous.y0 - previous.size:  # the next column: a sentence may go on there
        return not _SENTENCE_END.search(previous.text) and row.text[:1].islower()
    usual = pitch.get(round(row.size * 2) / 2, 1.25)
    if row.y0 - previous.y0 > (1.15 * usual + 0.05) * max(row.size, previous.size):
        return False
    width = max(row.column[1] - row.column[0], 1.0)
    if previous.x1 < previous.column[1] - 0.25 * width and _stands_alone(previous.text) and row.text[:1].isupper():
        return False
    ended = previous.x1 < previous.column[1] - 0.2 * width and bool(_SENTENCE_END.search(previous.text))
    indented = row.x0 > previous.x0 + 0.8 * row.size and bool(_SENTENCE_END.search(previous.text))
    return not ended and not indented


def _stands_alone(text: str) -> bool:
    return bool(_NUMBERED.match(text) or _NAMED.match(text)) and not re.search(r"[.;,:]$", text)


def _kind(rows: list[Row], body: float) -> str:
    text = " ".join(row.text for row in rows)
    if len(rows) <= 3 and len(text) <= 200 and any(c.isalpha() for c in text):
        large = rows[0].size > 1.15 * body
        short = not re.search(r"[.;,]$", text) or _NUMBERED.match(text) is not None or _NAMED.match(text) is not None
        if (large or rows[0].bold) and short and not re.match("^[•●▪■◦‣∙]", text):
            return "heading"
        if len(rows) == 1 and len(text) <= 110 and (_NAMED.match(text) or _NUMBERED.match(text)) and not re.search(r"[;,:]$", text):
            return "heading" if not re.search(r"[a-z].*\.$", text) or _NAMED.match(text) else "list"
    return "list" if _BULLET.match(text) else "paragraph"


def _table(rows: list[Row]) -> str:
    return "\n".join("\t".join(cell.replace(HYPHEN, "-") for cell in row.cells) for row in rows)


def _grid(rows: list[Row]) -> list[list[Raw]] | None:
    """The rows with each cell in its column, found by where the cells of the fullest rows stand; None where they do not agree."""
    most = max(len(row.cells) for row in rows)
    columns: list[list[float]] = []
    for left, right in sorted(edge for row in rows if len(row.cells) == most for edge in row.edges):
        if columns and left < columns[-1][1]:
            columns[-1][1] = max(columns[-1][1], right)
        else:
            columns.append([left, right])
    if most < 2 or len(columns) != most:
        return None
    grid = []
    for row in rows:
        cells: list[Raw] = []
        at = 0
        for text, (left, right) in zip(row.cells, row.edges, strict=True):
            over = [
                i for i, (start, end) in enumerate(columns) if min(right, end) - max(left, start) > 0.1 * min(right - left, end - start)
            ]
            if not over:
                over = [min(range(most), key=lambda i: abs((left + right) / 2 - (columns[i][0] + columns[i][1]) / 2))]
            if over[0] < at:
                return None  # two cells in one column
            cells += [Raw("")] * (over[0] - at)
            cells.append(Raw(text.replace(HYPHEN, "-"), columns=len(over)))
            at = over[0] + len(over)
        grid.append(cells)
    return grid


def _flow(rows: list[Row], vocabulary: set[str]) -> str:
    """Lines as running text: a space where the line was full, a line break where it was not, broken words joined."""
    text = rows[0].text
    for previous, row in itertools.pairwise(rows):
        width = max(previous.column[1] - previous.column[0], 1.0)
        if text.endswith(HYPHEN) or (re.search(r"[a-z]-$", text) and row.text[:1].islower()):
            head, tail = re.search(r"(\S*).$", text), re.match(r"\w*", row.text)
            compound = f"{head[1] if head else ''}-{tail[0] if tail else ''}".lower().lstrip("(\"'“")
            broken = text.endswith(HYPHEN)
            text = text[:-1] + ("-" if compound in vocabulary or not broken else "") + row.text
        else:
            full = previous.x1 > previous.column[1] - 0.25 * width or row.text[:1].islower()
            text += (" " if full else "\n") + row.text
    return text.replace(HYPHEN, "-")
