"""Work that nobody waits for: one at a time, each key once while it is under way, and an error is no end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from infra.telemetry import correlated, correlation_id
from workbench.services.background import Background


@pytest.fixture
def background() -> Iterator[Background]:
    background = Background()
    yield background
    background.close()


def test_what_is_under_way_is_not_begun_again_and_what_has_ended_is(background: Background) -> None:
    began, go, done = threading.Event(), threading.Event(), []

    def work() -> None:
        began.set()
        go.wait(10)
        done.append(correlation_id())

    with correlated("request-1"):
        background.begin("a", work)
    background.begin("a", work)
    assert began.wait(10)
    background.begin("b", lambda: done.append("b"))
    assert done == [], "the second waits for the first"
    go.set()
    until_it_runs(background, "c")
    assert done == ["request-1", "b"]
    until_it_runs(background, "b")


def test_work_that_fails_leaves_the_next_alone_and_may_be_begun_again(background: Background) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    background.begin("a", fail)
    until_it_runs(background, "b")
    until_it_runs(background, "a")


def test_close_waits_for_what_runs_and_forgets_what_waits(background: Background) -> None:
    began, done = threading.Event(), []

    def work() -> None:
        began.set()
        time.sleep(0.1)
        done.append("a")

    background.begin("a", work)
    background.begin("b", lambda: done.append("b"))
    assert began.wait(10)
    background.close()
    assert done == ["a"]


def until_it_runs(background: Background, key: str) -> None:
    """Begin work of this key until it has run: its last turn may be about to end."""
    ran = threading.Event()
    for _ in range(200):
        background.begin(key, ran.set)
        if ran.wait(0.05):
            return
    raise AssertionError(f"{key} was never begun")
