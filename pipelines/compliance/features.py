"""The numbers that a verdict is computed from: what two models say of the best spans and passages, and whether quantities agree.

Tried and taken out, since they did not help on domains that were not fitted on: whether one side is negated and the other not, permissions,
weak words ("should"), exceptions, plans, and the search's score (``python -m pipelines.evaluation.compliance_fit --ablate``).
"""

from __future__ import annotations

import numpy as np

from pipelines.compliance.quantities import agreement
from pipelines.compliance.reading import Reading
from serving.roles.entailment import ENTAILMENT_LABELS

ENTAILED, CONTRADICTED, NOT_MENTIONED = (ENTAILMENT_LABELS.index(label) for label in ("entailed", "contradicted", "not_mentioned"))
TOP = 8
"""Spans that count: those that say most by the ranking model."""
SMALL = 0.05
"""Added to a sum before its logarithm."""
FOUND_WEIGHT = 2.0
"""How much the search's score adds, in log-odds, when the best passage is chosen."""

ADDRESSED = (
    "spans: mentioned, sum", "spans: entailed", "spans: contradicted", "spans: read",
    "passages: mentioned", "passages: entailed", "passages: contradicted", "best passage: mentioned", "best passage: side",
)  # fmt: skip
"""Features of the question whether the document says anything of the requirement."""
SATISFIED = (
    "spans: entailed", "spans: contradicted", "spans: balance",
    "passages: entailed", "passages: contradicted", "passages: balance", "best passage: side",
    "quantities: kept", "quantities: broken", "quantities: cannot be compared",
)  # fmt: skip
"""Features of the question whether what it says satisfies the requirement."""


def features(requirement: str, reading: Reading) -> dict[str, float]:
    """Every feature by name. The reading has at least one span.

    Probabilities come as log-odds; sums and balances are logarithms of squares, so that many spans that hardly say a thing do
    not outweigh one that does; "spans: read" is the logarithm of how many were read: the best of many is higher by chance.
    """
    spans, passages = reading.probabilities, reading.read
    top = np.argsort(-_mentioned(spans), kind="stable")[:TOP]
    best = best_passage(reading)
    agreed = agreement(requirement, reading.passages[best].premise)
    return {
        "spans: mentioned, sum": float(np.log(np.square(_mentioned(spans[top])).sum() + SMALL)),
        "spans: entailed": _logit(spans[:, ENTAILED].max()),
        "spans: contradicted": _logit(spans[:, CONTRADICTED].max()),
        "spans: balance": _balance(spans[top]),
        "spans: read": float(np.log(len(spans))),
        "passages: mentioned": _logit(_mentioned(passages).max()),
        "passages: entailed": _logit(passages[:, ENTAILED].max()),
        "passages: contradicted": _logit(passages[:, CONTRADICTED].max()),
        "passages: balance": _balance(passages),
        "best passage: mentioned": _logit(_mentioned(passages)[best]),
        "best passage: side": float(np.log(passages[best, ENTAILED] + 1e-3) - np.log(passages[best, CONTRADICTED] + 1e-3)),
        "quantities: kept": float(agreed == "kept"),
        "quantities: broken": float(agreed == "broken"),
        "quantities: cannot be compared": float(agreed == "unknown"),
    }


def best_passage(reading: Reading) -> int:
    """The passage that says most of the requirement, by the deciding reader and the search."""
    place = {row: number for number, row in enumerate(reading.rows)}
    found = np.array([reading.search[place[passage.row]] for passage in reading.passages])
    mentioned = np.clip(_mentioned(reading.read), 1e-4, 1 - 1e-4)
    return int(np.argmax(np.log(mentioned / (1 - mentioned)) + FOUND_WEIGHT * found))


def _mentioned(probabilities: np.ndarray) -> np.ndarray:
    return probabilities[:, ENTAILED] + probabilities[:, CONTRADICTED]


def _balance(probabilities: np.ndarray) -> float:
    squared = np.square(probabilities).sum(0) + SMALL
    return float(np.log(squared[ENTAILED]) - np.log(squared[CONTRADICTED]))


def _logit(value: float) -> float:
    value = float(np.clip(value, 1e-4, 1 - 1e-4))
    return float(np.log(value / (1 - value)))
