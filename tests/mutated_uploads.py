"""Small good files of every kind with bytes flipped, cut, repeated or spliced in from another, by a fixed seed; and what becomes of
them in the readers that uploads meet: documents in their confined process, scans where the pipelines read them."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.errors import WorkbenchError
from infra.settings import Imaging
from knowledge.reading import read_document
from knowledge.reading.document import Limits
from knowledge.reading.records import read_records
from serving.volume import read_scan
from serving.volume.read import UNFORESEEN
from tests.hostile_documents import docx, one_page, records, words
from tests.unit.serving.volume.test_mutations import KINDS as SCANS
from tests.unit.serving.volume.test_mutations import good as good_scan

SECONDS = 10.0
"""The most processor time that one file may take."""
_LIMITS = Imaging(max_voxels=3_000_000, max_unpacked_mb=20, max_files=100)
_TEXT = "The supplier must keep records of every delivery, and report incidents within 24 hours. " * 6
DOCUMENTS = ("a.pdf", "a.docx", "a.html", "a.txt", "a.csv", "a.md", "a.jsonl")
EVERY = (*DOCUMENTS, *SCANS)


@dataclass(frozen=True)
class Outcome:
    """What became of a file: ``read``, the code of a refusal, or a fault (``fault``)."""

    code: str
    seconds: float
    fault: str = ""


@cache
def good(kind: str) -> bytes:
    """A small file in order."""
    if kind in SCANS:
        return good_scan(kind)
    table = "<w:tbl><w:tr><w:tc>" + words("a") + "</w:tc><w:tc>" + words("b") + "</w:tc></w:tr></w:tbl>"
    return {
        "a.pdf": one_page(b"BT /F1 9 Tf 30 700 Td (" + _TEXT[:90].encode() + b") Tj ET"),
        "a.docx": docx(words(_TEXT) * 3 + table),
        "a.html": f"<html><title>T</title><body><h1>H</h1><p>{_TEXT}</p><table><tr><td>a</td></tr></table></body></html>".encode(),
        "a.txt": _TEXT.encode(),
        "a.csv": b'id,text\n1,"' + _TEXT.encode() + b'"\n2,short\n',
        "a.md": f"# Title\n\n- one\n- two\n\n> {_TEXT}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n".encode(),
        "a.jsonl": records({"id": "1", "title": "T", "text": _TEXT}, {"id": "2", "text": "short", "year": 2019}),
    }[kind]


def mutations(count: int, *, seed: int, kinds: tuple[str, ...] = EVERY) -> Iterator[tuple[str, bytes]]:
    """``(kind, content)``: the kinds in turn, each changed in one to three ways."""
    chance = random.Random(seed)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        content = bytearray(good(kind))
        for _ in range(chance.randint(1, 3)):
            _change(content, kind, chance)
        yield kind, bytes(content)


def _change(content: bytearray, kind: str, chance: random.Random) -> None:
    size = max(1, len(content))
    # Most changes where headers are: what they hit behind them is only another picture, or another word.
    place = min(
        size - 1, chance.choice((chance.randrange(size), chance.randrange(min(size, 400)), size - 1 - chance.randrange(min(size, 400))))
    )
    length = chance.choice((1, 2, 4, 16, 64, 500))
    way = chance.choice(("bit", "bit", "byte", "zeros", "ones", "cut", "drop", "repeat", "splice", "insert"))
    if way == "bit" and content:
        content[place] ^= 1 << chance.randrange(8)
    elif way == "byte" and content:
        content[place] = chance.randrange(256)
    elif way in ("zeros", "ones"):
        content[place : place + length] = (b"\0" if way == "zeros" else b"\xff") * len(content[place : place + length])
    elif way == "cut":
        del content[place:]
    elif way == "drop":
        del content[place : place + length]
    elif way == "repeat":
        content[place:place] = content[place : place + length] * chance.randint(1, 50)
    elif way == "splice":
        other = good(chance.choice(EVERY))
        begin = chance.randrange(len(other))
        content[place : place + length] = other[begin : begin + length]
    else:
        content[place:place] = chance.randbytes(length)


def read_upload(path: Path) -> Outcome:
    """Read a file as its pipeline does; what is neither read nor refused by a sentence is a fault. Documents of other sizes
    than a few pages are not recognised by OCR here: it takes seconds and is no parser."""
    began, spent = time.monotonic(), _cpu()
    fault, code = "", "read"
    try:
        if path.suffix == ".jsonl":
            for record in read_records(path):
                assert not isinstance(record, Exception) or record.message
        elif path.suffix in {Path(name).suffix for name in DOCUMENTS}:
            text = read_document(path, Limits(ocr=False)).text
            text.encode("utf-8")
        else:
            read_scan(path, _LIMITS)
    except WorkbenchError as error:
        code = error.code
        if code == "internal" or not error.message.rstrip().endswith((".", ")")):
            fault = f"{code}: {error.message}"
        elif error.message == UNFORESEEN:
            code = "unforeseen"
    except Exception as error:
        code, fault = "crash", f"{type(error).__name__}: {error}"
    took = _cpu() - spent
    if not fault and (took > SECONDS or time.monotonic() - began > 60):
        fault = f"took {took:.1f} s of processor time"
    return Outcome(code, took, fault)


def _cpu() -> float:
    """Processor seconds of this process and of the children that have ended."""
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
