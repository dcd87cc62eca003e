"""CSV files for people to open in a spreadsheet: the one writer of every export, and the guard of its text cells.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return for a formula, and runs
it. Texts come from strangers (names of files, documents, requirements), so such a text gets an apostrophe before it, as
OWASP advises ("CSV injection"); a spreadsheet shows it with the apostrophe. Numbers are written as they are: ``-3.5`` that was
computed stays a number, the text ``-3.5`` becomes ``'-3.5``. A text that already has apostrophes before such a character
gets one more, so that :func:`unguarded` gives back exactly what was exported.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number

# The wide forms are taken for the narrow ones by spreadsheets in some languages.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """The file's text: a line of column names, then one a row; lines end with ``\\n``.

    Args:
        columns: their names, in order.
        rows: a value by column; what is missing or None is an empty cell, other columns are left out.
    """
    return _line(columns) + "".join(_line(row.get(name) for name in columns) for row in rows)


def guarded(text: str) -> str:
    """The text with an apostrophe before it, where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """What :func:`guarded` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _line(values: Iterable[object]) -> str:
    out = io.StringIO()
    # With this line end, and only with it, the writer also quotes a carriage return: left bare, a spreadsheet begins a new
    # line there, and its first cell would be unguarded.
    csv.writer(out, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return out.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: object) -> object:
    if value is None:
        return ""
    return value if isinstance(value, Number) and not isinstance(value, bool) else guarded(str(value))
