"""Search over 100,000 chunks in process, query embedded, `fast`: p95 must be <= 40 ms (aim 25) on two cores; and the
dense part's recall@10 against exact search in full precision must be >= .99. ``--accurate`` reranks with the embedded entailment model,
too: p95 must be <= 1.2 s (aim .5).

    python -m tests.benchmarks.search_latency [--chunks 100000] [--queries 300] [--embed] [--accurate]

Chunks are English words drawn by Zipf's law and vectors in clusters, in a real library: tables, index, store. With
``--embed`` each query goes through the embedded model too.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import resource
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

from infra.database import Database, migrate
from infra.database.people import owner_of
from infra.objectstore import LocalObjectStore
from knowledge.chunking import Chunk
from knowledge.index import open_index
from knowledge.library import Library, Prepared, Source, StoredChunks, create_collection
from knowledge.metadata import Facts
from knowledge.reading.records import record_document
from knowledge.search import ACCURATE, FAST, SearchConfig, Searcher
from pipelines.index_service.models import EntailmentReranker
from serving.entailment.weights_file import TOKENIZER
from serving.registry.embedded import resolve
from serving.registry.versions import ModelRef
from serving.roles import Roles
from serving.roles.embedding import Embeddings

DIMENSIONS, CLUSTERS, WORDS = 384, 400, 40_000
CHUNKS_A_DOCUMENT, DOCUMENTS_AT_ONCE = 20, 250
REF = ModelRef("embedding", "drawn", "1", "0" * 64, "numpy", "cpu")


class Drawn:
    """Texts and vectors by a seed."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.words = np.array(_english(WORDS))
        weights = 1 / np.arange(1, WORDS + 1)
        self.weights = weights / weights.sum()
        self.put_in: list[np.ndarray] = []  # what the documents' vectors are in full precision, in the order of their ids
        self.centres = self.random.normal(size=(CLUSTERS, DIMENSIONS)).astype(np.float32)

    def text(self, words: int) -> str:
        return " ".join(self.words[self.random.choice(WORDS, words, p=self.weights)])

    def vectors(self, count: int) -> np.ndarray:
        rows = self.centres[self.random.integers(CLUSTERS, size=count)] + self.random.normal(size=(count, DIMENSIONS)).astype(np.float32)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    async def embed(self, texts: list[str], *, version: str | None = None) -> Embeddings:
        return Embeddings(self.vectors(len(texts)), REF)

    def document(self, number: int) -> Prepared:
        parts = [self.text(110) for _ in range(CHUNKS_A_DOCUMENT)]
        document, chunks, start = record_document(f"d{number}", "\n\n".join(parts)), [], 0
        for position, part in enumerate(parts):
            chunks.append(Chunk(position, start, start + len(part), part, None, None, (f"h{position}",), "paragraph", f"h{position}", 110))
            start += len(part) + 2
        vectors = self.vectors(len(chunks))
        self.put_in.append(vectors)
        facts = Facts(title=f"Document {number}", organisation=f"Company{number % 500}", year=2000 + number % 20)
        return Prepared(document, chunks, vectors, facts, Source(None, start, f"{number:064x}"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search_latency")
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--embed", action="store_true")
    parser.add_argument("--accurate", action="store_true")
    arguments = parser.parse_args()
    drawn = Drawn()
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        database, store = Database(f"sqlite:///{folder}/w.sqlite"), LocalObjectStore(Path(folder) / "objects")
        migrate(database)
        with database.session() as session:
            collection = create_collection(session, owner_of(session)[0].id, "bench")
        index = open_index(Path(folder), collection.id, DIMENSIONS)
        library = Library(database, store, collection, index, raw="kb-raw", vectors="kb-vectors")
        began = time.perf_counter()
        for start in range(0, arguments.chunks // CHUNKS_A_DOCUMENT, DOCUMENTS_AT_ONCE):
            count = min(DOCUMENTS_AT_ONCE, arguments.chunks // CHUNKS_A_DOCUMENT - start)
            library.put_many([drawn.document(start + number) for number in range(count)])
        print(f"{len(index)} chunks put in {time.perf_counter() - began:.0f} s, {os.cpu_count()} processors")
        embedder = _models().require("embedding") if arguments.embed else drawn
        reranker = EntailmentReranker(_models().require("entailment")) if arguments.accurate else None
        searcher = Searcher(index, StoredChunks(database, store, collection.id, raw="kb-raw"), embedder, reranker)
        asyncio.run(_ask(searcher, drawn, arguments.queries, FAST, "must be <= 40, aim 25"))
        if reranker:
            asyncio.run(_ask(searcher, drawn, arguments.queries // 5, ACCURATE, "must be <= 1200, aim 500"))
        print(f"recall@10 of the dense part against exact: {_recall(index, drawn):.4f}  (must be >= .99)")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


async def _ask(searcher: Searcher, drawn: Drawn, queries: int, config: SearchConfig, limits: str) -> None:
    for names, kind in ((False, "words"), (True, "words and a company's name")):
        seconds = []
        for number in range(queries + 20):
            query = drawn.text(9) + (f" of Company{number % 500} in 2015" if names else "")
            began = time.perf_counter()
            await searcher.search(query, 10, None, config)
            seconds.append(time.perf_counter() - began)
        milliseconds = 1000 * np.array(seconds[20:])  # the first warm caches
        p50, p95 = np.percentile(milliseconds, [50, 95])
        print(f"{config.name}, {kind:28} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms  ({limits})")


def _recall(index, drawn: Drawn, queries: int = 50) -> float:
    import faiss

    exact = faiss.IndexFlatIP(DIMENSIONS)
    ids = np.array(sorted(index.ids()))
    exact.add(np.concatenate(drawn.put_in))
    right = 0
    for vector in drawn.vectors(queries):
        wanted = set(ids[exact.search(vector.reshape(1, -1), 10)[1][0]].tolist())
        right += len(wanted & {hit.id for hit in index.dense(vector, 10)})
    return right / (10 * queries)


def _english(count: int) -> list[str]:
    """So many different words: the embedding model's own whole words, which are in order of their frequency, then compounds."""
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(resolve(TOKENIZER, role="embedding"))).get_vocab()
    known = [word for word in sorted(vocabulary, key=vocabulary.__getitem__) if word.isascii() and word.isalpha() and len(word) > 1]
    return (known + [f"{one}{other}" for one, other in itertools.pairwise(known)])[:count]


@cache
def _models() -> Roles:
    from infra.settings import load_settings
    from serving.local import local_roles

    return local_roles(load_settings())


if __name__ == "__main__":
    main()
