"""What two entailment models say of a requirement: a small one of every candidate, the deciding one of the best passages.

Where only the small one is on the machine it does both. What was read before, with the same words and models, is not read again.
"""

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
from pipelines.compliance.passages import Passage, choose_passages
from serving.registry.versions import ModelRef
from serving.roles.entailment import DECIDING, EntailmentRole

READ_AS = "3"
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
    """What was read for one requirement.

    Attributes:
        rows: of the spans that the ranking model has read, best found first.
        probabilities: float64 ``(rows, 3)``: what it says of each.
        search: float64 ``(rows,)``: the scores, 0 to 1, with which the search found them.
        passages: those that the deciding reader has read.
        read: float64 ``(passages, 3)``: what it says of each.
    """

    rows: tuple[int, ...]
    probabilities: np.ndarray
    search: np.ndarray
    passages: tuple[Passage, ...]
    read: np.ndarray


class Reader:
    """Reads requirements against a document's candidates; ``pairs`` counts those that were not known before.

    Args:
        indexed: the document's spans.
        entailment: the role.
        version: of its model, for ranking and deciding; None takes the champion for ranking, and for deciding the reader that the
            installation keeps for it, where it is there.
        readings: kept ones; None reads everything.
    """

    def __init__(self, indexed: Indexed, entailment: EntailmentRole, version: str | None, readings: Readings | None) -> None:
        self._indexed, self._entailment, self._readings = indexed, entailment, readings
        self._versions = {"rank": version, "decide": version or DECIDING}
        self._models: dict[str, ModelRef] = {}
        self.pairs = 0

    async def models(self) -> dict[str, ModelRef]:
        """``rank`` and ``decide``: the models that serve, asked with one small pair: what was kept of another one is of no use."""
        for step, version in self._versions.items():
            if step not in self._models:
                self._models[step] = (await self._entailment.entail([(".", ".")], version=version)).model
        return self._models

    async def read(self, texts: Sequence[str], vectors: np.ndarray) -> list[Reading]:
        """Requirements, with their vectors, float32 ``(texts, dimensions)``, in one call of each model."""
        spans, text = self._indexed.spans, self._indexed.text
        candidates = [dict(self._indexed.candidates(one, vector)) if spans else {} for one, vector in zip(texts, vectors, strict=True)]
        rows = [tuple(found) for found in candidates]
        search = [np.array(list(found.values()), float) for found in candidates]
        premises = [[spans[row].premise for row in found] for found in rows]
        ranked = await self._ask("rank", texts, premises)
        passages = [choose_passages(text, spans, *found) for found in zip(rows, ranked, search, strict=True)]
        models = await self.models()
        known: list[dict[str, np.ndarray]] = [{} for _ in texts]
        if models["rank"].digest == models["decide"].digest:
            known = [dict(zip(names, said, strict=True)) for names, said in zip(premises, ranked, strict=True)]
        decided = await self._ask("decide", texts, [[one.premise for one in found] for found in passages], known)
        return [
            Reading(found, said, scores, tuple(near), read)
            for found, said, scores, near, read in zip(rows, ranked, search, passages, decided, strict=True)
        ]

    async def _ask(
        self, step: str, texts: Sequence[str], premises: Sequence[Sequence[str]], known: Sequence[Mapping[str, np.ndarray]] | None = None
    ) -> list[np.ndarray]:
        """float64 ``(premises, 3)`` for each text; every pair that is not known is read once."""
        model = f"{step} {(await self.models())[step].digest}"
        readings = self._readings
        kept = [await asyncio.to_thread(readings.find, text, model) if readings else {} for text in texts]
        for number, found in enumerate(known or ()):
            kept[number] |= {digest_of(premise): [float(value) for value in said] for premise, said in found.items()}
        todo = {
            (number, digest_of(premise)): (texts[number], premise)
            for number, found in enumerate(premises)
            for premise in found
            if digest_of(premise) not in kept[number]
        }
        if todo:
            answer = await self._entailment.entail(list(todo.values()), version=self._versions[step])
            self.pairs += len(todo)
            for (number, name), probabilities in zip(todo, answer.probabilities, strict=True):
                kept[number][name] = [round(float(value), 6) for value in probabilities]
        for number in {number for number, _ in todo}:
            if readings:
                current = {name: kept[number][name] for name in map(digest_of, premises[number])}
                await asyncio.to_thread(readings.keep, texts[number], model, current)
        return [
            np.array([kept[number][digest_of(premise)] for premise in found], float).reshape(-1, 3) for number, found in enumerate(premises)
        ]
