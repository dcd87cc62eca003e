"""One document against requirements: candidates, then the entailment models in batches, then verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.reading import Document
from knowledge.requirements.contract import Requirement
from knowledge.requirements.extraction import extract_requirements
from knowledge.requirements.spans import spans_of
from pipelines.compliance.candidates import embed, index_spans
from pipelines.compliance.combiner import Combiner, combiner_for
from pipelines.compliance.contract import OwnObligation, RequirementVerdict
from pipelines.compliance.deciding import decide
from pipelines.compliance.reading import Reader, Reading, Readings
from serving.registry.versions import ModelRef
from serving.roles import Roles

REQUIREMENTS_AT_ONCE = 8
"""Requirements whose pairs go to the entailment model in one call: about two hundred pairs, a second or two on two cores."""
COVERED = 0.6
"""Likeness (cosine) from which on an obligation of the document counts as covered by a requirement."""
MOST_OWN = 100

Told = Callable[[int, int, str], None]
"""How many requirements are done, of how many, and the one that is next."""


@dataclass(frozen=True)
class Analysed:
    """Verdicts in the requirements' order, the models that gave them, and how many pairs were read (not known before)."""

    verdicts: tuple[RequirementVerdict, ...]
    own: tuple[OwnObligation, ...]
    models: tuple[ModelRef, ...]
    pairs: int


async def analyse(
    document: Document,
    requirements: Sequence[Requirement],
    roles: Roles,
    *,
    versions: Mapping[str, str | None] | None = None,
    readings: Readings | None = None,
    combiner: Combiner | None = None,
    told: Told | None = None,
) -> Analysed:
    """The verdict on each requirement.

    Args:
        versions: role to version, of ``embedding`` and ``entailment``; by default the champions.
        readings: kept ones; by default everything is read.
        combiner: by default the one that was fitted for the deciding reader.
        told: called as it goes on.

    Raises:
        ModelMissing: there is no embedding or entailment model.
    """
    chosen = versions or {}
    spans = await asyncio.to_thread(spans_of, document)
    texts = list(dict.fromkeys(requirement.text for requirement in requirements))
    indexed = await index_spans(document.text, spans, roles, version=chosen.get("embedding"))
    vectors, _ = await embed(texts, roles, version=chosen.get("embedding"))
    reader = Reader(indexed, roles.require("entailment"), chosen.get("entailment"), readings)
    found: dict[str, Reading] = {}
    for start in range(0, len(texts), REQUIREMENTS_AT_ONCE):
        part = texts[start : start + REQUIREMENTS_AT_ONCE]
        if told:
            told(start, len(texts), part[0])
        found |= zip(part, await reader.read(part, vectors[start : start + len(part)]), strict=True)
    models = await reader.models()
    known = combiner or combiner_for(models["decide"].digest)
    verdicts = await asyncio.to_thread(lambda: [decide(one, spans, found[one.text], known) for one in requirements])
    own = await _own(document, vectors, texts, verdicts, roles, chosen.get("embedding"))
    if told:
        told(len(texts), len(texts), "")
    return Analysed(tuple(verdicts), own, tuple(dict.fromkeys((indexed.model, *models.values()))), reader.pairs)


async def _own(
    document: Document,
    vectors: np.ndarray,
    texts: Sequence[str],
    verdicts: Sequence[RequirementVerdict],
    roles: Roles,
    version: str | None,
) -> tuple[OwnObligation, ...]:
    """Obligations and prohibitions of the document that decided nothing and that no requirement is like."""
    used = {(one.start, one.end) for verdict in verdicts for one in verdict.evidence if one.decided}
    mine = [one for one in await asyncio.to_thread(extract_requirements, document) if one.modality != "permission" and one.source]
    mine = [one for one in mine if one.source and (one.source.start, one.source.end) not in used]
    if not mine:
        return ()
    likeness = (await embed([one.text for one in mine], roles, version=version))[0] @ vectors.T if texts else np.zeros((len(mine), 0))
    found = []
    for row, one in enumerate(mine):
        best = int(np.argmax(likeness[row])) if texts else -1
        like = float(likeness[row, best]) if texts else 0.0
        if like < COVERED and one.source:
            nearest = texts[best] if texts else ""
            found.append(OwnObligation(one.source.page, one.source.start, one.source.end, one.source.text, one.modality, nearest, like))
    return tuple(found[:MOST_OWN])
