"""The models that the index service calls: the embedding model whose vectors a collection holds, and a reranker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from infra.errors import Conflict
from infra.settings import Settings
from serving.registry.champions import read_catalogue
from serving.roles import Roles
from serving.roles.embedding import Embeddings
from serving.roles.entailment import ENTAILMENT_LABELS, EntailmentRole

NOT_MENTIONED = ENTAILMENT_LABELS.index("not_mentioned")


class KnownModel:
    """Embeds with the model whose vectors a collection holds, also when another one serves by now.

    Args:
        settings: the program's.
        roles: the models.
        digest: of the collection's model; empty for whichever serves.
    """

    def __init__(self, settings: Settings, roles: Roles, digest: str) -> None:
        self._settings, self._role, self._digest = settings, roles.require("embedding"), digest
        self._version: str | None = None

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Raises Conflict where the collection's model is not there any more."""
        answer: Embeddings = await self._role.embed(texts, version=self._version)
        if self._digest and answer.model.digest != self._digest and self._version is None:
            self._version = self._find()
            answer = await self._role.embed(texts, version=self._version)
        if self._digest and answer.model.digest != self._digest:
            raise self._gone()
        return answer

    def _find(self) -> str:
        versions = read_catalogue(self._settings).versions.get("embedding", {})
        found = next((number for number, version in versions.items() if version.ref.digest == self._digest), None)
        if found is None:
            raise self._gone()
        return found

    @staticmethod
    def _gone() -> Conflict:
        return Conflict("The collection was made with another embedding model. Rebuild it (workbench kb rebuild).")


class EntailmentReranker:
    """Scores a passage by the probability that it says something about the question, for or against: 1 - P(not mentioned).

    Args:
        role: the entailment role, wherever its model runs.
        version: of its model; by default the champion.
    """

    def __init__(self, role: EntailmentRole, *, version: str | None = None) -> None:
        self._role, self._version = role, version

    async def rerank(self, question: str, passages: Sequence[str], /) -> np.ndarray:
        """float32 ``(passages,)``, 0 to 1."""
        if not passages:
            return np.empty(0, np.float32)
        answer = await self._role.entail([(question, passage) for passage in passages], version=self._version)
        return 1 - answer.probabilities[:, NOT_MENTIONED]
