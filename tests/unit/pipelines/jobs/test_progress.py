"""Progress that a stage tells a thousand times becomes a few rows, and never its failure."""

import asyncio
import threading

import pipelines.jobs.progress
from pipelines.jobs.progress import reporting


async def test_many_words_from_threads_become_few_rows_and_the_latest_counts(monkeypatch):
    monkeypatch.setattr(pipelines.jobs.progress, "INTERVAL_SECONDS", 0.05)
    rows = []

    async def write(fraction, message):
        rows.append((fraction, message))

    def work(progress):
        for i in range(1000):
            progress(i / 999, "at work")

    async with reporting(write) as progress:
        thread = threading.Thread(target=work, args=(progress,))
        thread.start()
        await asyncio.sleep(0.2)
        progress(2.0, "beyond")
        await asyncio.sleep(0.2)
        thread.join()
    assert 1 <= len(rows) <= 8 and rows[-1] == (1.0, "beyond")


async def test_what_is_not_new_is_not_written(monkeypatch):
    monkeypatch.setattr(pipelines.jobs.progress, "INTERVAL_SECONDS", 0.01)
    rows = []

    async def write(fraction, message):
        rows.append(fraction)

    async with reporting(write) as progress:
        for fraction in (0.5, 0.501, 0.502):
            progress(fraction, "the same")
            await asyncio.sleep(0.03)
    assert rows == [0.5]


async def test_a_database_that_is_away_does_not_reach_the_stage(monkeypatch):
    monkeypatch.setattr(pipelines.jobs.progress, "INTERVAL_SECONDS", 0.01)

    async def write(fraction, message):
        raise OSError("away")

    async with reporting(write) as progress:
        progress(0.5, "at work")
        await asyncio.sleep(0.05)
