"""Retrieval measured on development sets, with the product's own reading, chunking, index and search."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.chunking import embedded_tokens
from knowledge.index import Index, open_index
from knowledge.reading import Document
from knowledge.search import CONFIGS, SearchConfig, Searcher
from knowledge.search.memory import MemoryChunks
from knowledge.search.passages import Embedder, Reranker
from pipelines.evaluation.retrieval_sets import SETS, TAKEN, TARGETS, Question, found_of, load, scores

TEXTS_AT_ONCE = 512
Say = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One measure of one set with one configuration.

    Attributes:
        value: 0 to 1.
        must, aim: for the whole set; None where it was measured on a part.
        milliseconds: a query, with its vector ready.
    """

    set: str
    config: str
    measure: str
    value: float
    must: float | None
    aim: float | None
    documents: int
    chunks: int
    questions: int
    milliseconds: float


@dataclass(frozen=True)
class _Vectors:
    vectors: np.ndarray


class Remembered:
    """An embedder that computes each text once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, np.ndarray] = {}

    async def embed(self, texts: Sequence[str], /) -> _Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, (await self._embedder.embed(new)).vectors, strict=True))
        return _Vectors(np.stack([self._known[text] for text in texts]))


async def evaluate_retrieval(
    data: Path,
    embedder: Embedder,
    *,
    reranker: Reranker | None = None,
    sets: Sequence[str] = SETS,
    configs: Sequence[str] = tuple(CONFIGS),
    part: float = 1.0,
    say: Say = lambda line: None,
) -> list[Figure]:
    """Each configuration on each set; one that reranks only where there is a reranker.

    Args:
        data: a folder laid out as ``../shared/data/rag``.
        embedder: the embedding role.
        reranker: of the entailment role.
        sets, configs: names; by default all.
        part: see :func:`pipelines.evaluation.retrieval_sets.load`.
        say: told what is being done.
    """
    chosen = [config for config in CONFIGS.values() if config.name in configs and (reranker is not None or not config.rerank)]
    figures = []
    for name in sets:
        say(f"{name}: reading")
        documents, questions = await asyncio.to_thread(load, name, data, part=part)
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            index = open_index(folder, name)
            chunks, count = await build(documents, embedder, index, say=lambda line, name=name: say(f"{name}: {line}"))
            searcher = Searcher(index, chunks, Remembered(embedder), reranker)
            for config in chosen:
                say(f"{name}: {len(questions)} questions, {config.name}")
                measured, milliseconds = await measure(name, searcher, questions, config)
                for what, value in measured.items():
                    must, aim = TARGETS[f"{name} {what}"] if part >= 1 else (None, None)
                    counts = (len(documents), count, len(questions))
                    figures.append(Figure(name, config.name, what, round(value, 4), must, aim, *counts, round(milliseconds, 1)))
            index.close()
    return figures


async def build(
    documents: Sequence[Document], embedder: Embedder, index: Index, *, say: Say = lambda line: None
) -> tuple[MemoryChunks, int]:
    """Chunk, embed and index; gives the chunks and their number."""
    chunks, entries, texts = MemoryChunks(), [], []
    for document in documents:
        some, to_embed = await asyncio.to_thread(chunks.add, document, embedded_tokens())
        entries += some
        texts += to_embed
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # like lengths together: little padding
    vectors: np.ndarray | None = None
    for start in range(0, len(order), TEXTS_AT_ONCE):
        rows = order[start : start + TEXTS_AT_ONCE]
        found = (await embedder.embed([texts[row] for row in rows])).vectors
        vectors = np.empty((len(texts), found.shape[1]), np.float32) if vectors is None else vectors
        vectors[rows] = found
        say(f"{start + len(rows)} of {len(texts)} chunks embedded")
    if vectors is not None:
        index.add(entries, vectors)
        index.save()
    return chunks, len(entries)


async def measure(name: str, searcher: Searcher, questions: Sequence[Question], config: SearchConfig) -> tuple[dict[str, float], float]:
    """The set's measures, and milliseconds a query with its vector ready."""
    texts = [question.text for question in questions]
    if not texts:
        return {}, 0.0
    await searcher.embedder.embed(texts)
    began = time.perf_counter()
    answers = await searcher.search_many(texts, TAKEN, None, config)
    milliseconds = 1000 * (time.perf_counter() - began) / len(texts)
    return scores(name, [found_of(name, passages) for passages in answers], questions), milliseconds


def as_table(figures: Sequence[Figure]) -> str:
    """For a terminal."""
    head = (
        f"{'set':<14}{'configuration':<15}{'measure':<17}{'value':>7}{'must':>8}{'aim':>8}{'chunks':>9}{'questions':>11}{'ms a query':>12}"
    )
    lines = [head, "-" * len(head)]
    for one in figures:
        must, aim = (f"{value:.3f}" if value is not None else "" for value in (one.must, one.aim))
        mark = "" if one.must is None else "  met" if one.value >= one.must else "  MISSED"
        lines.append(
            f"{one.set:<14}{one.config:<15}{one.measure:<17}{one.value:>7.4f}{must:>8}{aim:>8}{one.chunks:>9}{one.questions:>11}"
            f"{one.milliseconds:>12.1f}{mark}"
        )
    return "\n".join(lines)


def as_metrics(figures: Sequence[Figure]) -> dict[str, float]:
    """Name to value, as MLflow keeps them."""
    found: dict[str, float] = {}
    for one in figures:
        found[f"{one.set}/{one.config}/{one.measure.replace('@', '_at_').replace(' ', '_')}"] = one.value
        found[f"{one.set}/{one.config}/ms_a_query"] = one.milliseconds
    return found


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    return [asdict(one) for one in figures]
