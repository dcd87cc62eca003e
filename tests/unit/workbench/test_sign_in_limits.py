import asyncio
import contextlib
import threading

import pytest

from infra.errors import NotSignedIn, Unavailable
from workbench.accounts import limits
from workbench.accounts.limits import ATTACK, FAILURES, SignInLimits, SlidingWindow, TooManyTries, network_of
from workbench.accounts.passwords import FOR_KNOWN_DEVICES, WAITING, PasswordThread


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def found(clock):
    return SignInLimits(20, clock=lambda: clock[0])


def fail(found, name, address, device=None):
    with contextlib.suppress(NotSignedIn), found.attempt(name, address, device):
        raise NotSignedIn("wrong")


def succeed(found, name, address, device=None):
    with found.attempt(name, address, device):
        pass


def test_failures_are_limited_by_name_and_address_and_forgotten_with_time(found, clock):
    for _ in range(FAILURES):
        fail(found, "ada", "10.0.0.1")
    with pytest.raises(TooManyTries, match="for this name from this address") as refused:
        succeed(found, "ada", "10.0.0.1")
    assert refused.value.details["retry_after_seconds"] == 900
    succeed(found, "bob", "10.0.0.1")
    clock[0] = 900.1
    succeed(found, "ada", "10.0.0.1")


def test_a_stranger_who_fails_for_a_name_does_not_lock_out_its_person(found):
    """From wherever and however often: the first attempt from the person's own address passes."""
    for number in range(200):
        with contextlib.suppress(TooManyTries):
            fail(found, "ada", f"10.0.{number % 7}.1")
    succeed(found, "ada", "192.0.2.1")


def test_a_known_device_passes_at_the_strangers_own_address(found):
    for _ in range(100):
        with contextlib.suppress(TooManyTries):
            fail(found, "ada", "10.0.0.1")
    with pytest.raises(TooManyTries):
        succeed(found, "ada", "10.0.0.1")
    succeed(found, "ada", "10.0.0.1", "device-1")


def test_a_known_device_has_its_own_limit(found):
    for _ in range(FAILURES):
        fail(found, "ada", "10.0.0.1", "device-1")
    with pytest.raises(TooManyTries, match="from this device"):
        succeed(found, "ada", "10.0.0.1", "device-1")
    succeed(found, "ada", "10.0.0.1", "device-2")
    succeed(found, "ada", "10.0.0.1")


def test_an_address_makes_so_many_attempts_a_minute_whatever_the_names(found, clock):
    for number in range(20):
        succeed(found, f"name{number}", "10.0.0.1")
    with pytest.raises(TooManyTries, match="from this address"):
        succeed(found, "another", "10.0.0.1")
    succeed(found, "another", "10.0.0.2")
    clock[0] = 60.1
    succeed(found, "another", "10.0.0.1")


def test_under_attack_from_many_addresses_each_has_one_attempt(found):
    for number in range(ATTACK):
        fail(found, "ada", f"10.0.0.{number}")
    fail(found, "ada", "10.0.1.1")
    with pytest.raises(TooManyTries):
        succeed(found, "ada", "10.0.1.1")
    succeed(found, "bob", "10.0.1.1")


def test_many_at_once_are_no_more_than_the_limit(found):
    entered = []
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            with contextlib.suppress(TooManyTries):
                stack.enter_context(found.attempt("ada", "10.0.0.1"))
                entered.append(1)
    assert len(entered) == FAILURES


def test_an_attempt_that_could_not_be_checked_does_not_count(found):
    for _ in range(15):
        with contextlib.suppress(Unavailable), found.attempt("ada", "10.0.0.1"):
            raise Unavailable("busy")
    succeed(found, "ada", "10.0.0.1")


def test_a_right_password_clears_the_count(found):
    for _ in range(3):
        for _ in range(FAILURES - 1):
            fail(found, "ada", "10.0.0.1")
        succeed(found, "ada", "10.0.0.1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one_address(address, network):
    assert network_of(address) == network


def test_a_flood_of_names_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(limits, "MOST_KEYS", 100)
    window = SlidingWindow(60, lambda: 0.0)
    for number in range(1000):
        window.add(str(number))
    assert window.count("999") == 1 and window.count("0") == 0
    assert len(window._times) == 100


async def test_beyond_the_queue_a_stranger_is_refused_at_once_and_a_known_device_waits():
    thread, go = PasswordThread(), threading.Event()
    strangers = [asyncio.create_task(thread.run_for_stranger(go.wait)) for _ in range(WAITING)]
    await asyncio.sleep(0)
    refused = [task for task in strangers if task.done() and isinstance(task.exception(), Unavailable)]
    assert len(refused) == FOR_KNOWN_DEVICES
    known = [asyncio.create_task(thread.run(go.wait)) for _ in range(FOR_KNOWN_DEVICES + 1)]
    await asyncio.sleep(0)
    assert known[-1].done() and isinstance(known[-1].exception(), Unavailable)
    go.set()
    assert all(await asyncio.gather(*known[:-1], *(task for task in strangers if task not in refused)))
    assert await thread.run_for_stranger(go.wait)
    thread.close()
