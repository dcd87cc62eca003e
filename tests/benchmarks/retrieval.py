"""Retrieval on the development halves: SciFact nDCG@10, ObliQA recall@10 and MAP@10, FinanceBench page recall@10.

    python -m tests.benchmarks.retrieval [scifact] [obliqa] [financebench] [--data DIR] [--cache DIR] [--part 0.3] [--sweep]

The measuring is `workbench evaluate retrieval`'s. Here embeddings are cached between runs, and ``--sweep`` tries weights
instead of the product's; ``--part`` takes a share of the documents: such figures compare settings only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from knowledge.index import open_index
from knowledge.reading import Document, read_document
from knowledge.search import FAST, SearchConfig, Searcher
from pipelines.evaluation.retrieval import build, measure
from pipelines.evaluation.retrieval_sets import SETS, load
from tests.benchmarks._embedder import CachedEmbedder


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

    def read(path: Path) -> Document:
        kept = arguments.cache / f"{path.stem}.document"
        if not kept.exists():
            kept.write_bytes(pickle.dumps(read_document(path)))
        return pickle.loads(kept.read_bytes())

    for name in arguments.sets or SETS:
        documents, questions = load(name, arguments.data, part=arguments.part, read=read)
        embedder = CachedEmbedder(arguments.cache, name, threads=arguments.threads)
        with tempfile.TemporaryDirectory() as folder:
            index = open_index(arguments.index or folder, f"benchmark-{name}-{os.getpid()}")
            chunks, count = asyncio.run(build(documents, embedder, index, say=lambda line: print(line, flush=True)))
            print(f"{name}: {len(documents)} documents, {count} chunks, {len(questions)} questions, part {arguments.part}")
            searcher = Searcher(index, chunks, embedder)
            for config in _configs(name) if arguments.sweep else [FAST]:
                measured, milliseconds = asyncio.run(measure(name, searcher, questions, config))
                figures = "  ".join(f"{key} {value:.4f}" for key, value in measured.items())
                print(f"  {config.name:34} {figures}  {milliseconds:.1f} ms a query", flush=True)
            index.clear()
            index.close()


def _configs(name: str) -> Iterator[SearchConfig]:
    for weight in (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0):
        yield replace(FAST, name=f"weight {weight}", dense_weight=weight, report_dense_weight=weight)
    for count in (50, 100, 400):
        yield replace(FAST, name=f"candidates {count}", candidates=count)
    if name == "financebench":
        yield replace(FAST, name="nothing inferred", infer=False)
        for bonus in (0.0, 0.15, 0.5, 1.0):
            yield replace(FAST, name=f"year bonus {bonus}", year_bonus=bonus)
            yield replace(FAST, name=f"year bonus {bonus}, weight 0.7", year_bonus=bonus, report_dense_weight=0.7)
        for bonus in (0.0, 0.3, 0.8):
            for weight in (0.0, 0.3, 0.6):
                yield replace(
                    FAST, name=f"title bonus {bonus}, weight {weight}", title_bonus=bonus, dense_weight=weight, report_dense_weight=weight
                )


if __name__ == "__main__":
    main()
