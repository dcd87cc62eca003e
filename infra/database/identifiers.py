"""Ids and names: the one rule for whatever can be referred to by "id or name".

An id always wins over a name, and a text in the form of an id is never taken for somebody's chosen name. So nobody can
name something of theirs after another's id and receive what was meant for the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import TypeVar

from infra.errors import InvalidInput

Row = TypeVar("Row")
_FORM = re.compile(r"[0-9a-f]{24}")


def looks_like_id(text: str) -> bool:
    """Whether a person or a program could take the text for an id of :func:`infra.database.tables.new_id` (in any case, with
    spaces around it, or in full-width letters)."""
    return _FORM.fullmatch(unicodedata.normalize("NFKC", text).strip().casefold()) is not None


def refuse_id_as_name(name: str, what: str) -> None:
    """Raises InvalidInput where ``name``, chosen for ``what`` ("a collection"), looks like an id."""
    if looks_like_id(name):
        raise InvalidInput(f"The name of {what} must not look like an id (24 hexadecimal digits): '{name}'. Choose another name.")


def find_by_id_or_name(
    text: str, rows: Iterable[Row], id_and_name: Callable[[Row], tuple[str, str]], *, any_name: bool = False
) -> list[Row]:
    """The rows that ``text`` refers to: the one with that id, else those with that name.

    Args:
        rows: only those that the person who asks may see.
        any_name: also look for a name that looks like an id, where no row has that id. Only for names that people do not
            choose freely and that are unique where they are looked for: documents of one collection, whose names may be
            the ids of records from another database.
    """
    known = [(row, *id_and_name(row)) for row in rows]
    found = [row for row, identifier, _ in known if identifier == text]
    if found or (looks_like_id(text) and not any_name):
        return found
    return [row for row, _, name in known if name == text]
