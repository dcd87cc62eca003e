"""The role ``embedding``: texts in, unit vectors out."""

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


@dataclass(frozen=True)
class Embeddings:
    """Unit vectors, float32 ``(texts, dimensions)``, and the model that gave them."""

    vectors: np.ndarray
    model: ModelRef


@runtime_checkable
class EmbeddingRole(Protocol):
    async def embed(self, texts: Sequence[str], *, version: str | None = None) -> Embeddings: ...


def checked_texts(texts: Sequence[str]) -> list[str]:
    """Texts to embed as a list.

    Raises:
        InvalidInput: something else is among them.
    """
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput("Send a list of texts to embed.")
    return list(texts)


class EmbeddingBackend(Backend):
    role = "embedding"
    dimensions: int

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 ``(texts, dimensions)``, unit vectors. Blocks."""

    def smoke_test(self) -> None:
        vectors = self.embed(["The scan shows the brain.", "An MRI of the head.", "Invoices are due in thirty days."])
        near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3) or not near > far:
            raise IntegrityError(f"The embedding model {self.ref.version} fails its smoke test (near {near:.2f}, far {far:.2f}).")


class Embedding(Role):
    name, method, backend, kind, answer_type = "embedding", "embed", EmbeddingBackend, "batched", Embeddings
    call_items = 128  # vectors of 4,096 dimensions are 2 MB
    missing = "Semantic literature search not available: no embedding model is installed."

    def check(self, texts: Sequence[str]) -> tuple[list[str]]:
        return (checked_texts(texts),)

    def answer(self, computed: np.ndarray, model: ModelRef) -> Embeddings:
        return Embeddings(computed, model)

    def rows(self, answer: Embeddings) -> np.ndarray:
        return answer.vectors

    def width(self, backend: EmbeddingBackend) -> int:
        return backend.dimensions

    def log_call(self, texts: Sequence[str]) -> dict[str, Any]:
        return {"texts": len(texts)}

    def to_json(self, texts: Sequence[str]) -> dict[str, Any]:
        return {"texts": list(texts)}

    def rows_from_json(self, data: dict[str, Any]) -> np.ndarray:
        return np.array(data["vectors"], np.float32)


ROLE = Embedding()
