"""Which spans of a document may say something of a requirement: by meaning and by words, within the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.index import Hit
from knowledge.requirements.spans import Span
from knowledge.search.fusion import fuse
from serving.entailment.overlap import Overlap
from serving.registry.versions import ModelRef
from serving.roles import Roles

READ = 60
"""Spans that the ranking model reads for one requirement."""
DENSE_WEIGHT = 0.6
TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class Indexed:
    """A document's spans, ready to be searched.

    Attributes:
        text: of the document.
        vectors: float32 ``(spans, dimensions)``, unit length.
        words: which stems stand where.
        model: that gave the vectors.
    """

    text: str
    spans: tuple[Span, ...]
    vectors: np.ndarray
    words: Overlap
    model: ModelRef

    def candidates(self, text: str, vector: np.ndarray, count: int = READ) -> list[tuple[int, float]]:
        """Rows of the best ``count`` spans with their scores, 0 to 1, best first; both rankings as in :mod:`knowledge.search`."""
        dense, lexical = self.vectors @ vector, self.words.scores(text)
        wide = 4 * count
        rows = [np.argsort(-scores, kind="stable")[:wide] for scores in (dense, lexical)]
        hits = [[Hit(int(row), float(scores[row])) for row in best] for scores, best in zip((dense, lexical), rows, strict=True)]
        return list(fuse(hits[0], hits[1], DENSE_WEIGHT).items())[:count]


async def index_spans(text: str, spans: Sequence[Span], roles: Roles, *, version: str | None = None) -> Indexed:
    """Embed the spans of a document with this text. Raises ModelMissing."""
    vectors, model = await embed([span.premise for span in spans], roles, version=version)
    return Indexed(text, tuple(spans), vectors, Overlap([span.premise for span in spans]), model)


async def embed(texts: Sequence[str], roles: Roles, *, version: str | None = None) -> tuple[np.ndarray, ModelRef]:
    """float32 ``(texts, dimensions)``, in parts that a replica can take. Raises ModelMissing."""
    role = roles.require("embedding")
    parts, model = [], None
    for start in range(0, max(1, len(texts)), TEXTS_AT_ONCE):
        answer = await role.embed(list(texts[start : start + TEXTS_AT_ONCE]) or ["."], version=version)
        parts.append(np.asarray(answer.vectors, np.float32))
        model = answer.model
    assert model is not None
    return np.concatenate(parts)[: len(texts)], model
