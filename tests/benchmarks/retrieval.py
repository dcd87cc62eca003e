"""Retrieval on the development halves: SciFact nDCG@10, ObliQA recall@10 and MAP@10, FinanceBench page recall@10.

    python -m tests.benchmarks.retrieval [scifact] [obliqa] [financebench] [--data DIR] [--cache DIR] [--part 0.3] [--sweep]

Embeddings are cached between runs. ``--part`` takes a share of the documents (those of the questions kept): figures of a part
compare settings, they are not the figures of the whole set. ``--sweep`` tries weights instead of the product's.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import gzip
import json
import math
import os
import pickle
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from knowledge.chunking import embedded_tokens
from knowledge.index import Index, open_index
from knowledge.reading import Document, read_document
from knowledge.reading.records import record_document
from knowledge.search import FAST, Passage, SearchConfig, Searcher
from knowledge.search.memory import MemoryChunks
from tests.benchmarks._embedder import CachedEmbedder

SETS = ("scifact", "obliqa", "financebench")


@dataclass(frozen=True)
class Question:
    """``gold`` are document names, or (document, page from 1) where pages count."""

    id: str
    text: str
    gold: frozenset[Any]


def load(name: str, data: Path, cache: Path, part: float) -> tuple[list[Document], list[Question]]:
    """Documents and questions of a set; of a part, the questions whose gold is in it."""
    folder = data / name
    if name == "scifact":
        documents = [
            record_document(
                d["id"], " ".join(ast.literal_eval(d["sentences"]) if isinstance(d["sentences"], str) else d["sentences"]), title=d["title"]
            )
            for d in _lines(folder / "corpus.jsonl.gz")
        ]
        questions = [Question(q["id"], q["claim"], frozenset(map(str, q["cited"]))) for q in _lines(folder / "claims.jsonl")]
    elif name == "obliqa":
        rows = list(_lines(folder / "passages.jsonl.gz"))
        documents = [record_document(f"{d['doc']}/{d['pid']}", d["text"]) for d in rows]
        questions = [
            Question(q["id"], q["question"], frozenset(f"{d}/{p}" for d, p in q["gold"])) for q in _lines(folder / "questions.jsonl")
        ]
    else:
        rows = list(_lines(folder / "questions.jsonl"))
        questions = [
            Question(q["financebench_id"], q["question"], frozenset((e["doc_name"], e["evidence_page_num"] + 1) for e in q["evidence"]))
            for q in rows
        ]
        names = sorted(path.stem for path in (folder / "pdfs").glob("*.pdf"))
        documents = [_read(folder / "pdfs" / f"{stem}.pdf", cache) for stem in names[: max(1, round(part * len(names)))]]
        kept = {Path(document.name).stem for document in documents}
        return documents, [q for q in questions if {doc for doc, _ in q.gold} <= kept]
    if part < 1:
        documents = documents[:: max(1, round(1 / part))] if name == "scifact" else documents[: round(part * len(documents))]
        kept = {document.name for document in documents}
        questions = [q for q in questions if q.gold <= kept]
    return documents, [q for q in questions if q.gold]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
        yield from map(json.loads, file)


def _read(path: Path, cache: Path) -> Document:
    kept = cache / f"{path.stem}.document"
    if not kept.exists():
        kept.write_bytes(pickle.dumps(read_document(path)))
    return pickle.loads(kept.read_bytes())


def build(documents: Iterable[Document], embedder: CachedEmbedder, index: Index) -> tuple[MemoryChunks, int]:
    """Chunk, embed and index; gives the chunks and their number."""
    chunks, entries, texts = MemoryChunks(), [], []
    for document in documents:
        some, to_embed = chunks.add(document, embedded_tokens())
        entries += some
        texts += to_embed
    index.add(entries, embedder.vectors(texts, report=True))
    index.save()
    return chunks, len(entries)


def found_of(name: str, passages: list[Passage]) -> list[Any]:
    """What the metric counts, best first, each once."""
    if name == "financebench":
        return list(dict.fromkeys((Path(p.document).stem, p.page) for p in passages))
    return list(dict.fromkeys(p.document for p in passages))


def scores(name: str, found: list[list[Any]], questions: list[Question]) -> dict[str, float]:
    """The set's measures at 10."""
    recall = precision = gain = 0.0
    for ranked, question in zip(found, questions, strict=True):
        top = ranked[:10]
        hits = [position for position, item in enumerate(top) if item in question.gold]
        recall += len(hits) / len(question.gold)
        precision += sum((number + 1) / (position + 1) for number, position in enumerate(hits)) / min(10, len(question.gold))
        ideal = sum(1 / math.log2(i + 2) for i in range(min(10, len(question.gold))))
        gain += sum(1 / math.log2(position + 2) for position in hits) / ideal
    count = max(1, len(questions))
    if name == "scifact":
        return {"nDCG@10": gain / count}
    if name == "obliqa":
        return {"recall@10": recall / count, "MAP@10": precision / count}
    return {"page recall@10": recall / count}


async def evaluate(name: str, searcher: Searcher, questions: list[Question], config: SearchConfig) -> tuple[dict[str, float], float]:
    """Measures, and milliseconds a query with its vector ready."""
    await searcher.embedder.embed([q.text for q in questions])
    started = time.perf_counter()
    answers = await searcher.search_many([q.text for q in questions], 20, None, config)
    seconds = time.perf_counter() - started
    return scores(name, [found_of(name, passages) for passages in answers], questions), 1000 * seconds / max(1, len(questions))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.retrieval")
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], default=[])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("WORKBENCH_DATA", "../shared/data")) / "rag")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "workbench-benchmarks")
    parser.add_argument("--part", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--index", default=None, help="a folder, or the address of an OpenSearch server")
    parser.add_argument("--sweep", action="store_true")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    for name in arguments.sets or SETS:
        documents, questions = load(name, arguments.data, arguments.cache, arguments.part)
        embedder = CachedEmbedder(arguments.cache, name, threads=arguments.threads)
        with tempfile.TemporaryDirectory() as folder:
            index = open_index(arguments.index or folder, f"benchmark-{name}-{os.getpid()}")
            chunks, count = build(documents, embedder, index)
            print(f"{name}: {len(documents)} documents, {count} chunks, {len(questions)} questions, part {arguments.part}")
            searcher = Searcher(index, chunks, embedder)
            for config in _configs(name) if arguments.sweep else [FAST]:
                measured, milliseconds = asyncio.run(evaluate(name, searcher, questions, config))
                figures = "  ".join(f"{key} {value:.4f}" for key, value in measured.items())
                print(f"  {config.name:34} {figures}  {milliseconds:.1f} ms a query", flush=True)
            index.clear()
            index.close()


def _configs(name: str) -> Iterator[SearchConfig]:
    for weight in (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0):
        yield replace(FAST, name=f"weight {weight}", dense_weight=weight)
    for count in (30, 50, 200):
        yield replace(FAST, name=f"candidates {count}", candidates=count)
    if name == "financebench":
        yield replace(FAST, name="nothing inferred", infer=False)
        for bonus in (0.0, 0.15, 0.5, 1.0):
            yield replace(FAST, name=f"year bonus {bonus}", year_bonus=bonus)
            yield replace(FAST, name=f"year bonus {bonus}, weight 0.7", year_bonus=bonus, dense_weight=0.7)


if __name__ == "__main__":
    main()
