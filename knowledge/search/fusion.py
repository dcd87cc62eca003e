"""Two rankings into one, by weighted normalised scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knowledge.index import Hit


def fuse(dense: Sequence[Hit], lexical: Sequence[Hit], dense_weight: float) -> dict[int, float]:
    """Id -> score, 0 to 1, best first.

    Each list is scaled to 0..1 by its own best and worst (what a list does not have counts 0 there), then weighted. Ranks
    alone (reciprocal rank fusion) lose what the scores say: on ObliQA they do worse than BM25.
    """
    fused: dict[int, float] = {}
    for hits, weight in ((dense, dense_weight), (lexical, 1.0 - dense_weight)):
        for identifier, score in scaled(hits).items():
            fused[identifier] = fused.get(identifier, 0.0) + weight * score
    return dict(sorted(fused.items(), key=lambda item: (-item[1], item[0])))


def scaled(hits: Sequence[Hit]) -> dict[int, float]:
    """Scores as 0..1 by best and worst; all 1 where they do not differ."""
    if not hits:
        return {}
    best, worst = max(h.score for h in hits), min(h.score for h in hits)
    spread = best - worst
    return {h.id: (h.score - worst) / spread if spread > 1e-9 else 1.0 for h in hits}


def add_bonus(fused: Mapping[int, float], bonus: Mapping[int, float]) -> dict[int, float]:
    """Fused scores with a bonus an id, scaled back to 0..1, best first."""
    if not fused:
        return {}
    most = max(1.0, 1.0 + max(bonus.values(), default=0.0))
    raised = {identifier: (score + bonus.get(identifier, 0.0)) / most for identifier, score in fused.items()}
    return dict(sorted(raised.items(), key=lambda item: (-item[1], item[0])))
