"""One suite for every index: embedded (in full and half precision), and a real OpenSearch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from infra.errors import InvalidInput
from knowledge.index import contract
from knowledge.index.contract import Entry, Index

DIMENSIONS = 16


def unit(*positions: int) -> np.ndarray:
    vector = np.zeros(DIMENSIONS, np.float32)
    for weight, position in enumerate(reversed(positions), 1):
        vector[position] = weight
    return vector / np.linalg.norm(vector)


def entry(identifier: int, text: str, *tags: str, language: str | None = "en") -> Entry:
    return Entry(identifier, text, language, tags)


@pytest.fixture
def filled(index: Index) -> Index:
    index.add(
        [
            entry(1, "The auditor examines annual statements.", "document:a", "year:2018"),
            entry(2, "Auditors examined the quarterly statement.", "document:a", "year:2019"),
            entry(3, "Cats sleep on warm windowsills.", "document:b", "year:2018", "kind:10-k"),
        ],
        np.stack([unit(0), unit(0, 1), unit(2)]),
    )
    index.save()
    return index


def test_nothing_is_seen_before_it_is_saved(index: Index):
    index.add([entry(1, "hello world")], np.stack([unit(0)]))
    assert index.dense(unit(0), 5) == [] and index.lexical("hello", 5) == [] and len(index) == 0
    index.save()
    assert [hit.id for hit in index.dense(unit(0), 5)] == [1] and index.ids() == {1}


def test_dense_search_ranks_by_inner_product(filled: Index):
    hits = filled.dense(unit(0), 3)
    assert [hit.id for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == pytest.approx([1.0, float(unit(0) @ unit(0, 1)), 0.0], abs=2e-3)


def test_a_negative_inner_product_keeps_its_sign(filled: Index):
    scores = {hit.id: hit.score for hit in filled.dense(-unit(0), 3)}
    assert scores[1] == pytest.approx(-1.0, abs=2e-3) and scores[3] == pytest.approx(0.0, abs=2e-3)


def test_words_are_stemmed(filled: Index):
    assert {hit.id for hit in filled.lexical("auditor examining statements", 5)} == {1, 2}
    assert [hit.id for hit in filled.lexical("sleeping cat", 5)] == [3]
    assert filled.lexical("unheard", 5) == []


def test_each_language_is_stemmed_its_own_way(index: Index):
    index.add(
        [entry(1, "Die Häuser der Prüfer", language="de"), entry(2, "The houses", language="en"), entry(3, "検索する文書", language="ja")],
        np.stack([unit(0), unit(1), unit(2)]),
    )
    index.save()
    assert [hit.id for hit in index.lexical("Haus", 5)] == [1]
    assert [hit.id for hit in index.lexical("house", 5)] == [2]
    assert index.lexical("文書", 1)[0].id == 3


@pytest.mark.parametrize(
    "query",
    ['auditor" OR (*:*', "statement:[1 TO 2]", 'AND NOT +-&&||!(){}[]^"~*?:\\/', "id:1", "", "  \n", "a" * 5000, "statement " * 2000],
)
def test_no_query_is_syntax(filled: Index, query: str):
    for hit in filled.lexical(query, 5):
        assert hit.id in (1, 2)


def test_filters_hold_for_both_searches(filled: Index):
    only_2018 = (("year:2018",),)
    assert [hit.id for hit in filled.dense(unit(0), 5, only_2018)] == [1, 3]
    assert [hit.id for hit in filled.lexical("statement", 5, only_2018)] == [1]
    assert [hit.id for hit in filled.dense(unit(0), 5, (("year:2018", "year:2019"), ("document:a",)))] == [1, 2]
    assert [hit.id for hit in filled.dense(unit(0), 5, (("year:2018",), ("kind:10-k",)))] == [3]
    assert filled.dense(unit(0), 5, (("year:1999",),)) == [] and filled.lexical("statement", 5, (("year:1999",),)) == []


def test_a_filter_does_not_change_scores(filled: Index):
    free = {hit.id: hit.score for hit in filled.lexical("statement", 5)}
    held = {hit.id: hit.score for hit in filled.lexical("statement", 5, (("year:2018",),))}
    assert held[1] == pytest.approx(free[1], abs=1e-5)


def test_removed_entries_are_gone_from_both(filled: Index):
    filled.remove([1, 999])
    filled.save()
    assert filled.ids() == {2, 3}
    assert [hit.id for hit in filled.dense(unit(0), 5)] == [2, 3]
    assert [hit.id for hit in filled.lexical("auditor", 5)] == [2]
    assert [hit.id for hit in filled.dense(unit(0), 5, (("year:2018",),))] == [3]


def test_adding_an_id_again_replaces_it(filled: Index):
    filled.add([entry(1, "zebras", "document:z")], np.stack([unit(5)]))
    filled.save()
    assert len(filled) == 3
    assert filled.dense(unit(5), 1)[0].id == 1 and [hit.id for hit in filled.lexical("zebra", 5)] == [1]
    assert 1 not in {hit.id for hit in filled.lexical("auditor", 5)}
    assert [hit.id for hit in filled.dense(unit(0), 5, (("document:a",),))] == [2]


def test_a_removed_entry_can_come_back(filled: Index):
    filled.remove([1])
    filled.save()
    filled.add([entry(1, "back again", "year:2020")], np.stack([unit(7)]))
    filled.save()
    assert filled.dense(unit(7), 1)[0].id == 1 and filled.ids() == {1, 2, 3}


def test_what_is_saved_is_there_when_opened_again(filled: Index, open_again: Callable[[], Index]):
    filled.close()
    other = open_again()
    assert other.ids() == {1, 2, 3}
    assert other.dense(unit(2), 1)[0].id == 3 and [hit.id for hit in other.lexical("cat", 5)] == [3]


def test_another_reader_sees_each_save(filled: Index, open_again: Callable[[], Index]):
    other = open_again()
    assert len(other) == 3
    filled.remove([3])
    filled.add([entry(4, "giraffes")], np.stack([unit(9)]))
    filled.save()
    assert other.ids() == {1, 2, 4} and [hit.id for hit in other.lexical("giraffe", 5)] == [4] and other.dense(unit(9), 1)[0].id == 4


def test_many_small_saves_keep_everything(index: Index):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number in range(30):
        at = slice(2 * number, 2 * number + 2)
        index.add([entry(2 * number + i + 1, f"word{2 * number + i}", f"batch:{number}") for i in range(2)], vectors[at])
        index.save()
        if number % 3 == 2:
            index.remove([2 * number + 1])
            index.save()
    gone = {2 * number + 1 for number in range(30) if number % 3 == 2}
    assert index.ids() == set(range(1, 61)) - gone
    for number in range(60):
        if number + 1 not in gone:
            assert index.dense(vectors[number], 1)[0].id == number + 1
            assert [hit.id for hit in index.lexical(f"word{number}", 3)] == [number + 1]
    assert [hit.id for hit in index.dense(vectors[4], 9, (("batch:2",),))] == [6]


def test_it_is_filled_anew(filled: Index, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contract, "SAVED_AT_ONCE", 5)  # more than one save
    filled.remove([1])  # staged, and overtaken
    filled.reindex((Entry(100 + row, f"whale number {row}"), vector) for row, vector in enumerate(np.eye(DIMENSIONS, dtype=np.float32)))
    assert filled.ids() == {100 + row for row in range(DIMENSIONS)}
    assert filled.dense(np.eye(DIMENSIONS, dtype=np.float32)[1], 1)[0].id == 101
    assert len(filled.lexical("whales", 2 * DIMENSIONS)) == DIMENSIONS


def test_clear_empties_it(filled: Index):
    filled.clear()
    assert len(filled) == 0 and filled.dense(unit(0), 3) == [] and filled.lexical("auditor", 3) == []


@pytest.mark.parametrize("vectors", [np.zeros((2, DIMENSIONS)), np.zeros((1, 3)), np.full((1, DIMENSIONS), np.nan)])
def test_vectors_that_do_not_fit_are_refused(index: Index, vectors: np.ndarray):
    with pytest.raises(InvalidInput):
        index.add([entry(1, "x")], vectors)
