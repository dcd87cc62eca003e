"""The role ``vlm``: images and a question in, what is seen on them out. No backend fulfils it yet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from infra.errors import IntegrityError
from serving.backends.backend import Backend
from serving.registry.versions import ModelRef
from serving.roles.role import Role


@dataclass(frozen=True)
class Fact:
    """Something a vision-language model says it sees."""

    name: str
    value: str
    confidence: float


@dataclass(frozen=True)
class Description:
    """What a vision-language model says of images."""

    text: str
    facts: tuple[Fact, ...]
    model: ModelRef


@runtime_checkable
class VisionLanguageRole(Protocol):
    async def describe(self, images: Sequence[np.ndarray], question: str | None = None, *, version: str | None = None) -> Description: ...


class VisionLanguageBackend(Backend):
    role = "vlm"

    @abstractmethod
    def describe(self, images: Sequence[np.ndarray], question: str | None = None) -> Description:
        """What is seen on the images (uint8, ``(height, width)`` or ``(height, width, 3)``). Blocks."""

    def smoke_test(self) -> None:
        if not self.describe([np.zeros((64, 64), np.uint8)], "What is on this picture?").text.strip():
            raise IntegrityError(f"The vision-language model {self.ref.version} fails its smoke test: it wrote nothing.")


class VisionLanguage(Role):
    name, method, backend, answer_type = "vlm", "describe", VisionLanguageBackend, Description
    missing = "Image description not available: no vision-language model is installed."


ROLE = VisionLanguage()
