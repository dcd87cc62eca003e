from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.backends.batching import Batcher


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as found:
        yield found


async def test_what_arrives_while_it_computes_is_computed_together(executor) -> None:
    sizes: list[int] = []
    go_on = threading.Event()

    def compute(items: list[int]) -> list[int]:
        sizes.append(len(items))
        go_on.wait(5)
        return [item * 2 for item in items]

    batcher = Batcher(compute, executor, limit=8)
    tasks = [asyncio.create_task(batcher([n])) for n in range(1)]
    while not sizes:  # noqa: ASYNC110  the batch tells nobody that it began
        await asyncio.sleep(0.001)
    tasks += [asyncio.create_task(batcher([n, n])) for n in range(1, 6)]
    await asyncio.sleep(0.01)
    go_on.set()
    assert await asyncio.gather(*tasks) == [[0], *[[2 * n, 2 * n] for n in range(1, 6)]]
    assert sizes == [1, 8, 2]


async def test_an_error_reaches_every_caller_of_its_batch_and_the_next_batch_works(executor) -> None:
    def compute(items: list[int]) -> list[int]:
        if 13 in items:
            raise ValueError("thirteen")
        return items

    batcher = Batcher(compute, executor)
    with pytest.raises(ValueError, match="thirteen"):
        await batcher([13])
    assert await batcher([1]) == [1]


async def test_a_caller_that_goes_away_costs_nothing(executor) -> None:
    seen: list[int] = []
    hold = threading.Event()

    def compute(items: list[int]) -> list[int]:
        hold.wait(5)
        seen.extend(items)
        return items

    batcher = Batcher(compute, executor)
    first = asyncio.create_task(batcher([1]))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(batcher([2]))
    await asyncio.sleep(0.01)
    second.cancel()
    hold.set()
    assert await first == [1]
    assert await batcher([3]) == [3]
    assert seen == [1, 3]
