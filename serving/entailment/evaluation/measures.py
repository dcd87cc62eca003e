"""The measures of the table: F1, ranking, calibration; on numpy arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

Scores = Sequence[float] | np.ndarray


def f1(truth: np.ndarray, guess: np.ndarray, label: int) -> float:
    """F1 of one class; 0 where it is neither true nor guessed."""
    hits = int(((truth == label) & (guess == label)).sum())
    told = int((truth == label).sum() + (guess == label).sum())
    return 2 * hits / told if told else 0.0


def macro_f1(truth: np.ndarray, guess: np.ndarray) -> float:
    """Mean F1 over the classes that occur in the truth."""
    labels = np.unique(truth)
    return float(np.mean([f1(truth, guess, int(label)) for label in labels])) if len(labels) else float("nan")


def mean_f1_by_group(truth: np.ndarray, guess: np.ndarray, groups: Sequence[str], label: int) -> float:
    """Mean over the groups in which the class occurs, in truth or in guess."""
    names = np.array(groups)
    found = []
    for name in sorted(set(groups)):
        here = names == name
        if (truth[here] == label).any() or (guess[here] == label).any():
            found.append(f1(truth[here], guess[here], label))
    return float(np.mean(found)) if found else float("nan")


def average_precision(scores: Scores, relevant: Collection[int]) -> float:
    """Of one ranking: mean over the relevant places of the precision there. Equal scores keep their order."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits, total = 0, 0.0
    for rank, row in enumerate(order, 1):
        if int(row) in relevant:
            hits += 1
            total += hits / rank
    return total / len(relevant) if relevant else float("nan")


def hit_at(scores: Scores, relevant: Collection[int], k: int) -> bool:
    """Whether one of the best ``k`` is relevant."""
    return bool(set(np.argsort(-np.asarray(scores), kind="stable")[:k].tolist()) & set(relevant))


def recall_at(scores: Scores, relevant: Collection[int], k: int) -> float:
    """Share of the relevant among the best ``k``."""
    best = set(np.argsort(-np.asarray(scores), kind="stable")[:k].tolist())
    return len(best & set(relevant)) / len(set(relevant)) if relevant else float("nan")
