"""The reranker scores by what a passage says, for or against."""

from __future__ import annotations

import numpy as np

from pipelines.index_service.models import EntailmentReranker
from serving.registry.versions import ModelRef
from serving.roles.entailment import Entailment


class Role:
    """Answers from a table, and notes what it was asked."""

    async def entail(self, pairs, *, version=None) -> Entailment:
        self.asked = pairs, version
        table = {"for": (0.7, 0.1, 0.2), "against": (0.0, 0.9, 0.1), "beside": (0.1, 0.0, 0.9)}
        rows = np.array([table[passage] for _, passage in pairs], np.float32)
        return Entailment(rows, ModelRef("entailment", "m", version or "1", "", "fake", "cpu"))


async def test_a_passage_counts_by_what_it_says_for_or_against() -> None:
    role = Role()
    scores = await EntailmentReranker(role, version="3").rerank("question", ["beside", "for", "against"])
    assert np.allclose(scores, [0.1, 0.8, 0.9]) and role.asked == ([("question", p) for p in ("beside", "for", "against")], "3")


async def test_nothing_is_asked_about_nothing() -> None:
    assert (await EntailmentReranker(Role()).rerank("question", [])).shape == (0,)
