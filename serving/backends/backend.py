"""The base class of every backend; ``tests/unit/serving/test_backend_contract.py`` holds each one to what it says."""

from __future__ import annotations

import ctypes
import gc
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from infra.errors import ConfigurationError
from serving.registry.embedded import check_digest, resolve
from serving.registry.versions import ModelRef, ModelVersion


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
    """One loaded version of one role's model. Derive from the role's class (``EmbeddingBackend``, ``LanguageBackend`` ...).

    Workflow: the object is made (cheap), then ``load()``, ``smoke_test()``, calls, ``close()``. A new version is loaded and
    tested beside the old one before it serves. Calls may come from several threads at once.

    Quick start (``docs/backends.md`` has the whole file)::

        class HashedWords(EmbeddingBackend):
            name, dimensions = "hashed-words", 64

            def load(self):
                self.table = np.load(main_file(self.weights(), ".npy"))

            def embed(self, texts):
                ...

    and in the ``pyproject.toml`` of its package, as ROLE.NAME::

        [project.entry-points."workbench.backends"]
        "embedding.hashed-words" = "my_package:HashedWords"

    Then ``workbench models register FOLDER --role embedding --backend hashed-words``.

    Required: ``name``, :meth:`load`, and the role's own method (``embed``, ``entail``, ``segment``, ``write``, ``describe``).

    Optional: ``devices``, :meth:`close`, :meth:`healthy`; :meth:`smoke_test` comes from the role.

    Attributes:
        role: set by the role's class.
        name: of the backend, as settings and versions name it.
        devices: where it computes, of ``cpu`` and ``cuda``.
        model: the version: its reference, source and facts.
        place: device, threads and cache folder.
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

    def weights(self) -> Path:
        """The file or folder of the version, after its digest was checked.

        Raises:
            ModelMissing: it is not on this machine.
            IntegrityError: it is not what was registered.
        """
        path = resolve(self.model.source, role=self.role)
        check_digest(path, self.ref.digest)
        return path

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

    def close(self) -> None:  # noqa: B027 - optional
        """Free what is not freed with the object (threads, GPU memory). May be called twice; no call comes after it."""

    def healthy(self) -> bool:
        """Whether it can still answer (a thread of it may have died)."""
        return True


def give_back_memory() -> None:
    """Collect garbage and hand freed pages back to the operating system (glibc keeps them otherwise)."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except OSError:  # another C library: nothing to trim
        pass
