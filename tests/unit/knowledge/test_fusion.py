"""Two rankings into one: the scale, the weights, and which ranking counts more."""

import numpy as np
import pytest

from knowledge.index import Hit
from knowledge.search.fusion import FEWEST, fuse, standing_out


def ranking(scores, first=0):
    return [Hit(first + number, float(score)) for number, score in enumerate(scores)]


def test_best_in_both_is_one_and_worst_in_both_is_zero():
    fused = fuse(ranking(np.linspace(0.9, 0.2, 30)), ranking(np.linspace(12, 3, 30)), 0.45)
    assert next(iter(fused.values())) == pytest.approx(1) and list(fused.values())[-1] == pytest.approx(0)
    assert list(fused) == list(range(30))


def test_the_ranking_whose_best_stands_out_counts_more():
    flat = np.linspace(1, 0, 40)
    clear = np.concatenate([[10.0], np.linspace(1, 0, 39)])
    assert standing_out(ranking(clear)) > standing_out(ranking(flat))
    # Each list has a first of its own; with equal weights the one that stands out wins, whichever list it is in.
    for dense, lexical, winner in ((flat, clear, 100), (clear, flat, 0)):
        fused = fuse(ranking(dense), ranking(lexical, first=100), 0.5)
        assert next(iter(fused)) == winner


def test_few_hits_leave_the_weights_as_they_are():
    clear = np.concatenate([[10.0], np.linspace(1, 0, 39)])
    for count, kept in ((2, True), (FEWEST - 1, True), (FEWEST, False)):
        fused = fuse(ranking(clear), ranking(np.linspace(9, 1, count), first=100), 0.3)
        assert (fused[100] == pytest.approx(0.7) and fused[0] == pytest.approx(0.3)) is kept


def test_nothing_found_by_one_of_them_leaves_the_other():
    assert fuse([], [], 0.5) == {}
    fused = fuse(ranking(np.linspace(1, 0, 20)), [], 0.45)
    assert list(fused) == list(range(20)) and fused[0] == pytest.approx(0.45)
    same = fuse(ranking([0.5] * 20), ranking(np.linspace(3, 1, 20)), 0.4)
    assert same[0] == pytest.approx(1)
