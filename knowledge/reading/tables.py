"""Tables as grids: cells with their spans, which of them are headers, and each value told with its headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Words = Callable[["Cell | None"], str]
MOST_SPAN = 1000
MOST_PLACES = 500_000  # places of a grid that spans may fill
_FIGURE = re.compile(r"[\s$€£¥(+–—−-]*\d[\d.,\s']*(?:%|[kKmMbB]n?|[A-Za-z€$£]{0,3})?[\s)*%]*|[–—-]|n/?a", re.I)
_YEAR = re.compile(r"\s*(?:FY\s*)?(?:19|20)\d\d(?:\s*[-/–]\s*\d{2,4})?\s*", re.I)
_SIGN_BEFORE = re.compile(r"\s*[$€£¥]\s*")
_SIGN_AFTER = re.compile(r"\s*(?:\)?\s*%|\))\s*")


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        row, column: its first place in the grid, from 0.
        rows, columns: how many it spans.
        start, end: characters of the document's text (of the table's own text before it is in a document).
        header: whether it names a row or a column.
    """

    row: int
    column: int
    rows: int
    columns: int
    start: int
    end: int
    header: bool = False


@dataclass
class Raw:
    """A cell as a reader finds it, in its row."""

    text: str
    rows: int = 1
    columns: int = 1
    header: bool = False


def write_table(rows: Sequence[Sequence[Raw]]) -> tuple[str, list[Cell]]:
    """The text of a table, one line a row and a tab between cells, and its cells with offsets into that text.

    A cell that spans rows stands in the line of each, since a line must be understood alone; one that spans columns stands
    once, and its other places are empty. Columns and rows without any text are left out.
    """
    placed = _placed([_signs_joined(row) for row in rows])
    used = {c.column for c in placed if c.text and c.columns == 1}
    for c in placed:
        if c.text and not any(column in used for column in range(c.column, c.column + c.columns)):
            used.add(c.column)
    columns = {column: index for index, column in enumerate(sorted(used))}
    for c in placed:  # a spanning cell stands in the first of its columns that holds anything
        c.used = [column for column in range(c.column, c.column + c.columns) if column in used]
    filled_rows = sorted({row for c in placed if c.text for row in range(c.row, c.row + c.rows)})
    lines: list[str] = []
    cells: list[Cell] = []
    offset = 0
    by_row: dict[int, list[_Placed]] = {}
    for c in placed:
        if c.text:
            for row in range(c.row, c.row + c.rows):
                by_row.setdefault(row, []).append(c)
    for index, row in enumerate(filled_rows):
        line, at = "", 0
        for c in sorted(by_row.get(row, []), key=lambda item: item.used[0]):
            column = columns[c.used[0]]
            line += "\t" * (column - at)
            at = column
            start = offset + len(line)
            line += c.text
            if row == c.row or index == 0:
                rows_kept = sum(1 for r in filled_rows if c.row <= r < c.row + c.rows)
                cells.append(Cell(index, column, max(1, rows_kept), len(c.used), start, start + len(c.text), c.header))
        lines.append(line)
        offset += len(line) + 1
    return "\n".join(lines), cells


@dataclass
class _Placed:
    text: str
    row: int
    column: int
    rows: int
    columns: int
    header: bool
    used: list[int]


def _placed(rows: Sequence[Sequence[Raw]]) -> list[_Placed]:
    taken: set[tuple[int, int]] = set()
    found: list[_Placed] = []
    for number, row in enumerate(rows):
        column = 0
        for raw in row:
            while (number, column) in taken:
                column += 1
            height = min(max(1, raw.rows or len(rows)), len(rows) - number)
            width = min(max(1, raw.columns), MOST_SPAN)
            if height * width > 1 and len(taken) + height * width > MOST_PLACES:
                height = width = 1
            if height > 1 or width > 1:
                taken.update((number + down, column + right) for down in range(height) for right in range(width))
            found.append(_Placed(" ".join(raw.text.split()), number, column, height, width, raw.header, []))
            column += width
    return found


def _signs_joined(row: Sequence[Raw]) -> list[Raw]:
    """Accountants' tables set the currency sign and the closing bracket in cells of their own: they belong to the number."""
    out: list[Raw] = []
    pending: Raw | None = None
    for raw in row:
        if pending is not None:
            if re.match(r"[\s(–—-]*\d|\s*[–—-]", raw.text) and raw.rows == pending.rows == 1:
                out.append(Raw("", 1, pending.columns))  # the number stays in its column
                raw = Raw(pending.text.strip() + raw.text.strip(), raw.rows, raw.columns, raw.header)
            else:
                out.append(pending)
            pending = None
        if _SIGN_BEFORE.fullmatch(raw.text):
            pending = raw
        elif out and _SIGN_AFTER.fullmatch(raw.text) and re.search(r"\d\s*$", out[-1].text) and raw.rows == out[-1].rows == 1:
            out[-1] = Raw(out[-1].text.rstrip() + raw.text.strip(), 1, out[-1].columns, out[-1].header)
            out.append(Raw("", 1, raw.columns))
        else:
            out.append(raw)
    return [*out, pending] if pending is not None else out


