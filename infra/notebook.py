"""How a result shows itself in a notebook, and how it is saved: one list of blocks, written as HTML or as Markdown.

Texts in the blocks come from documents and file names of strangers; they are escaped here, in the one place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from typing import ClassVar

from infra.errors import InvalidInput, StorageFull

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!])")
_LIST_OR_RULE = re.compile(r"^(\s*)([-+=]|\d+[.)])")


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Table:
    """Rows of texts; columns whose index is in ``numbers`` are aligned to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()


Block = str | Heading | Table
"""A paragraph, a heading or a table."""


class Displayed:
    """A result that a notebook shows as HTML and that can be saved.

    A class names the module that knows how: its ``blocks(result)`` is what is shown, ``data(result)`` plain JSON values, and
    ``writers(result)`` maps further suffixes (``.pdf``) to what makes the content of such a file. The module is imported when it
    is first needed, so a result costs nobody the import of PDF and Word writers.
    """

    shown_by: ClassVar[str]

    def _repr_html_(self) -> str:
        return as_html(import_module(self.shown_by).blocks(self))

    def save(self, path: Path | str) -> Path:
        """Write the result to a file, in the format that its suffix names. The file is complete or not there.

        Raises:
            InvalidInput: the result cannot be written in this format, or there is no such folder; the message says what can be done.
            StorageFull: the file could not be written.
        """
        shown, target = import_module(self.shown_by), Path(path).expanduser()
        writers: dict[str, Callable[[], bytes]] = {
            ".json": lambda: (json.dumps(shown.data(self), indent=2, ensure_ascii=False) + "\n").encode(),
            ".md": lambda: as_markdown(shown.blocks(self)).encode(),
            ".html": lambda: _page(shown.blocks(self)).encode(),
            **shown.writers(self),
        }
        suffix = max((one for one in writers if target.name.lower().endswith(one)), key=len, default=None)
        if suffix is None:
            raise InvalidInput(f"Cannot save as '{target.name}'. Use a file name that ends in {', '.join(sorted(writers))}.")
        if not target.parent.is_dir():
            raise InvalidInput(f"Folder not found: {target.parent}. Create it first.")
        content = writers[suffix]()
        temporary = target.with_name(f".{token_hex(8)}{suffix}")
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StorageFull(f"Could not write {target}: {error.strerror or error}.") from error
        return target


def as_html(blocks: Sequence[Block]) -> str:
    """The blocks as one ``div``."""
    return f"<div>{''.join(_html(block) for block in blocks)}</div>"


def as_markdown(blocks: Sequence[Block]) -> str:
    """The blocks as Markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if isinstance(block, Table):
        align = [
            ' style="text-align:right"' if column in block.numbers else ' style="text-align:left"' for column in range(len(block.head))
        ]
        head = "".join(f'<th scope="col"{how}>{escape(cell)}</th>' for how, cell in zip(align, block.head, strict=True))
        rows = ["".join(f"<td{how}>{escape(cell)}</td>" for how, cell in zip(align, row, strict=True)) for row in block.rows]
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"
    return f"<p>{escape(block)}</p>"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_plain(block.text)}"
    if isinstance(block, Table):
        rules = ["---:" if column in block.numbers else "---" for column in range(len(block.head))]
        rows = [[_plain(cell) for cell in row] for row in (block.head, *block.rows)]
        lines = [f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:])]
        return "\n".join(lines)
    return _plain(block)


def _plain(text: str) -> str:
    """The text on one line, so that Markdown shows it as it is."""
    return _LIST_OR_RULE.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", " ".join(text.split())))


def _page(blocks: Sequence[Block]) -> str:
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Workbench")
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2933}"
        "table{border-collapse:collapse;margin:1rem 0}th,td{border-bottom:1px solid #d3dae1;padding:.35rem .7rem;vertical-align:top}"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{as_html(blocks)}</body></html>\n"
    )
