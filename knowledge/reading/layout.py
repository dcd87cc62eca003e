"""Reading order of a page from the boxes of its words: columns one after the other, table rows kept together.

``lay_out(words)`` gives lines, each a list of cells (runs of words without a wide gap). The idea: a gutter is a
vertical strip that few runs cross. What crosses it (a title over two columns) cuts the page into bands; within a
band the left side is read before the right, if both sides are prose. Rows of a table also have a gutter between
their cells, but short or numeric cells: those stay rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from knowledge.reading.words import Word

_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")


@dataclass(slots=True)
class Run:
    """Words of one line without a wide gap between them."""

    words: list[Word]
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(slots=True)
class Line:
    """One line in reading order. Several cells: a row of a table, or what looks like one."""

    cells: list[Run]
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    column: tuple[float, float]
    """Left and right edge of the column that the line stands in."""


def lay_out(words: list[Word]) -> list[Line]:
    """Lines of a page in reading order. Every word is in exactly one of them."""
    runs = _runs(words)
    if not runs:
        return []
    lines: list[Line] = []
    _order(runs, lines, depth=0)
    return lines


def _runs(words: list[Word]) -> list[Run]:
    """Split pdfium's lines at wide gaps and at jumps.

    pdfium's order within a line is trusted (right-to-left scripts are already logical), except where a line goes back.
    """
    runs: list[Run] = []
    current: list[Word] = []
    for word in words:
        if current and not _continues(current[-1], word):
            runs.append(_run(current))
            current = []
        current.append(word)
    if current:
        runs.append(_run(current))
    return runs


def _continues(previous: Word, word: Word) -> bool:
    if word.line != previous.line and not _touches(previous, word):
        return False
    height = max(1.0, min(previous.y1 - previous.y0, word.y1 - word.y0))
    overlap = min(previous.y1, word.y1) - max(previous.y0, word.y0)
    if overlap < -0.3 * height:
        return False
    em = max(4.0, min(max(previous.size, 1.0), max(word.size, 1.0), 40.0), 0.6 * height)
    if _RTL.search(word.text) or _RTL.search(previous.text):
        return True
    gap = word.x0 - previous.x1
    return -2.0 * em < gap < 1.35 * em


def _touches(previous: Word, word: Word) -> bool:
    """Two lines to pdfium, one to the eye: the same baseline, and the next word begins where the last ended."""
    height = max(1.0, min(previous.y1 - previous.y0, word.y1 - word.y0))
    return abs(previous.y1 - word.y1) < 0.25 * height and -0.2 * height < word.x0 - previous.x1 < 0.6 * height


def _run(words: list[Word]) -> Run:
    return Run(words, min(w.x0 for w in words), min(w.y0 for w in words), max(w.x1 for w in words), max(w.y1 for w in words))


def _order(runs: list[Run], out: list[Line], depth: int) -> None:
    gutter = _gutter(runs) if depth < 4 and len(runs) >= 6 else None
    if gutter is None:
        out += _rows(runs)
        return
    crossing = sorted((run for run in runs if run.x0 < gutter and run.x1 > gutter), key=lambda run: run.y0)
    sides = [run for run in runs if not (run.x0 < gutter and run.x1 > gutter)]
    # What crosses the gutter is read between the bands above and below it.
    cuts = [0.5 * (run.y0 + run.y1) for run in crossing]
    bands: list[list[Run]] = [[] for _ in range(len(cuts) + 1)]
    for run in sides:
        middle = 0.5 * (run.y0 + run.y1)
        bands[sum(1 for cut in cuts if cut < middle)].append(run)
    pending: list[Run] = []

    def flush() -> None:
        if pending:
            _order(list(pending), out, depth + 1) if len(pending) < len(runs) else out.extend(_rows(pending))
            pending.clear()

    for index, band in enumerate(bands):
        left = [run for run in band if run.x1 <= gutter]
        right = [run for run in band if run.x0 >= gutter]
        if _columns(left, right):
            flush()
            _order(left, out, depth + 1)
            _order(right, out, depth + 1)
        else:
            pending += band
        if index < len(crossing):
            pending.append(crossing[index])
    flush()


def _gutter(runs: list[Run]) -> float | None:
    """The x of the strip that divides the most text with the least crossing it, or None."""
    left, right = min(run.x0 for run in runs), max(run.x1 for run in runs)
    width = right - left
    if width < 100:
        return None
    best: tuple[float, float] | None = None
    edges = sorted({round(run.x0) for run in runs if run.x0 > left + 0.12 * width})
    for x in edges:
        position = x - 2.0
        if position > right - 0.12 * width:
            break
        before = [run for run in runs if run.x1 <= position]
        after = [run for run in runs if run.x0 >= position]
        crossing = len(runs) - len(before) - len(after)
        if not _columns(before, after) or crossing > 0.5 * min(len(before), len(after)) + 8:
            continue
        score = min(_area(before), _area(after)) - _area(run for run in runs if run.x0 < position < run.x1)
        if best is None or score > best[0]:
            best = (score, position)
    return best[1] if best and best[0] > 0 else None


def _area(runs: Iterable[Run]) -> float:
    return sum(run.x1 - run.x0 for run in runs)


def _columns(left: list[Run], right: list[Run]) -> bool:
    """Whether both sides are prose of their own, rather than cells of common rows."""
    if len(left) < 3 or len(right) < 3:
        return False
    top, bottom = max(min(r.y0 for r in left), min(r.y0 for r in right)), min(max(r.y1 for r in left), max(r.y1 for r in right))
    if bottom <= top:
        return False
    return _prose(left) and _prose(right)


def _prose(runs: list[Run]) -> bool:
    width = max(run.x1 for run in runs) - min(run.x0 for run in runs)
    words = sum(len(run.words) for run in runs)
    letters = sum(1 for run in runs for word in run.words if any(c.isalpha() for c in word.text))
    wide = sum(1 for run in runs if run.x1 - run.x0 > 0.6 * width)
    return words / len(runs) >= 3.0 and letters > 0.7 * words and wide >= 0.45 * len(runs)


def _rows(runs: list[Run]) -> list[Line]:
    """Runs of one column as lines from top to bottom; runs on one baseline are the cells of one line."""
    column = (min(run.x0 for run in runs), max(run.x1 for run in runs))
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: (0.5 * (run.y0 + run.y1), run.x0)):
        if rows and _same_row(rows[-1], run):
            rows[-1].append(run)
        else:
            rows.append([run])
    return [_line(row, column) for row in rows]


def _same_row(row: list[Run], run: Run) -> bool:
    reference = row[0]
    height = min(reference.y1 - reference.y0, run.y1 - run.y0)
    overlap = min(reference.y1, run.y1) - max(reference.y0, run.y0)
    if overlap < 0.5 * max(height, 1.0):
        return False
    # Text drawn over other text (a shadow, a stamp) is another line, lest its words be shuffled.
    return all(min(other.x1, run.x1) - max(other.x0, run.x0) < 0.5 * min(other.x1 - other.x0, run.x1 - run.x0) + 1 for other in row)


def _line(row: list[Run], column: tuple[float, float]) -> Line:
    if sum(1 for run in row if _RTL.search(run.text)) > 0.5 * len(row):
        row.sort(key=lambda run: -run.x1)
    else:
        row.sort(key=lambda run: run.x0)
    cells = _cells(row)
    words = [word for run in row for word in run.words]
    letters = sum(len(word.text) for word in words)
    bold = sum(len(word.text) for word in words if word.bold) > 0.7 * letters
    return Line(
        cells,
        min(run.x0 for run in row),
        min(run.y0 for run in row),
        max(run.x1 for run in row),
        max(run.y1 for run in row),
        median(word.size for word in words),
        bold,
        column,
    )


def _cells(row: list[Run]) -> list[Run]:
    """Runs next to each other with no wide gap after all (drawn out of order) are one cell."""
    cells: list[Run] = []
    for run in row:
        if cells and not _RTL.search(run.text):
            gap = run.x0 - cells[-1].x1
            if gap < 0.9 * max(4.0, min(run.words[0].size, 40.0)):
                cells[-1] = _run(cells[-1].words + run.words)
                continue
        cells.append(run)
    return cells
