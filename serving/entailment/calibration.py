"""Probabilities that mean what they say: one temperature, and how far off they are."""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """float32 probabilities over the last axis."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(-1, keepdims=True)
    powers = np.exp(scaled)
    return (powers / powers.sum(-1, keepdims=True)).astype(np.float32)


def fit_temperature(logits: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature with the least negative log-likelihood (Guo et al., ICML 2017), by golden-section search.

    Args:
        logits: ``(pairs, classes)``.
        truth: int ``(pairs,)``, the right classes.
        weights: how much each pair counts; by default all the same.
    """
    weights = np.ones(len(truth)) if weights is None else weights
    if not len(truth):
        return 1.0

    def loss(log_temperature: float) -> float:
        chosen = softmax(logits, float(np.exp(log_temperature)))[np.arange(len(truth)), truth]
        return float(-(weights * np.log(np.maximum(chosen, 1e-12))).sum())

    low, high, ratio = np.log(0.25), np.log(8.0), (5**0.5 - 1) / 2
    for _ in range(40):  # the loss has one minimum in the temperature's logarithm
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(np.exp((low + high) / 2))


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Mean distance between the highest probability and how often it is right, over bins of equal width (Naeini et al., 2015)."""
    if not len(truth):
        return float("nan")
    sure, right = probabilities.max(1), probabilities.argmax(1) == truth
    which = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(sure[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in range(bins) if (which == b).any()]
    return float(sum(gaps))
