"""SciFact's claims against their abstracts, read as an analysis reads requirements: a second kind of text for the calibration.

What is fitted on non-disclosure agreements alone takes every quiet text for one that addresses nothing (on SciFact's held-back
claims: accuracy .50, calibration error .34; fitted together .58 and .09).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.requirements.spans import Span
from pipelines.compliance.candidates import Indexed, embed
from pipelines.compliance.deciding import by_search, told_apart
from pipelines.compliance.reading import Reader
from serving.entailment.corpora.data import Data
from serving.entailment.corpora.examples import Label
from serving.entailment.overlap import Overlap
from serving.roles import Roles

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
    """Every case found, read and told apart as in an analysis."""
    texts = list(dict.fromkeys(text for case in cases for text in (case.claim, *case.sentences)))
    embedded, model = await embed(texts, roles)
    vectors = dict(zip(texts, embedded, strict=True))
    found = []
    for case in cases:
        spans = tuple(Span(None, 0, len(sentence), sentence) for sentence in case.sentences)
        indexed = Indexed(spans, np.stack([vectors[sentence] for sentence in case.sentences]), Overlap(case.sentences), model)
        reader = Reader(indexed, roles.require("entailment"), None, None)
        [reading] = await reader.read([case.claim], vectors[case.claim][None])
        told, changes = told_apart(case.claim, [spans[row] for row in reading.rows], reading.probabilities)
        found.append(ClaimRead(case.name, by_search(told, changes, reading.search), tuple(changes), LABELS[case.label]))
    return found
