"""A backend that needs no weights: a real subclass, held to the same contract as the others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from infra.errors import Unavailable
from serving.backends.backend import Place
from serving.registry.versions import Catalogue, ModelRef, ModelVersion
from serving.roles.embedding import EmbeddingBackend


class WordEmbedding(EmbeddingBackend):
    """Vectors from hashed words: texts that share words are near each other."""

    name = "fake"
    dimensions = 64
    loaded = False

    def load(self) -> None:
        self.loaded = True
        self.alive = True

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if not self.loaded:
            raise Unavailable("The model is not loaded.")
        vectors = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().replace(".", "").split():
                vectors[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def healthy(self) -> bool:
        return not self.loaded or self.alive

    def close(self) -> None:
        self.loaded = False


def version(number: str = "1", role: str = "embedding") -> ModelVersion:
    """A version of the fake."""
    return ModelVersion(ModelRef(role, f"workbench-{role}", number, "", "fake", "cpu"), "nowhere")


def catalogue(*numbers: str, champion: str = "1") -> Catalogue:
    """Versions of the fake."""
    return Catalogue({"embedding": {number: version(number) for number in numbers}}, {"embedding": champion})


def place(cache: Path, device: str = "cpu") -> Place:
    return Place(device, 1, cache)
