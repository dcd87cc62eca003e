"""Documents that come as records: a ``.jsonl`` file with one ``{"id", "title", "text"}`` a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.errors import CorruptFile
from knowledge.reading.document import RECORD, Document, Page, with_paths
from knowledge.reading.plain import text_blocks

LONGEST_ID = 500
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """``text`` with a replacement character for each that no database and no file of UTF-8 holds: NUL, half a surrogate pair."""
    return _UNSTORABLE.sub("\ufffd", text)


def record_document(identifier: str, text: str, *, title: str | None = None, metadata: dict[str, str] | None = None) -> Document:
    """A record as a document without pages. Its text is exactly ``text``."""
    blocks = [(kind, start, end, 1, level) for kind, start, end, level in text_blocks(text)]
    return Document(identifier, RECORD, (Page(1, 0, text),), with_paths(blocks, text), False, title, None, metadata or {})


def read_records(path: Path) -> Iterator[Document | CorruptFile]:
    """Every record of a ``.jsonl`` file; a line that is none is given as the error, so that it does not stop the others."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record: dict[str, Any] = json.loads(line)
                identifier, text = str(record["id"]), record["text"]
                if not isinstance(text, str) or not 1 <= len(identifier) <= LONGEST_ID:
                    raise TypeError("text or id")
            except (ValueError, KeyError, TypeError, RecursionError):
                yield CorruptFile(
                    f'Line {number} is no record: one JSON object a line with "id" and "text" is expected (an id has 1 to 500 characters).',
                    line=number,
                )
                continue
            extra = {
                storable(key)[:100]: storable(str(value))[:500]
                for key, value in record.items()
                if key not in ("id", "title", "text") and isinstance(value, str | int)
            }
            title = record.get("title")
            titled = storable(title) if isinstance(title, str) and title.strip() else None
            yield record_document(storable(identifier), storable(text), title=titled, metadata=extra)
