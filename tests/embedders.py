"""Embedding roles that need no weights: each word has a direction of its own, so like texts are near each other."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence

import numpy as np

from serving.registry.versions import ModelRef
from serving.roles.embedding import Embeddings


class WordsEmbedding:
    """Fulfils the embedding role.

    Args:
        digest: whom it claims to be.
        dimensions: of the vectors.
        seconds: a call takes at least so long.
    """

    def __init__(self, digest: str = "1" * 64, *, dimensions: int = 256, seconds: float = 0.0) -> None:
        self.ref = ModelRef("embedding", "words", "1", digest, "numpy", "cpu")
        self.dimensions, self.seconds = dimensions, seconds
        self.calls: list[int] = []
        self.failing: Exception | None = None
        self._rows: dict[str, int] = {}

    async def embed(self, texts: Sequence[str], *, version: str | None = None) -> Embeddings:
        self.calls.append(len(texts))
        if self.failing is not None:
            raise self.failing
        await asyncio.sleep(self.seconds)
        return Embeddings(await asyncio.to_thread(self._vectors, texts), self.ref)

    def _vectors(self, texts: Sequence[str]) -> np.ndarray:
        out = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                if word not in self._rows:
                    self._rows[word] = int(hashlib.sha1(word.encode()).hexdigest(), 16) % self.dimensions
                out[row, self._rows[word]] += 1
            out[row] /= np.linalg.norm(out[row]) or 1
        return out
