"""SciFact's claims against their abstracts, read as an analysis reads requirements: a second kind of text for the calibration.

What is fitted on non-disclosure agreements alone takes every quiet text for one that addresses nothing (on SciFact's held-back
claims: accuracy .50, calibration error .34; fitted together .58 and .09).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knowledge.requirements.spans import Span
from pipelines.compliance.deciding import told_apart
from serving.entailment import scifact
from serving.entailment.data import Data
from serving.entailment.examples import Split
from serving.roles import Roles

PAIRS_AT_ONCE = 256
LABELS = {"entailed": 0, "contradicted": 1, "not_mentioned": 2}


@dataclass(frozen=True)
class ClaimRead:
    """A claim as the models read it beside one abstract; ``told``, ``changes`` and ``truth`` are those of a requirement."""

    name: str
    told: np.ndarray
    changes: tuple[str, ...]
    truth: int


async def read_claims(data: Path, roles: Roles, split: Split) -> list[ClaimRead]:
    """Every claim that the entailment weights were not trained on, beside each abstract that is named for it; none where the
    set is not there."""
    if not (data / scifact.SOURCE).is_dir():
        return []
    known = Data(data, split)
    cases: list[tuple[str, str, Sequence[str], int]] = []
    for claim in [*known.claims("held"), *known.claims("tune")]:
        for document in list(claim.evidence) or list(claim.cited)[:1]:
            if document in known.scifact.abstracts:
                label = claim.evidence[document][0] if document in claim.evidence else "not_mentioned"
                cases.append((f"{claim.id}/{document}", claim.text, known.scifact.abstracts[document].sentences, LABELS[label]))
    pairs = [(text, sentence) for _, text, sentences, _ in cases for sentence in sentences]
    parts = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        answer = await roles.require("entailment").entail(pairs[start : start + PAIRS_AT_ONCE])
        parts.append(np.asarray(answer.probabilities, float))
    probabilities, at = np.concatenate(parts) if parts else np.empty((0, 3)), 0
    found = []
    for name, text, sentences, truth in cases:
        spans = [Span(None, 0, len(sentence), sentence) for sentence in sentences]
        told, changes = told_apart(text, spans, probabilities[at : at + len(spans)])
        at += len(spans)
        found.append(ClaimRead(name, told, tuple(changes), truth))
    return found
