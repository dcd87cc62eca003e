"""Which files people mean when they name paths, and what their documents are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import InvalidInput, NotFound

RECORDS = ".jsonl"


@dataclass(frozen=True)
class Found:
    """A file to add.

    Attributes:
        name: its path relative to the folder that was named, or its own name.
        path: where it is.
    """

    name: str
    path: Path

    @property
    def records(self) -> bool:
        """Whether each of its lines is a document."""
        return holds_records(self.name)


def holds_records(name: str) -> bool:
    """Whether a file of this name has one ``{"id", "title", "text"}`` a line."""
    return name.lower().endswith(RECORDS)


def find_files(paths: Sequence[Path | str]) -> list[Found]:
    """Every file that ``paths`` name, folders with all below them but what is hidden; in the order given, folders sorted.

    Raises:
        NotFound: a path is not there.
        InvalidInput: nothing is left, or two files would bear one name.
    """
    found: dict[str, Found] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise NotFound(f"File or folder not found: {path}.")
        for item in _below(path) if path.is_dir() else [Found(path.name, path)]:
            if item.name in found and found[item.name].path.resolve() != item.path.resolve():
                raise InvalidInput(
                    f"Two of the files would both be called '{item.name}': {found[item.name].path} and {item.path}. "
                    "Add their parent folder, or add them one at a time."
                )
            found[item.name] = item
    if not found:
        raise InvalidInput("No files found.")
    return list(found.values())


def _below(folder: Path) -> list[Found]:
    items = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            items.append(Found(relative.as_posix(), path))
    return items
