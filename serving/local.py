"""Roles whose models run in this process: for `workbench analyze` without a workbench, notebooks, tests; and, inside
a Serve replica, the part that is not Ray."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import weakref
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from infra.settings import Settings
from serving.backends.batching import Batcher
from serving.backends.contract import Backend
from serving.backends.shelf import Shelf
from serving.backends.table import make_backend
from serving.champions import read_catalogue, read_champions
from serving.contracts import (
    ENTAILMENT_LABELS,
    Delta,
    Embeddings,
    Entailment,
    Message,
    Segmentation,
    Volume,
    WriteOptions,
    checked_pairs,
    checked_texts,
)
from serving.roles import Roles

CHUNK = 64
"""Texts embedded, or pairs read, at once: a long list is cut, so that a person's one question gets its turn in between."""


def make_shelf(settings: Settings, role: str) -> Shelf:
    """The shelf of a role's versions, as the settings and the registry's snapshot say."""
    return Shelf(
        role,
        functools.partial(read_catalogue, settings),
        functools.partial(make_backend, settings),
        settings.model(role).max_versions,
    )


class LocalEmbedding:
    """Embeds in this process. Concurrent calls are computed together."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._executor = ThreadPoolExecutor(1, "embedding")
        self._batchers: weakref.WeakKeyDictionary[Backend, Batcher[str, np.ndarray]] = weakref.WeakKeyDictionary()

    async def embed(self, texts: Sequence[str], *, version: str | None = None) -> Embeddings:
        """Raises InvalidInput where ``texts`` is not a list of texts."""
        texts = checked_texts(texts)
        async with self.shelf.use(version) as backend:
            batcher = self._batchers.get(backend)
            if batcher is None:
                batcher = self._batchers[backend] = Batcher(backend.embed, self._executor, limit=CHUNK)
            parts = [np.asarray(await batcher(texts[start : start + CHUNK])) for start in range(0, len(texts), CHUNK)]
            vectors = np.concatenate(parts) if parts else np.empty((0, backend.dimensions), np.float32)
            return Embeddings(vectors, backend.ref)


class LocalEntailment:
    """Reads pairs in this process. Concurrent calls are computed together."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._executor = ThreadPoolExecutor(1, "entailment")
        self._batchers: weakref.WeakKeyDictionary[Backend, Batcher[tuple[str, str], np.ndarray]] = weakref.WeakKeyDictionary()

    async def entail(self, pairs: Sequence[tuple[str, str]], *, version: str | None = None) -> Entailment:
        """Raises InvalidInput where ``pairs`` is not a list of (claim, passage)."""
        pairs = checked_pairs(pairs)
        async with self.shelf.use(version) as backend:
            batcher = self._batchers.get(backend)
            if batcher is None:
                batcher = self._batchers[backend] = Batcher(backend.entail, self._executor, limit=CHUNK)
            # Pairs of similar length in one chunk: whatever their order, little is computed on padding.
            order = sorted(range(len(pairs)), key=lambda row: len(pairs[row][0]) + len(pairs[row][1]))
            probabilities = np.empty((len(pairs), len(ENTAILMENT_LABELS)), np.float32)
            for start in range(0, len(order), CHUNK):
                rows = order[start : start + CHUNK]
                probabilities[rows] = np.asarray(await batcher([pairs[row] for row in rows]))
            return Entailment(probabilities, backend.ref)


class LocalLanguage:
    """Writes in this process."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    async def write(
        self, messages: Sequence[Message], options: WriteOptions = WriteOptions(), *, version: str | None = None
    ) -> AsyncIterator[Delta]:
        async with self.shelf.use(version) as backend, contextlib.aclosing(backend.write(messages, options)) as deltas:
            async for delta in deltas:
                yield delta


class LocalSegmentation:
    """Segments in this process, one scan after another: a scan keeps all processors busy by itself."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._executor = ThreadPoolExecutor(1, "segmentation")

    async def segment(self, volume: Volume, *, version: str | None = None) -> Segmentation:
        async with self.shelf.use(version) as backend:
            return await asyncio.get_running_loop().run_in_executor(self._executor, backend.segment, volume)


LOCAL: dict[str, Any] = {
    "segmentation": LocalSegmentation,
    "embedding": LocalEmbedding,
    "llm": LocalLanguage,
    "entailment": LocalEntailment,
}


def local_role(settings: Settings, role: str) -> Any:
    """The role's object; its model is loaded at the first call."""
    return LOCAL[role](make_shelf(settings, role))


def local_roles(settings: Settings) -> Roles:
    """Roles whose models are on this machine, each loaded at its first call."""
    fulfilled = [role for role in read_champions(settings) if role in LOCAL]
    return Roles(**{role: local_role(settings, role) for role in fulfilled})
