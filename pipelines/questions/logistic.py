"""Logistic regression over a handful of numbers: small enough to stand in a JSON file, and to be read there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Logistic:
    """P = sigmoid(bias + weights x features); ``names`` say what the features are."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """float64 ``(rows,)``: probabilities of float ``(rows, names)``."""
        return sigmoid(np.asarray(features, float).reshape(-1, len(self.names)) @ np.array(self.weights) + self.bias)

    def as_dict(self) -> dict[str, Any]:
        return {"bias": round(self.bias, 5), **{n: round(w, 5) for n, w in zip(self.names, self.weights, strict=True)}}

    @classmethod
    def from_dict(cls, said: Mapping[str, float]) -> Logistic:
        names = tuple(name for name in said if name != "bias")
        return cls(names, tuple(float(said[name]) for name in names), float(said["bias"]))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -40, 40)))


def fit(names: tuple[str, ...], features: np.ndarray, truth: np.ndarray, *, ridge: float = 1.0) -> Logistic:
    """By Newton's method; ``ridge`` pulls the weights (of the features scaled to unit spread) towards zero.

    Args:
        features: float ``(rows, names)``.
        truth: 0 or 1 ``(rows,)``.
    """
    x, y = np.asarray(features, float), np.asarray(truth, float)
    mean, spread = x.mean(0), np.maximum(x.std(0), 1e-9)
    design = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    penalty = np.diag([ridge] * x.shape[1] + [1e-6])
    found = np.zeros(design.shape[1])
    for _ in range(50):
        said = sigmoid(design @ found)
        slope = design.T @ (y - said) - penalty @ found
        step = np.linalg.solve((design.T * (said * (1 - said))) @ design + penalty, slope)
        found += step
        if np.abs(step).max() < 1e-8:
            break
    weights = found[:-1] / spread
    return Logistic(names, tuple(float(w) for w in weights), float(found[-1] - weights @ mean))


def auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Probability that a true one has the higher score; ties count half."""
    yes, scores = np.asarray(truth, bool), np.asarray(scores, float)
    hits, misses = scores[yes], np.sort(scores[~yes])
    if not len(hits) or not len(misses):
        return float("nan")
    below, up_to = np.searchsorted(misses, hits, "left"), np.searchsorted(misses, hits, "right")
    return float((below + up_to).sum() / (2 * len(hits) * len(misses)))