def described(cells: Iterable[Cell], text: str) -> dict[int, str]:
    """Row number -> its values as ``row header, column header: value``, separated by ``; ``.

    Rows of headers are in none. A table without any header or with a single column gives nothing.

    Args:
        cells: of one table.
        text: the document's text.
    """
    grid: dict[tuple[int, int], Cell] = {}
    for cell in cells:
        for row in range(cell.row, cell.row + cell.rows):
            for column in range(cell.column, cell.column + cell.columns):
                grid.setdefault((row, column), cell)
    if not grid:
        return {}
    height, width = 1 + max(row for row, _ in grid), 1 + max(column for _, column in grid)
    if width < 2 or height < 2:
        return {}

    def words(cell: Cell | None) -> str:
        return " ".join(text[cell.start : cell.end].split()) if cell else ""

    heads = _header_rows(grid, height, width, words)
    if heads == 0:
        return {}
    names: list[str] = []
    for column in range(width):
        parts: list[str] = []
        for row in range(heads):
            name = words(grid.get((row, column)))
            if name and name not in parts:
                parts.append(name)
        names.append(" ".join(parts))
    labels = _label_columns(grid, heads, height, width, words)
    out: dict[int, str] = {}
    section = ""
    for row in range(heads, height):
        found = {column: grid[row, column] for column in range(width) if (row, column) in grid}
        distinct = list(dict.fromkeys(found.values()))
        if len(distinct) == 1 and (distinct[0].columns >= width or (distinct[0].column == 0 and not _figure(words(distinct[0])))):
            section = words(distinct[0])
            out[row] = section
            continue
        head = ", ".join(dict.fromkeys(filter(None, [section, *(words(found.get(column)) for column in range(labels))])))
        told = []
        for cell in distinct:
            if cell.column < labels:
                continue
            name = ", ".join(dict.fromkeys(n for n in names[cell.column : cell.column + cell.columns] if n))
            where = ", ".join(part for part in (head, name) if part)
            told.append(f"{where}: {words(cell)}" if where else words(cell))
        out[row] = "; ".join(told) or head
    return out


def _figure(text: str) -> bool:
    return bool(_FIGURE.fullmatch(text)) and not _YEAR.fullmatch(text)


def _header_rows(grid: dict[tuple[int, int], Cell], height: int, width: int, words: Words) -> int:
    """How many rows at the top name columns: those marked as headers, else those before the first with figures."""
    marked = 0
    while marked < min(height, 6):
        row = [grid.get((marked, column)) for column in range(width)]
        # The corner need not be marked, nor an empty place.
        if not any(row) or any(cell is not None and not cell.header and column > 0 for column, cell in enumerate(row)):
            break
        if not any(cell is not None and cell.header and column > 0 for column, cell in enumerate(row)):
            break
        marked += 1
    if marked:
        return min(marked, height - 1)
    for row in range(min(height, 4)):
        texts = [words(grid.get((row, column))) for column in range(1, width)]
        if any(_figure(text) for text in texts):
            return row
    first = [words(grid.get((0, column))) for column in range(width)]
    return 1 if sum(bool(text) for text in first[1:]) >= max(1, (width - 1) // 2) and max(map(len, first)) <= 80 else 0


def _label_columns(grid: dict[tuple[int, int], Cell], heads: int, height: int, width: int, words: Words) -> int:
    """How many columns at the left name rows: those marked as headers, else the first."""
    body = range(heads, height)
    marked = 0
    while marked < width - 1 and all((cell := grid.get((row, marked))) is None or cell.header for row in body):
        if not any((row, marked) in grid for row in body):
            break
        marked += 1
    if marked:
        return marked
    spanning = 0
    while spanning < width - 2 and any((cell := grid.get((row, spanning))) is not None and cell.rows > 1 for row in body):
        spanning += 1
    following = [words(cell) for row in body if (cell := grid.get((row, spanning))) is not None]
    named = spanning < width - 1 and sum(not _figure(text) for text in following) > len(following) / 2
    return max(1, spanning + named) if spanning else 1
