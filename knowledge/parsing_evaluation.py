"""How well documents are read: word recall of readable files, right refusals of the others, time and memory."""

from __future__ import annotations

import json
import re
import resource
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.errors import InvalidInput, PasswordProtected, WorkbenchError
from knowledge.reading import Document, Limits, read_document

FEW_WORDS = 5
SECONDS, MEGABYTES = 10.0, 1000.0
LEAKS = re.compile(r"root:[^\n:]*:0:0:|127\.0\.0\.1\s+localhost|BEGIN [A-Z ]*PRIVATE KEY")


@dataclass(frozen=True)
class CaseResult:
    """What became of one file.

    Attributes:
        recall: share of the reference's words that were read (multiset), for ``text`` cases with a reference. Words that a reader
            of the page does not see (struck, hidden) count when they are told to be left out: references hold them too.
        text_recall: the same of the text alone.
        right: the outcome is one that ``expect`` allows, within the limits, and nothing leaked.
        cpu_seconds: processor time of the reader, which a busy machine does not change.
        memory_mb: largest resident size of any reader so far.
        outcome: ``read``, ``empty`` (read, said to hold no text) or the code of the refusal.
    """

    name: str
    expect: str
    outcome: str
    right: bool
    recall: float | None
    text_recall: float | None
    seconds: float
    cpu_seconds: float
    memory_mb: float
    note: str


def words_of(text: str) -> Counter[str]:
    """Lower-cased words, as a multiset."""
    return Counter(re.findall(r"[^\W_]+", text.lower()))


def word_recall(text: str, reference: str) -> float:
    wanted = words_of(reference)
    return sum((words_of(text) & wanted).values()) / max(1, sum(wanted.values()))


def evaluate_parsing(data: Path, *, limits: Limits | None = None, only: str | None = None) -> dict[str, Any]:
    """Read every case of ``data/parsing`` (cases.jsonl, files/, reference/, hostile/).

    Args:
        data: a folder laid out as ``../shared/data/rag``.
        limits: the reader's; by default the product's.
        only: a regular expression on the cases' names.

    Returns:
        ``{"summary": {...}, "cases": [CaseResult as dict]}``.
    """
    folder = data / "parsing"
    results = []
    for line in (folder / "cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        if only is None or re.search(only, case["name"]):
            results.append(_evaluate(case, folder, limits or Limits()))
    return {"summary": _summary(results), "cases": [asdict(result) for result in results]}


def _evaluate(case: dict[str, Any], folder: Path, limits: Limits) -> CaseResult:
    name = case["name"]
    path = folder / name if "/" in name else folder / "files" / name
    before = set(path.parent.iterdir())
    document: Document | None = None
    error: WorkbenchError | None = None
    used = _children_cpu()
    started = time.monotonic()
    try:
        document = read_document(path, limits)
        outcome = "empty" if len(words_of(document.text)) < FEW_WORDS and document.warnings else "read"
    except WorkbenchError as refusal:
        error, outcome = refusal, refusal.code
    except Exception as crash:
        outcome = f"crash: {type(crash).__name__}"
    seconds = time.monotonic() - started
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    reference = folder / "reference" / f"{name.rpartition('/')[2]}.txt"
    recall = text_recall = None
    if case["expect"] == "text" and reference.exists():
        text_recall = word_recall(document.text if document else "", reference.read_text())
        told = "\n".join([document.text, *document.left_out]) if document else ""
        recall = word_recall(told, reference.read_text())
    written = set(path.parent.iterdir()) - before
    leaked = bool(document and LEAKS.search(document.text))
    right = _allowed(case["expect"], document, error) and not leaked and not written and not outcome.startswith("crash")
    if case["expect"] != "text":
        right = right and seconds <= SECONDS and memory <= MEGABYTES
    note = error.message if error else " ".join(document.warnings)[:200] if document else ""
    return CaseResult(
        name,
        case["expect"],
        outcome,
        right,
        recall,
        text_recall,
        round(seconds, 2),
        round(_children_cpu() - used, 2),
        round(memory),
        note,
    )


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _allowed(expect: str, document: Document | None, error: WorkbenchError | None) -> bool:
    refused = isinstance(error, InvalidInput) and bool(error.message)
    read = document is not None
    if expect == "text":
        return read and not document.empty  # type: ignore[union-attr]
    if expect == "no-text":
        # A reader that recovers more is not wrong; one that finds nothing must say so.
        return read and (not document.empty or bool(document.warnings))  # type: ignore[union-attr]
    if expect == "password":
        return isinstance(error, PasswordProtected)
    if expect == "refuse":
        return refused
    return refused or read  # refuse-or-*, text-or-refuse, no-leak, no-write-outside


def _summary(results: list[CaseResult]) -> dict[str, Any]:
    recalls = [r.recall for r in results if r.recall is not None]
    texts = [r.text_recall for r in results if r.text_recall is not None]
    others = [r for r in results if r.expect != "text"]
    return {
        "text cases": sum(r.expect == "text" for r in results),
        "mean word recall": round(sum(recalls) / max(1, len(recalls)), 4),
        "mean word recall of the text alone": round(sum(texts) / max(1, len(texts)), 4),
        "share at 0.95 or more": round(sum(value >= 0.95 for value in recalls) / max(1, len(recalls)), 4),
        "other cases": len(others),
        "other cases right": round(sum(r.right for r in others) / max(1, len(others)), 4),
        "text cases opened": round(sum(r.right for r in results if r.expect == "text") / max(1, len(results) - len(others)), 4),
        "most CPU seconds": max((r.cpu_seconds for r in results), default=0.0),
        "slowest seconds": max((r.seconds for r in results), default=0.0),
        "largest memory of a reader, MB": max((r.memory_mb for r in results), default=0.0),
    }
