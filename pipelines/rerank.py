"""The entailment role as the reranker that ``knowledge.search`` asks for: the two rooms do not know each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.roles.entailment import ENTAILMENT_LABELS, EntailmentRole

NOT_MENTIONED = ENTAILMENT_LABELS.index("not_mentioned")


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
