"""How a search reads chunks: only as many as it needs, with the same answers as if it had read all candidates."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from knowledge.index import Entry, open_index
from knowledge.search import FAST, Searcher
from knowledge.search.memory import MemoryChunks
from knowledge.search.passages import StoredChunk
from tests.embedders import WordsEmbedding

DOCUMENTS = 120


class CountedChunks(MemoryChunks):
    """Chunks in memory that note how many were asked for. Put in as they are: how they are cut is not asked here."""

    def __init__(self, found: Iterable[StoredChunk]) -> None:
        super().__init__()
        self._chunks = {one.id: one for one in found}
        self.read: list[int] = []

    def get(self, ids: Iterable[int]) -> dict[int, StoredChunk]:
        wanted = list(ids)
        self.read.append(len(wanted))
        return dict(super().get(wanted))


def chunk(number: int, *, content: str = "") -> StoredChunk:
    text = f"kidney stones of patient {number} " + "water " * (number % 7)
    return StoredChunk(number, f"d{number}", 0, 0, len(text), text, None, None, (), content)


def searcher(folder: Path, chunks: list[StoredChunk], *, gone: frozenset[int] = frozenset()) -> tuple[Searcher, CountedChunks]:
    embedder = WordsEmbedding()
    index = open_index(folder, "papers", embedder.dimensions)
    index.add([Entry(one.id, one.text) for one in chunks], embedder._vectors([one.text for one in chunks]))
    index.save()
    kept = CountedChunks(one for one in chunks if one.id not in gone)
    return Searcher(index, kept, embedder), kept


def found(one: Searcher, k: int) -> list[tuple[str, float]]:
    return [(passage.document, round(passage.score, 9)) for passage in asyncio.run(one.search("water for kidney stones", k))]


def test_only_the_best_candidates_are_read(tmp_path: Path):
    one, chunks = searcher(tmp_path, [chunk(number) for number in range(1, DOCUMENTS + 1)])
    assert len(found(one, 5)) == 5
    assert chunks.read == [20]


@pytest.mark.parametrize("why", ["copies", "switched off"])
def test_where_the_best_are_not_enough_the_others_are_read(tmp_path: Path, why: str):
    every = [chunk(number) for number in range(1, DOCUMENTS + 1)]
    plain, _ = searcher(tmp_path / "plain", every)
    best = [int(name[1:]) for name, _ in found(plain, 40)]
    if why == "copies":
        every = [replace(one, content="same") if one.id in best[1:30] else one for one in every]
        one, chunks = searcher(tmp_path / "other", every)
        wanted = [best[0], best[1], *best[30:33]]
    else:
        one, chunks = searcher(tmp_path / "other", every, gone=frozenset(best[:30]))
        wanted = best[30:35]
    assert [name for name, _ in found(one, 5)] == [f"d{number}" for number in wanted]
    assert len(chunks.read) == 2 and chunks.read[1] > chunks.read[0] == 20


def test_words_and_meaning_are_searched_beside_each_other_and_an_embedder_that_fails_is_told(tmp_path: Path):
    one, _ = searcher(tmp_path, [chunk(number) for number in range(1, 9)])
    assert isinstance(one.embedder, WordsEmbedding)
    one.embedder.failing = OSError("no model")
    with pytest.raises(OSError, match="no model"):
        found(one, 5)
    one.embedder.failing = None
    assert len(found(one, 5)) == 5
    assert asyncio.run(one.search_many([], 5, None, FAST)) == []
