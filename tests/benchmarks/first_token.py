"""The first word of an answer, models warm: must be <= 2 s, aim 0.8 (two cores); quoted, and written by the language model.

    python -m tests.benchmarks.first_token [--data DIR] [--questions 30] [--part 0.05]

Claims of SciFact's development half are asked of a part of its abstracts, by the product's own search, reading and writing.
For a quoted answer the first word is its first sentence, for a written one the first piece of text, for an answer that
abstains its end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from infra.settings import load_settings
from knowledge.index import open_index
from knowledge.search import FAST, Searcher
from pipelines.evaluation.retrieval import build
from pipelines.evaluation.retrieval_sets import load
from pipelines.questions import Answered, AnswerOptions, Found, Piece, Said, Search, answer_stream
from pipelines.questions.writers import Writer
from serving.local import local_roles
from serving.roles import Roles

WARM = 3  # questions asked before any counts


async def first_words(questions: list[str], search: Search, roles: Roles, writer: Writer) -> tuple[np.ndarray, int]:
    """Seconds to the first word of each answer, and how many abstained."""
    seconds, abstained = [], 0
    for question in questions:
        began, first = time.perf_counter(), None
        async for event in answer_stream(question, search, roles, options=AnswerOptions(writer=writer)):
            if first is None and isinstance(event, Piece | Said | Answered):
                first = time.perf_counter() - began
            if isinstance(event, Answered):
                abstained += event.answer.abstained
        seconds.append(first)
    return np.array(seconds[WARM:], float), abstained


async def measure(data: Path, count: int, part: float) -> None:
    documents, questions = load("scifact", data, part=part)
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        roles = local_roles(load_settings(home=Path(folder)))
        index = open_index(folder, "bench")
        chunks, size = await build(documents, roles.require("embedding"), index)
        searcher = Searcher(index, chunks, roles.require("embedding"))

        async def search(question: str, most: int) -> list[Found]:
            return [Found(passage) for passage in await searcher.search(question, most, None, FAST)]

        asked = [question.text for question in questions[: count + WARM]]
        print(f"{len(documents)} abstracts, {size} chunks, {max(0, len(asked) - WARM)} questions, {os.cpu_count()} processors")
        for writer in ("quotes", "model"):
            if writer == "model" and roles.llm is None:
                print("model: no language model is installed")
                continue
            seconds, abstained = await first_words(asked, search, roles, writer)
            if len(seconds):
                p50, p95 = np.percentile(seconds, [50, 95])
                print(f"{writer:8} p50 {p50:5.2f} s   p95 {p95:5.2f} s   abstained {abstained}  (must be <= 2, aim 0.8)", flush=True)
        index.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.first_token")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("WORKBENCH_DATA", "../shared/data")) / "rag")
    parser.add_argument("--questions", type=int, default=30)
    parser.add_argument("--part", type=float, default=0.05, help="share of the abstracts")
    arguments = parser.parse_args()
    if not (arguments.data / "scifact").is_dir():
        print(f"The development data is not at {arguments.data}: nothing measured.")
        return
    asyncio.run(measure(arguments.data, arguments.questions, arguments.part))


if __name__ == "__main__":
    main()
