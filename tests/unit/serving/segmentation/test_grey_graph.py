"""The compiled programs against the same arithmetic in numpy."""

import numpy as np
import pytest

from serving.segmentation import grey_graph
from serving.segmentation.labels import CLASS_COUNT

CELLS = 300


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 4, (CELLS, CLASS_COUNT, 8)).astype(np.float16)


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> grey_graph.GreyGraph:
    """Parts of 128 cells: two whole ones and one that is filled up."""
    monkeypatch.setattr(grey_graph, "PART", 128)
    return grey_graph.GreyGraph(threads=1)


def test_the_lead_is_over_the_second(graph: grey_graph.GreyGraph, logits: np.ndarray):
    cells = np.arange(0, CELLS, 1)[::-1].copy()
    logits[5, [3, 7], 2] = 30  # two that are first together
    ordered = np.sort(logits[cells].astype(np.float32), axis=1)
    found = graph.lead(logits, cells)
    np.testing.assert_array_equal(found, ordered[:, -1] - ordered[:, -2])
    assert found[CELLS - 1 - 5, 2] == 0


def test_what_the_grey_values_say_is_added_where_it_counts(graph: grey_graph.GreyGraph, logits: np.ndarray):
    rng = np.random.default_rng(1)
    before, cells = logits.copy(), np.flatnonzero(np.arange(CELLS) % 3)
    voxels = {name: rng.uniform(0, 1, (len(cells), 8)).astype(np.float32) for name in ("grey", "own")}
    voxels["weight"] = np.where(rng.random((len(cells), 8)) < 0.5, np.float32(1.5), np.float32(0))
    centre, spread = rng.uniform(0, 1, CLASS_COUNT).astype(np.float32), rng.uniform(0.05, 0.3, CLASS_COUNT).astype(np.float32)
    known = (np.arange(CLASS_COUNT) > 2).astype(np.float32)
    kinds = {"centre": centre, "spread": spread, "least": -3 - np.log(spread), "known": known}
    classes = graph.change(logits, cells, voxels, kinds)

    grey, own, weight = (voxels[name][:, None] for name in ("grey", "own", "weight"))
    c, s, k = (value[None, :, None] for value in (centre, spread, known))
    likelihood = np.maximum(-0.5 * ((grey - c) / s) ** 2, -3) - np.log(s)
    wanted = before[cells] + weight * k * (likelihood - own)
    np.testing.assert_allclose(logits[cells].astype(np.float32), wanted, atol=0.02)
    np.testing.assert_array_equal(classes, logits[cells].argmax(1))
    still = np.setdiff1d(np.arange(CELLS), cells)
    np.testing.assert_array_equal(logits[still], before[still])
    unweighted = np.broadcast_to(weight == 0, wanted.shape)
    np.testing.assert_array_equal(logits[cells][unweighted], before[cells][unweighted])
