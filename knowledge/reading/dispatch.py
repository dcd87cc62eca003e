"""From the kind of a file to its reader; attachments and other documents inside a document come back here."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from infra.errors import TooLarge
from knowledge.reading import kinds
from knowledge.reading.document import Limits
from knowledge.reading.kinds import File

MOST_NESTED = 3  # documents inside documents

Progress = Callable[[int, int, str], None]


def read_kind(kind: str, file: File, limits: Limits, progress: Progress, skip: frozenset[int], depth: int = 0) -> dict[str, Any]:
    """What the reader of ``kind`` gets from ``file``; ``depth`` is how many documents it is inside of.

    Raises:
        WorkbenchError: the reader's refusal.
    """
    if kind == kinds.PDF:
        from knowledge.reading.pdf import read_pdf

        return read_pdf(file, limits, progress, skip)
    if kind == kinds.DOCX:
        from knowledge.reading.docx import read_docx

        return read_docx(file, limits)
    if kind == kinds.HTML:
        from knowledge.reading.html import read_html

        return read_html(file, limits)
    if kind in (kinds.EML, kinds.MHT, kinds.MSG):
        from knowledge.reading.mail import read_mail, read_msg

        def read_part(content: bytes, name: str) -> dict[str, Any]:
            if depth >= MOST_NESTED:
                raise TooLarge("it is nested too deeply.")
            inner = io.BytesIO(content)
            return read_kind(kinds.sniff(inner, PurePath(name).suffix), inner, limits, progress, skip, depth + 1)

        return (read_msg if kind == kinds.MSG else read_mail)(file, limits, read_part)
    from knowledge.reading.plain import read_plain

    return read_plain(file, kind, limits)
