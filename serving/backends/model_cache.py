"""The versions of one role that a process keeps loaded: the champion and the most recently used others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from infra.errors import ModelMissing, NotFound, Unavailable
from infra.telemetry import logger
from serving.backends.backend import Backend
from serving.registry.versions import Catalogue, ModelRef, ModelVersion
from serving.roles import missing_sentence
from serving.roles.entailment import DECIDING

log = logger("serving.model_cache")


@dataclass
class _Entry:
    backend: Backend
    users: int = 0
    retired: bool = False


class ModelCache:
    """Loads versions when they are first asked for, and closes the least recently used.

    A version in use is never closed under its users: it is closed when the last of them is done. Used from one
    event loop; loading and closing happen in threads.

    Args:
        role: whose versions.
        catalogue: reads what versions there are and which is the champion (asked again for a version it does not know).
        make: makes a backend that is not loaded yet.
        keep: versions kept loaded, the champion among them.
    """

    def __init__(self, role: str, catalogue: Callable[[], Catalogue], make: Callable[[ModelVersion], Backend], keep: int) -> None:
        self.role = role
        self._read, self._make, self._keep = catalogue, make, max(1, keep)
        self._catalogue: Catalogue | None = None
        self._loaded: OrderedDict[str, _Entry] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._champion: str | None = None
        self._closed = False

    @property
    def loaded(self) -> list[ModelRef]:
        """Loaded versions, least recently used first."""
        return [entry.backend.ref for entry in self._loaded.values()]

    def healthy(self) -> bool:
        return not self._closed and all(entry.backend.healthy() for entry in self._loaded.values())

    @contextlib.asynccontextmanager
    async def use(self, version: str | None = None) -> AsyncIterator[Any]:
        """The loaded backend of a version, kept loaded while the block runs.

        Args:
            version: its number; None is the champion, DECIDING the reader that decides on few passages (see
                :mod:`serving.roles.entailment`).

        Raises:
            NotFound: there is no such version.
            ModelMissing: the role has no model, or its weights are not on this machine.
        """
        entry = await self._entry(version)
        entry.users += 1  # before the next await, or another call could evict it
        try:
            await self._evict()
            yield entry.backend
        finally:
            entry.users -= 1
            if entry.retired and not entry.users:
                await asyncio.shield(asyncio.to_thread(entry.backend.close))
            elif not entry.users:
                await self._evict()

    async def refresh(self) -> ModelRef:
        """Read the champion anew; a new one is loaded and tested beside the old one, and only then serves."""
        self._catalogue = self._read()
        champion = self._catalogue.champion(self.role)
        if champion is None:
            raise ModelMissing(missing_sentence(self.role), role=self.role)
        await self._load(champion.ref.version)
        self._champion = champion.ref.version
        await self._evict()
        return champion.ref

    async def close(self) -> None:
        """Close every version, when its users are done."""
        self._closed = True
        for version in list(self._loaded):
            await self._retire(version)

    async def _entry(self, version: str | None) -> _Entry:
        if self._closed:
            raise Unavailable("The model is being shut down. Try again in a moment.")
        if version in (None, DECIDING) and self._champion is None:
            await self.refresh()
        if version is None or (version == DECIDING and not (self._catalogue and self.role in self._catalogue.deciding)):
            version = str(self._champion)
        found = self._loaded.get(version)
        if found and not found.backend.healthy():  # a thread of it died: a new one takes its place
            log.warning("model reloaded", role=self.role, version=version)
            await self._retire(version)
        entry = self._loaded.get(version) or await self._load(version)
        self._loaded.move_to_end(version)
        return entry

    async def _load(self, version: str) -> _Entry:
        async with self._locks.setdefault(version, asyncio.Lock()):
            if version in self._loaded:
                return self._loaded[version]
            backend = self._make(self._find(version))
            loop = asyncio.get_running_loop()
            started = loop.time()
            try:
                await asyncio.to_thread(_load_and_test, backend)
            except BaseException:
                await asyncio.shield(asyncio.to_thread(backend.close))
                raise
            log.info("model loaded", role=self.role, version=version, backend=backend.name, seconds=round(loop.time() - started, 2))
            entry = self._loaded[version] = _Entry(backend)
            return entry

    def _find(self, version: str) -> ModelVersion:
        for attempt in (0, 1):
            if self._catalogue is None or attempt:
                self._catalogue = self._read()
            found = self._catalogue.versions.get(self.role, {}).get(version)
            if version == DECIDING:
                found = self._catalogue.deciding.get(self.role)
            if found:
                return found
        known = ", ".join(sorted(self._catalogue.versions.get(self.role, {}))) if self._catalogue else ""
        if not known:
            raise ModelMissing(missing_sentence(self.role), role=self.role)
        raise NotFound(f"There is no version '{version}' of the role {self.role}. Known versions: {known}.", role=self.role)

    async def _evict(self) -> None:
        idle = [v for v, entry in self._loaded.items() if v != self._champion and not entry.users]
        for version in idle[: max(0, len(self._loaded) - self._keep)]:
            await self._retire(version)

    async def _retire(self, version: str) -> None:
        entry = self._loaded.pop(version, None)
        if entry is None:  # another call evicted it meanwhile
            return
        entry.retired = True
        if not entry.users:
            await asyncio.to_thread(entry.backend.close)


def _load_and_test(backend: Backend) -> None:
    backend.load()
    backend.smoke_test()
