"""Batching without waiting: what arrives while the model computes is computed together next.

A lone request starts at once (a batching window would only delay it); under load batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Groups concurrent calls of one blocking function.

    Args:
        compute: takes a list of items and gives as many results; runs in ``executor``.
        limit: most items computed at once (a single larger request is not cut here; the backend cuts).
    """

    def __init__(self, compute: Callable[[list[T]], Sequence[R]], executor: Executor, *, limit: int = 64) -> None:
        self._compute, self._executor, self._limit = compute, executor, limit
        self._waiting: deque[tuple[Sequence[T], asyncio.Future[Sequence[R]]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, items: Sequence[T]) -> Sequence[R]:
        """Results for ``items``, in their order. An error of the function reaches every caller whose batch it was."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[R]] = loop.create_future()
        self._waiting.append((items, future))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch: list[tuple[Sequence[T], asyncio.Future[Sequence[R]]]] = []
            size = 0
            while self._waiting and (not batch or size + len(self._waiting[0][0]) <= self._limit):
                items, future = self._waiting.popleft()
                if future.done():  # its caller went away
                    continue
                batch.append((items, future))
                size += len(items)
            if not batch:
                continue
            try:
                results = await loop.run_in_executor(self._executor, self._compute, [item for items, _ in batch for item in items])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            start = 0
            for items, future in batch:
                if not future.done():
                    future.set_result(results[start : start + len(items)])
                start += len(items)
