"""The process that reads one document. It writes nothing but lines of JSON on its standard output.

Started by :mod:`knowledge.reading.reader` as ``python -I -B -c "..." PATH OPTIONS``. Everything that parses what a stranger
sent runs here: whatever a file does to a parser, it does it to this process only, within limits that the kernel holds.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from infra.confined import confine, raise_memory

OCR_EXTRA_MB = 1500  # address space that OpenVINO reserves and mostly never touches; what it touches, the parent measures


def main() -> None:
    channel = _private_output()
    path, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    from knowledge.reading.document import Limits

    limits = Limits(**options["limits"])
    confine(
        memory_mb=limits.max_memory_mb, seconds=limits.seconds + limits.ocr_pages * limits.ocr_seconds,
        most_memory_mb=limits.max_memory_mb + OCR_EXTRA_MB,
    )  # fmt: skip
    from infra.errors import TooLarge, WorkbenchError

    def progress(number: int, count: int, doing: str) -> None:
        if doing == "recognising":
            raise_memory()
        _say(channel, {"progress": [number, count, doing]})

    try:
        document = _read(path, limits, progress, frozenset(options["skip"]))
        _say(channel, {"document": document})
    except WorkbenchError as error:
        _say(channel, {"error": error.as_dict()})
    except MemoryError:
        _say(channel, {"error": TooLarge(f"Reading the document needs more than {limits.max_memory_mb} MB of memory.").as_dict()})
    except RecursionError:
        _say(channel, {"error": TooLarge("The document is nested too deeply to read.").as_dict()})
    channel.flush()
    os._exit(0)  # no finalisers: pdfium's of a broken document may crash after all is said


def _read(path: Path, limits: Any, progress: Any, skip: frozenset[int]) -> dict[str, Any]:
    from knowledge.reading import kinds
    from knowledge.reading.dispatch import read_kind

    kind = kinds.sniff(path)
    progress(0, 0, kind)
    return read_kind(kind, path, limits, progress, skip)


def _private_output() -> TextIO:
    """The standard output for our lines alone; what libraries print goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(2, 1)
    return channel


def _say(channel: TextIO, message: dict[str, Any]) -> None:
    channel.write(json.dumps(message))
    channel.write("\n")
    channel.flush()


def command_options(limits: Any, skip: frozenset[int]) -> str:
    """What :func:`main` takes as its second argument."""
    return json.dumps({"limits": asdict(limits), "skip": sorted(skip)})
