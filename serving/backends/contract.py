"""The contract of every backend; ``tests/unit/serving/test_backend_contract.py`` holds each one to it."""

from __future__ import annotations

import ctypes
import gc
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from infra.errors import ConfigurationError
from serving.contracts import Delta, Message, ModelRef, Segmentation, Volume, WriteOptions
from serving.versions import ModelVersion


@dataclass(frozen=True)
class Place:
    """Where and with what a backend computes.

    Attributes:
        device: ``cpu`` or ``cuda``.
        threads: processors to compute with; 0 means the machine's.
        cache: a folder for compiled models; may be deleted at any time.
    """

    device: str
    threads: int
    cache: Path

    @property
    def thread_count(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))


class Backend(ABC):
    """One loaded version of one role's model.

    Life: made (cheap), ``load()`` (reads, compiles), ``smoke_test()``, calls, ``close()``. Calls may come from several
    threads at once. After ``close()`` the memory is back with the operating system, and calls raise Unavailable.
    """

    role: ClassVar[str]
    name: ClassVar[str]
    devices: ClassVar[tuple[str, ...]] = ("cpu",)

    def __init__(self, model: ModelVersion, place: Place) -> None:
        """Raises ConfigurationError where this backend cannot compute on the device asked for."""
        if place.device not in self.devices:
            raise ConfigurationError(
                f"The backend '{self.name}' of the role {self.role} runs on {' or '.join(self.devices)}, not on {place.device}. "
                f"Set models.{self.role}.backend to one that does."
            )
        self.model = model
        self.place = place

    @property
    def ref(self) -> ModelRef:
        return self.model.ref

    @abstractmethod
    def load(self) -> None:
        """Read and compile the weights. Blocks; called once, in a thread.

        Raises:
            ModelMissing: the weights are not on this machine.
            IntegrityError: they are not the weights whose digest is known.
        """

    @abstractmethod
    def smoke_test(self) -> None:
        """Compute something small and check that it makes sense. Blocks. Raises an error where it does not."""

    @abstractmethod
    def close(self) -> None:
        """Free the memory. May be called twice."""

    def healthy(self) -> bool:
        """Whether it can still answer (a thread of it may have died)."""
        return True


class EmbeddingBackend(Backend):
    role = "embedding"
    dimensions: int

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 ``(texts, dimensions)``, unit vectors. Blocks."""

    def smoke_test(self) -> None:
        from infra.errors import IntegrityError

        vectors = self.embed(["The scan shows the brain.", "An MRI of the head.", "Invoices are due in thirty days."])
        near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3) or not near > far:
            raise IntegrityError(f"The embedding model {self.ref.version} fails its smoke test (near {near:.2f}, far {far:.2f}).")


class LanguageBackend(Backend):
    role = "llm"

    @abstractmethod
    def write(self, messages: Sequence[Message], options: WriteOptions) -> AsyncIterator[Delta]:
        """Stream an answer. Closing the iterator cancels it and frees its slot; other streams go on.

        Raises:
            TooLarge: the messages are longer than the model's context.
            Unavailable: the model stopped.
        """


class SegmentationBackend(Backend):
    role = "segmentation"

    @abstractmethod
    def segment(self, volume: Volume) -> Segmentation:
        """Labels in the volume's own grid. Blocks.

        Raises:
            NotABrain: never here: the quality's verdict says so, the pipeline decides.
        """


class EntailmentBackend(Backend):
    role = "entailment"

    @abstractmethod
    def entail(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """float32 ``(pairs, 3)``: probabilities of ``ENTAILMENT_LABELS`` for each (claim, passage). Blocks."""

    def smoke_test(self) -> None:
        from infra.errors import IntegrityError

        passage = "The supplier shall keep the records of every transaction for five years in the archive in Hamburg."
        claim = "The supplier keeps records of every transaction for five years."
        found = self.entail([(claim, passage), (claim, "The hippocampus of older people was smaller in both groups."), (claim, "")])
        if found.shape != (3, 3) or not np.allclose(found.sum(1), 1, atol=1e-3) or not found[0, 0] > found[1:, 0].max():
            said = ", ".join(f"{value:.2f}" for value in found[:, 0])
            raise IntegrityError(f"The entailment model {self.ref.version} fails its smoke test (entailed: {said}).")


def give_back_memory() -> None:
    """Collect garbage and hand freed pages back to the operating system (glibc keeps them otherwise)."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except OSError:  # another C library: nothing to trim
        pass
