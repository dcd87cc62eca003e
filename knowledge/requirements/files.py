"""Files of requirements: CSV with the columns ``id,text[,severity,topic,modality]``, or one requirement a line.

``requirements.csv`` of an analysis (:data:`REPORT_COLUMNS`) is read, too: what else it tells of a requirement is left out.
"""

from __future__ import annotations

import csv
import io
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
    text, _ = decode(path.read_bytes())
    return Policy(path.name, requirements=tuple(parse_requirements(text, path.name)))


def parse_requirements(text: str, name: str) -> list[Requirement]:
    """The requirements in a file's text; ``name`` is for messages. Raises InvalidInput, TooLarge."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    columns = [cell.strip().lower() for cell in next(csv.reader([header]), [])]
    lines = _table(text, name, columns) if "text" in columns else _one_a_line(text)
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
            f"{name} has no requirements. Use CSV with the columns id,text[,severity,topic,modality], or one requirement per line."
        )
    if len(found) > MOST_REQUIREMENTS:
        raise TooLarge(f"{name} holds {len(found):,} requirements; at most {MOST_REQUIREMENTS:,} are checked at once. Split the file.")
    ids = [one.id for one in found]
    if twice := next((one for one in ids if ids.count(one) > 1), None) if len(set(ids)) < len(ids) else None:
        raise InvalidInput(f"Two requirements of {name} have the id '{twice}'. IDs must be unique.")
    return found


def _table(text: str, name: str, columns: list[str]) -> list[tuple[int, dict[str, Any]]]:
    known = REPORT_COLUMNS if set(columns) == set(REPORT_COLUMNS) else COLUMNS
    if unknown := [one for one in columns if one not in known]:
        raise InvalidInput(f"{name} has a column '{unknown[0]}'. A file of requirements has the columns id,text[,severity,topic,modality].")
    if "id" not in columns:
        raise InvalidInput(f"{name} has no column 'id'. A file of requirements has the columns id,text[,severity,topic,modality].")
    found, reader = [], csv.reader(io.StringIO(text))
    begun = False
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if not begun:
            begun = True
            continue
        if len(row) > len(columns):
            raise InvalidInput(
                f"Line {reader.line_num} of {name} has more cells than columns: put text that contains commas in double quotes."
            )
        cells = zip(columns, map(unguarded, row), strict=False)
        found.append((reader.line_num, {name: cell for name, cell in cells if name in COLUMNS}))
    return found


def _one_a_line(text: str) -> list[tuple[int, dict[str, Any]]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    return [(number, {"id": str(place), "text": line}) for place, (number, line) in enumerate(((n, t) for n, t in lines if t), 1)]
