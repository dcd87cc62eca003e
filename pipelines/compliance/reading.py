"""What the entailment model says of a requirement's candidates, and what it said before."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infra.errors import NotFound
from infra.objectstore import ObjectStore
from pipelines.compliance.candidates import Indexed
from serving.registry.versions import ModelRef
from serving.roles.entailment import EntailmentRole

READ_AS = "2"
"""Raise it when what is kept of a pair changes: readings kept before are then of no use."""


class Readings:
    """What the entailment model said, kept in the object store, so that after an edit only what changed is read again.

    One object a requirement, named by a digest of its words and the models; in it the probabilities by a digest of what was
    read with it. So an edited requirement is read anew against every candidate, and an edited document in its edited places.

    Args:
        bucket: of the object store.
        folder: of one person's document (see :func:`folder_of`).
    """

    def __init__(self, store: ObjectStore, bucket: str, folder: str) -> None:
        self._store, self._bucket, self._folder = store, bucket, folder

    def find(self, requirement: str, model: str) -> dict[str, list[float]]:
        """Digest of a premise to its three probabilities; empty where this requirement was never read."""
        try:
            return json.loads(self._store.get(self._bucket, self._key(requirement, model)))
        except NotFound:
            return {}

    def keep(self, requirement: str, model: str, known: Mapping[str, list[float]]) -> None:
        """In place of what was kept before; safe to repeat."""
        self._store.put(self._bucket, self._key(requirement, model), json.dumps(dict(known)).encode(), media_type="application/json")

    def _key(self, requirement: str, model: str) -> str:
        return self._folder + hashlib.sha256(f"{READ_AS}\n{model}\n{requirement}".encode()).hexdigest() + ".json"


def folder_of(owner_id: str, document: str) -> str:
    """Where the readings of a person's document are kept, by its name: its next version is mostly the same text."""
    return f"compliance/readings/{owner_id}/{hashlib.sha256(document.encode()).hexdigest()[:32]}/"


def digest_of(premise: str) -> str:
    """What a premise's probabilities are kept under."""
    return hashlib.sha256(premise.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Reading:
    """What the entailment model said of one requirement: rows of spans, float64 ``(rows, 3)``, and the search's scores."""

    rows: tuple[int, ...]
    probabilities: np.ndarray
    search: np.ndarray


class Reader:
    """Reads requirements against a document's candidates; ``pairs`` counts those that were not known before.

    Args:
        indexed: the document's spans.
        entailment: the role.
        version: of its model; None is the champion.
        readings: kept ones; None reads everything.
    """

    def __init__(self, indexed: Indexed, entailment: EntailmentRole, version: str | None, readings: Readings | None) -> None:
        self._indexed, self._entailment, self._version, self._readings = indexed, entailment, version, readings
        self._model: ModelRef | None = None
        self.pairs = 0

    async def model(self) -> ModelRef:
        """The model that serves, asked with one small pair: what was kept of another one is of no use."""
        if self._model is None:
            self._model = (await self._entailment.entail([(".", ".")], version=self._version)).model
        return self._model

    async def read(self, texts: Sequence[str], vectors: np.ndarray) -> list[Reading]:
        """Requirements, with their vectors, float32 ``(texts, dimensions)``, in one call of the model."""
        spans, digest = self._indexed.spans, (await self.model()).digest
        candidates = [dict(self._indexed.candidates(text, vector)) if spans else {} for text, vector in zip(texts, vectors, strict=True)]
        rows = [tuple(found) for found in candidates]
        readings = self._readings
        kept = [await asyncio.to_thread(readings.find, text, digest) if readings else {} for text in texts]
        names = [[digest_of(spans[row].premise) for row in found] for found in rows]
        todo = [
            (number, name, (text, spans[row].premise))
            for number, text in enumerate(texts)
            for row, name in zip(rows[number], names[number], strict=True)
            if name not in kept[number]
        ]
        if todo:
            answer = await self._entailment.entail([pair for _, _, pair in todo], version=self._version)
            self.pairs += len(todo)
            for (number, name, _), probabilities in zip(todo, answer.probabilities, strict=True):
                kept[number][name] = [round(float(value), 6) for value in probabilities]
        for number in {number for number, _, _ in todo}:
            if readings:
                current = {name: kept[number][name] for name in names[number]}
                await asyncio.to_thread(readings.keep, texts[number], digest, current)
        return [
            Reading(
                found,
                np.array([kept[number][name] for name in names[number]], float).reshape(-1, 3),
                np.array(list(candidates[number].values()), float),
            )
            for number, found in enumerate(rows)
        ]
