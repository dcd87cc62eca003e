"""Pairs to tokens: kinds, lengths, what is read of a long passage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from serving.entailment.excerpt import excerpt
from serving.entailment.pairs import (
    BATCH_TOKENS,
    CLAIM,
    CLAIM_SHARED,
    MAX_TOKENS,
    PADDING,
    PASSAGE,
    PASSAGE_SHARED,
    SPECIAL,
    STEP,
    PairTokens,
)
from serving.entailment.weights_file import TOKENIZER
from serving.registry.embedded import resolve


@pytest.fixture(scope="module")
def tokens() -> PairTokens:
    return PairTokens(resolve(TOKENIZER, role="entailment"))


def test_words_in_both_texts_are_marked_by_their_stem_and_small_words_are_not(tokens: PairTokens) -> None:
    ((ids, kinds),) = tokens.encode([("The supplier disclosed 42 files", "the supplier discloses 43 files")])
    assert kinds.tolist() == [
        SPECIAL, CLAIM, CLAIM_SHARED, CLAIM_SHARED, CLAIM, CLAIM_SHARED,
        SPECIAL, PASSAGE, PASSAGE_SHARED, PASSAGE_SHARED, *[PASSAGE_SHARED] * (len(ids) - 13), PASSAGE, PASSAGE_SHARED, SPECIAL,
    ]  # fmt: skip


def test_of_a_long_passage_the_sentences_near_the_claim_are_read(tokens: PairTokens) -> None:
    filler = "The weather was pleasant on most days of that year. " * 200
    needle = "The hippocampus shrank by four percent."
    ((ids, kinds),) = tokens.encode([("The hippocampus shrank.", filler + needle + " " + filler)])
    assert len(ids) <= MAX_TOKENS and (kinds == PASSAGE_SHARED).sum() >= 4
    ((alone, _),) = tokens.encode([("The hippocampus shrank.", needle)])
    assert set(alone.tolist()) <= set(ids.tolist())


def test_a_passage_that_shares_nothing_is_read_from_its_beginning(tokens: PairTokens) -> None:
    ((_, kinds),) = tokens.encode([("Zebra", "Cows graze here. " * 300)])
    ((whole, _),) = tokens.encode([("Zebra", "Cows graze here. " * 300)])
    assert len(whole) == MAX_TOKENS and (kinds != PADDING).all()
    kept = excerpt(np.arange(1, 501), np.arange(500) % 10 == 0, np.array([9999]), 100)
    assert kept.tolist() == list(range(100))


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=200),
    st.lists(st.integers(0, 5), max_size=6),
    st.integers(1, 150),
    st.integers(0, 2**32 - 1),
)
def test_an_excerpt_is_ascending_and_fits(words: list[int], claim: list[int], room: int, seed: int) -> None:
    starts = np.random.default_rng(seed).random(len(words)) < 0.1
    kept = excerpt(np.array(words), starts, np.array(claim, np.int64), room)
    assert len(kept) == min(room, len(words)) and (np.diff(kept) > 0).all()


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 150), st.integers(0, 400)), min_size=1, max_size=60))
def test_batches_hold_every_pair_once_within_the_limits(tokens: PairTokens, lengths: list[tuple[int, int]]) -> None:
    batches = list(tokens.batches([("word " * a, "other " * b) for a, b in lengths]))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert batch.ids.shape == batch.kinds.shape and batch.ids.shape[1] % STEP == 0 and batch.ids.shape[1] <= MAX_TOKENS
        assert batch.ids.size <= BATCH_TOKENS or len(batch.rows) == 1
        assert ((batch.kinds == PADDING) == (np.cumsum(batch.kinds[:, ::-1] != 0, 1)[:, ::-1] == 0)).all()


@pytest.mark.parametrize("text", ["", " \n ", "\x00\x0c", "你好 😀 §630e — Ärzte", "a" * 5000, ". . . ! ?"])
def test_odd_texts_are_read(tokens: PairTokens, text: str) -> None:
    for pair in ((text, "a passage"), ("a claim", text), (text, text)):
        ((ids, kinds),) = tokens.encode([pair])
        assert 3 <= len(ids) <= MAX_TOKENS and (kinds == SPECIAL).sum() == 3
