"""Development sets for retrieval: their documents, their questions, and what counts as found.

SciFact: nDCG@10 of abstracts for claims. ObliQA: recall@10 and MAP@10 of passages of regulations. FinanceBench: recall@10
of pages, over all PDFs, with no document named by the caller.
"""

from __future__ import annotations

import ast
import gzip
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import NotFound
from knowledge.reading import Document, read_document
from knowledge.reading.records import record_document
from knowledge.search import Passage

SETS = ("scifact", "obliqa", "financebench")
AT = 10
TAKEN = 20  # passages asked for: several may be of one document or page

# What must hold, and what is aimed at, for the whole sets.
TARGETS: dict[str, tuple[float, float]] = {
    "scifact nDCG@10": (0.715, 0.745),
    "obliqa recall@10": (0.785, 0.830),
    "obliqa MAP@10": (0.645, 0.700),
    "financebench page recall@10": (0.50, 0.65),
}

Reader = Callable[[Path], Document]


@dataclass(frozen=True)
class Question:
    """``gold`` are document names, or (document, page from 1) where pages count."""

    id: str
    text: str
    gold: frozenset[Any]


def load(name: str, data: Path, *, part: float = 1.0, read: Reader = read_document) -> tuple[list[Document], list[Question]]:
    """Documents and questions of a set.

    Args:
        data: a folder laid out as ``../shared/data/rag``.
        part: share of the documents (0 to 1); then only questions whose gold is among them. Figures of a part compare
            settings; they are not the figures of the whole set.
        read: how a file is read; a benchmark keeps what it read.

    Raises:
        NotFound: the set is not there.
    """
    folder = data / name
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}. Name one laid out as ../shared/data/rag with --data.")
    if name == "financebench":
        return _financebench(folder, part, read)
    documents, questions = _scifact(folder) if name == "scifact" else _obliqa(folder)
    if part < 1:
        documents = documents[:: max(1, round(1 / part))] if name == "scifact" else documents[: round(part * len(documents))]
        kept = {document.name for document in documents}
        questions = [question for question in questions if question.gold <= kept]
    return documents, [question for question in questions if question.gold]


def found_of(name: str, passages: Sequence[Passage]) -> list[Any]:
    """What the measure counts, best first, each once."""
    if name == "financebench":
        return list(dict.fromkeys((Path(passage.document).stem, passage.page) for passage in passages))
    return list(dict.fromkeys(passage.document for passage in passages))


def scores(name: str, found: Sequence[Sequence[Any]], questions: Sequence[Question]) -> dict[str, float]:
    """The set's measures at 10, means over the questions, 0 to 1."""
    recall = precision = gain = 0.0
    for ranked, question in zip(found, questions, strict=True):
        hits = [position for position, item in enumerate(ranked[:AT]) if item in question.gold]
        possible = min(AT, len(question.gold))
        recall += len(hits) / len(question.gold)
        precision += sum((number + 1) / (position + 1) for number, position in enumerate(hits)) / possible
        gain += sum(1 / math.log2(position + 2) for position in hits) / sum(1 / math.log2(rank + 2) for rank in range(possible))
    count = max(1, len(questions))
    if name == "scifact":
        return {"nDCG@10": gain / count}
    if name == "obliqa":
        return {"recall@10": recall / count, "MAP@10": precision / count}
    return {"page recall@10": recall / count}


def _scifact(folder: Path) -> tuple[list[Document], list[Question]]:
    documents = []
    for row in _lines(folder / "corpus.jsonl.gz"):
        sentences = ast.literal_eval(row["sentences"]) if isinstance(row["sentences"], str) else row["sentences"]
        documents.append(record_document(row["id"], " ".join(sentences), title=row["title"]))
    return documents, [Question(row["id"], row["claim"], frozenset(map(str, row["cited"]))) for row in _lines(folder / "claims.jsonl")]


def _obliqa(folder: Path) -> tuple[list[Document], list[Question]]:
    documents = [record_document(f"{row['doc']}/{row['pid']}", row["text"]) for row in _lines(folder / "passages.jsonl.gz")]
    questions = [
        Question(row["id"], row["question"], frozenset(f"{document}/{passage}" for document, passage in row["gold"]))
        for row in _lines(folder / "questions.jsonl")
    ]
    return documents, questions


def _financebench(folder: Path, part: float, read: Reader) -> tuple[list[Document], list[Question]]:
    paths = sorted((folder / "pdfs").glob("*.pdf"))
    documents = [read(path) for path in paths[: max(1, round(part * len(paths)))]]
    kept = {Path(document.name).stem for document in documents}
    questions = []
    for row in _lines(folder / "questions.jsonl"):
        gold = frozenset((item["doc_name"], item["evidence_page_num"] + 1) for item in row["evidence"])
        if gold and {document for document, _ in gold} <= kept:
            questions.append(Question(row["financebench_id"], row["question"], gold))
    return documents, questions


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
        yield from map(json.loads, file)
