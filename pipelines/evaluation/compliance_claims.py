"""SciFact's claims against their abstracts, read as an analysis reads requirements: a second kind of text for the calibration.

What is fitted on non-disclosure agreements alone takes every quiet text for one that addresses nothing (on SciFact's held-back
claims: accuracy .50, calibration error .34; fitted together .58 and .09).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.requirements.spans import Span
from pipelines.compliance.candidates import Indexed, embed
from pipelines.compliance.deciding import by_search, told_apart
from serving.contracts import ModelRef
from serving.entailment.data import Data
from serving.entailment.examples import Label
from serving.entailment.overlap import Overlap
from serving.roles import Roles

PAIRS_AT_ONCE = 256
LABELS: dict[Label, int] = {"entailed": 0, "contradicted": 1, "not_mentioned": 2}


@dataclass(frozen=True)
class Case:
    """A claim or rule beside one short text, sentence by sentence, and what the text says of it."""

    name: str
    claim: str
    sentences: Sequence[str]
    label: Label


@dataclass(frozen=True)
class ClaimRead:
    """A case as the models read it; ``told``, ``changes`` and ``truth`` are those of a requirement."""

    name: str
    told: np.ndarray
    changes: tuple[str, ...]
    truth: int


async def read_claims(known: Data, roles: Roles) -> list[ClaimRead]:
    """Every claim that the entailment weights were not trained on, beside each abstract that is named for it; none where the
    set is not there."""
    cases = []
    for claim in [*known.claims("held"), *known.claims("tune")]:
        for document in list(claim.evidence) or list(claim.cited)[:1]:
            if document in known.scifact.abstracts:
                label = claim.evidence[document][0] if document in claim.evidence else "not_mentioned"
                cases.append(Case(f"{claim.id}/{document}", claim.text, known.scifact.abstracts[document].sentences, label))
    return await read_cases(cases, roles)


async def read_cases(cases: Sequence[Case], roles: Roles) -> list[ClaimRead]:
    """Every case's candidates found, read and told apart as in an analysis."""
    texts = list(dict.fromkeys(text for case in cases for text in (case.claim, *case.sentences)))
    embedded, model = await embed(texts, roles)
    vectors = dict(zip(texts, embedded, strict=True))
    candidates = [_candidates(case, vectors, model) for case in cases]
    pairs = [(case.claim, case.sentences[row]) for case, found in zip(cases, candidates, strict=True) for row in found]
    parts = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        answer = await roles.require("entailment").entail(pairs[start : start + PAIRS_AT_ONCE])
        parts.append(np.asarray(answer.probabilities, float))
    probabilities, at = np.concatenate(parts) if parts else np.empty((0, 3)), 0
    reads = []
    for case, found in zip(cases, candidates, strict=True):
        spans = [_span(case.sentences[row]) for row in found]
        told, changes = told_apart(case.claim, spans, probabilities[at : at + len(spans)])
        at += len(spans)
        told = by_search(told, changes, np.array(list(found.values()), float))
        reads.append(ClaimRead(case.name, told, tuple(changes), LABELS[case.label]))
    return reads


def _candidates(case: Case, vectors: Mapping[str, np.ndarray], model: ModelRef) -> dict[int, float]:
    """Row of a sentence to the search's score."""
    rows = np.stack([vectors[sentence] for sentence in case.sentences])
    indexed = Indexed(tuple(map(_span, case.sentences)), rows, Overlap(case.sentences), model)
    return dict(indexed.candidates(case.claim, vectors[case.claim]))


def _span(sentence: str) -> Span:
    return Span(None, 0, len(sentence), sentence)
