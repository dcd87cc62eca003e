"""The role ``entailment``: pairs of a claim and a passage in, probabilities of three labels out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from infra.errors import IntegrityError, InvalidInput
from serving.backends.backend import Backend
from serving.registry.versions import ModelRef
from serving.roles.role import Role

ENTAILMENT_LABELS = ("entailed", "contradicted", "not_mentioned")
DECIDING = "deciding"
"""In place of a version's number: the reader that decides on few passages, where the installation has one; else the champion."""


@dataclass(frozen=True)
class Entailment:
    """float32 ``(pairs, 3)``: probabilities of entailed, contradicted, not mentioned (``ENTAILMENT_LABELS``)."""

    probabilities: np.ndarray
    model: ModelRef


@runtime_checkable
class EntailmentRole(Protocol):
    async def entail(self, pairs: Sequence[tuple[str, str]], *, version: str | None = None) -> Entailment: ...


def checked_pairs(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of (claim, passage) as a list.

    Raises:
        InvalidInput: something else is among them.
    """
    found = [] if isinstance(pairs, str) else [tuple(pair) for pair in pairs if not isinstance(pair, str)]
    if isinstance(pairs, str) or len(found) != len(pairs) or not all(len(p) == 2 and all(isinstance(t, str) for t in p) for p in found):
        raise InvalidInput("Send a list of pairs, each a claim and a passage.")
    return found  # type: ignore[return-value]


class EntailmentBackend(Backend):
    role = "entailment"

    @abstractmethod
    def entail(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """float32 ``(pairs, 3)``: probabilities of ``ENTAILMENT_LABELS`` for each (claim, passage). Blocks."""

    def smoke_test(self) -> None:
        passage = "The supplier shall keep the records of every transaction for five years in the archive in Hamburg."
        claim = "The supplier keeps records of every transaction for five years."
        found = self.entail([(claim, passage), (claim, "The hippocampus of older people was smaller in both groups."), (claim, "")])
        if found.shape != (3, 3) or not np.allclose(found.sum(1), 1, atol=1e-3) or not found[0, 0] > found[1:, 0].max():
            said = ", ".join(f"{value:.2f}" for value in found[:, 0])
            raise IntegrityError(f"The entailment model {self.ref.version} fails its smoke test (entailed: {said}).")


class EntailmentOfPairs(Role):
    name, method, backend, kind, answer_type = "entailment", "entail", EntailmentBackend, "batched", Entailment
    missing = "Verification against literature not available: no entailment model is installed."

    def check(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]]]:
        return (checked_pairs(pairs),)

    def answer(self, computed: np.ndarray, model: ModelRef) -> Entailment:
        return Entailment(computed, model)

    def cost(self, item: tuple[str, str]) -> int:
        return len(item[0]) + len(item[1])  # whatever the pairs' order, little is computed on padding

    def rows(self, answer: Entailment) -> np.ndarray:
        return answer.probabilities

    def width(self, backend: EntailmentBackend) -> int:
        return len(ENTAILMENT_LABELS)

    def log_call(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        return {"pairs": len(pairs)}

    def to_json(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        return {"pairs": [{"claim": claim, "passage": passage} for claim, passage in pairs]}

    def rows_from_json(self, data: dict[str, Any]) -> np.ndarray:
        rows = [[found[label] for label in ENTAILMENT_LABELS] for found in data["answers"]]
        return np.array(rows, np.float32).reshape(-1, len(ENTAILMENT_LABELS))


ROLE = EntailmentOfPairs()
