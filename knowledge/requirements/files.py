"""Files of requirements: a table (CSV or XLSX) with the columns ``id,text[,severity,topic,modality]``, or one requirement a line.

A CSV's cells may be separated by commas, semicolons, tabs or bars, and lines may stand above its header ("sep=;", a title).

``requirements.csv`` of an analysis (:data:`REPORT_COLUMNS`) is read, too: what else it tells of a requirement is left out.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from infra.csv_export import unguarded
from infra.errors import InvalidInput, NotFound, TooLarge
from knowledge.reading.plain import decode
from knowledge.requirements.contract import Policy, Requirement
from knowledge.requirements.wording import read_wording, without_marks

COLUMNS = ("id", "text", "severity", "topic", "modality")
REPORT_COLUMNS = (
    "id", "text", "modality", "severity", "topic", "policy", "policy_page", "standing", "verdict", "reviewed",
    "satisfied", "violated", "not_addressed", "conflict", "page", "start", "end", "evidence", "difference", "action",
)  # fmt: skip
"""Of the table that an analysis gives; its first five are those of a file of requirements."""
LONGEST_TEXT = 4_000
MOST_BYTES = 20_000_000
MOST_REQUIREMENTS = 5_000
DELIMITERS = (",", ";", "\t", "|")
HEADER_WITHIN = 10
"""Lines of a file, or rows of a sheet, among which its header is looked for."""
MOST_COLUMNS = 64
MOST_UNPACKED_BYTES = 200_000_000


class Line(BaseModel):
    """One requirement as a file (or a request) words it; what is left empty is found from the words."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=200)
    text: str = Field(min_length=3, max_length=LONGEST_TEXT)
    severity: Literal["low", "medium", "high", "critical"] | None = None
    topic: str = Field(default="", max_length=200)
    modality: Literal["obligation", "prohibition", "permission"] | None = None

    @field_validator("severity", "modality", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return (value.strip().lower() or None) if isinstance(value, str) else value

    def requirement(self) -> Requirement:
        """With what its words tell of modality, severity and parts."""
        wording = read_wording(without_marks(self.text))
        parts = {name: getattr(wording, name) for name in ("subject", "action", "condition", "exception")} if wording else {}
        return Requirement(
            id=self.id,
            text=" ".join(self.text.split()),
            modality=self.modality or (wording.modality if wording else "obligation"),
            severity=self.severity or (wording.severity if wording else "medium"),
            topic=self.topic,
            **parts,
        )


def read_requirements_file(path: Path) -> Policy:
    """A file of requirements as a policy of the file's name.

    Raises:
        NotFound: there is no such file.
        TooLarge: more bytes or requirements than are read.
        InvalidInput: it is empty, two lines have one id, or a line is wrong; the message names the line.
    """
    if not path.is_file():
        raise NotFound(f"File not found: {path}.")
    if path.stat().st_size > MOST_BYTES:
        raise TooLarge(f"{path.name} has more than {MOST_BYTES // 1_000_000} MB: a file of requirements is smaller.")
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        return Policy(path.name, requirements=tuple(_checked(_workbook(path), path.name)))
    return Policy(path.name, requirements=tuple(parse_requirements(decode(content)[0], path.name)))


def parse_requirements(text: str, name: str) -> list[Requirement]:
    """The requirements in a file's text; ``name`` is for messages. Raises InvalidInput, TooLarge."""
    table = _csv_rows(text)
    return _checked(_table(*table, name) if table else _one_a_line(text), name)


def _checked(lines: Iterable[tuple[int, dict[str, Any]]], name: str) -> list[Requirement]:
    found: list[Requirement] = []
    for number, said in lines:
        try:
            found.append(Line.model_validate(said).requirement())
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidInput(
                f"Line {number} of {name} is not a valid requirement: {'.'.join(map(str, first['loc']))}: {first['msg']}."
            ) from error
    if not found:
        raise InvalidInput(
            f"{name} has no requirements. Use CSV or XLSX with the columns id,text[,severity,topic,modality], or one requirement per line."
        )
    if len(found) > MOST_REQUIREMENTS:
        raise TooLarge(f"{name} holds {len(found):,} requirements; at most {MOST_REQUIREMENTS:,} are checked at once. Split the file.")
    ids = [one.id for one in found]
    if twice := next((one for one in ids if ids.count(one) > 1), None) if len(set(ids)) < len(ids) else None:
        raise InvalidInput(f"Two requirements of {name} have the id '{twice}'. IDs must be unique.")
    return found


def _csv_rows(text: str) -> tuple[list[str], list[tuple[int, list[str]]]] | None:
    """Header and rows with their line numbers, where one of the first lines is a header by one of DELIMITERS."""
    lines = text.split("\n")
    for number, line in enumerate(lines[:HEADER_WITHIN]):
        for delimiter in DELIMITERS:
            columns = _header(next(csv.reader([line], delimiter=delimiter), []))
            if "text" in columns and (len(columns) > 1 or not any(line.strip() for line in lines[:number])):
                reader = csv.reader(io.StringIO("\n".join(lines[number + 1 :])), delimiter=delimiter)
                return columns, [(number + 1 + reader.line_num, row) for row in reader]
    return None


def _workbook(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The rows of the first sheet of an XLSX file that has a header. Raises InvalidInput."""
    import openpyxl

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_UNPACKED_BYTES:
                raise TooLarge(f"{path.name} holds more than {MOST_UNPACKED_BYTES // 1_000_000} MB when it is unpacked.")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise InvalidInput(f"{path.name} cannot be read as an Excel workbook (XLSX). Save it again as .xlsx or .csv.") from error
    try:
        for sheet in book.worksheets:
            last = min(sheet.max_row or MOST_REQUIREMENTS, MOST_REQUIREMENTS) + HEADER_WITHIN
            rows = [
                (number, [_cell(value) for value in row])
                for number, row in enumerate(sheet.iter_rows(max_row=last, max_col=MOST_COLUMNS, values_only=True), 1)
            ]
            for place, (_, row) in enumerate(rows[:HEADER_WITHIN]):
                if "text" in (columns := _header(row)):
                    width = max(at for at, column in enumerate(columns, 1) if column)
                    return _table(columns[:width], [(number, _trimmed(cells, width)) for number, cells in rows[place + 1 :]], path.name)
    finally:
        book.close()
    raise InvalidInput(f"No sheet of {path.name} has a header with the columns id,text[,severity,topic,modality].")


def _cell(value: Any) -> str:
    """A cell as people see it: 3, not 3.0."""
    return "" if value is None else str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _trimmed(cells: list[str], width: int) -> list[str]:
    """Without the empty cells behind the last column."""
    return cells[:width] + [cell for cell in cells[width:] if cell.strip()]


def _header(cells: Sequence[str]) -> list[str]:
    return [cell.strip().lower() for cell in cells]


def _table(columns: list[str], rows: Iterable[tuple[int, list[str]]], name: str) -> list[tuple[int, dict[str, Any]]]:
    known = REPORT_COLUMNS if set(columns) == set(REPORT_COLUMNS) else COLUMNS
    if unknown := [one for one in columns if one not in known]:
        raise InvalidInput(f"{name} has a column '{unknown[0]}'. A file of requirements has the columns id,text[,severity,topic,modality].")
    if "id" not in columns:
        raise InvalidInput(f"{name} has no column 'id'. A file of requirements has the columns id,text[,severity,topic,modality].")
    found = []
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(columns):
            raise InvalidInput(f"Line {number} of {name} has more cells than columns: put text with a delimiter in it in double quotes.")
        cells = zip(columns, map(unguarded, row), strict=False)
        found.append((number, {column: cell for column, cell in cells if column in COLUMNS}))
    return found


def _one_a_line(text: str) -> list[tuple[int, dict[str, Any]]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    return [(number, {"id": str(place), "text": line}) for place, (number, line) in enumerate(((n, t) for n, t in lines if t), 1)]
