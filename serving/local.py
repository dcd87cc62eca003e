"""Roles whose models run in this process: for `workbench analyze` without a workbench, notebooks, tests; and, inside
a Serve replica, the part that is not Ray."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from infra.errors import Unavailable
from infra.settings import Settings
from serving.backends.backend import Backend
from serving.backends.batching import Batcher
from serving.backends.model_cache import ModelCache
from serving.backends.table import make_backend
from serving.registry.champions import read_catalogue, read_champions
from serving.roles import Roles, known_roles
from serving.roles.role import Role

CHUNK = 64
"""Items of a batched role computed at once: a long list is cut, so that a person's one question gets its turn in between."""


class LocalRole:
    """A role in this process, called by the role's own method. Calls take turns; those of a batched role are computed together."""

    def __init__(self, role: Role, cache: ModelCache) -> None:
        self.role, self.cache = role, cache
        self._executor = ThreadPoolExecutor(1, role.name)
        self._batchers: weakref.WeakKeyDictionary[Backend, Batcher[Any, np.ndarray]] = weakref.WeakKeyDictionary()
        setattr(self, role.method, {"single": self.single, "batched": self.batched, "stream": self.stream}[role.kind])

    async def single(self, *arguments: Any, version: str | None = None, **named: Any) -> Any:
        checked = self.role.check(*arguments, **named)
        async with self.cache.use(version) as backend:
            compute = functools.partial(getattr(backend, self.role.method), *checked)
            return self.role.answer(await asyncio.get_running_loop().run_in_executor(self._executor, compute), backend.ref)

    async def batched(self, *arguments: Any, version: str | None = None, **named: Any) -> Any:
        [items] = self.role.check(*arguments, **named)
        async with self.cache.use(version) as backend:
            batcher = self._batchers.get(backend)
            if batcher is None:
                batcher = self._batchers[backend] = Batcher(_weakly(backend, self.role.method), self._executor, limit=CHUNK)
            order = sorted(range(len(items)), key=lambda row: self.role.cost(items[row]))
            rows = np.empty((len(items), self.role.width(backend)), np.float32)
            for start in range(0, len(order), CHUNK):
                chunk = order[start : start + CHUNK]
                rows[chunk] = np.asarray(await batcher([items[row] for row in chunk]))
            return self.role.answer(rows, backend.ref)

    async def stream(self, *arguments: Any, version: str | None = None, **named: Any) -> AsyncIterator[Any]:
        checked = self.role.check(*arguments, **named)
        async with self.cache.use(version) as backend, contextlib.aclosing(getattr(backend, self.role.method)(*checked)) as pieces:
            async for piece in pieces:
                yield piece


def _weakly(backend: Backend, method: str) -> Callable[[list[Any]], Any]:
    """The backend's method, without keeping the backend: it is kept by those who use it, and freed after them."""
    found = weakref.ref(backend)

    def compute(items: list[Any]) -> Any:
        held = found()
        if held is None:
            raise Unavailable("This version of the model was closed. Try again.")
        return getattr(held, method)(items)

    return compute


def local_role(settings: Settings, name: str) -> LocalRole:
    """The role in this process; its model is loaded at the first call."""
    read, make = functools.partial(read_catalogue, settings), functools.partial(make_backend, settings)
    return LocalRole(known_roles()[name], ModelCache(name, read, make, settings.model(name).max_versions))


def local_roles(settings: Settings) -> Roles:
    """Roles whose models are on this machine, each loaded at its first call."""
    return Roles(**{name: local_role(settings, name) for name in read_champions(settings)})
