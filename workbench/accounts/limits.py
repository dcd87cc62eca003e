"""Limits on sign-in attempts by password, such that a stranger can neither flood the workbench nor lock a person out.

An attempt is refused at once, before any hash is computed, when

1. its address has made ``per_minute`` attempts within a minute, whatever the names;
2. its address has failed ``FAILURES`` times for this name within a quarter of an hour, or once while the name is under
   attack (``ATTACK`` failures within that time from all addresses together).

A device on which the person has signed in before keeps a cookie (:class:`workbench.accounts.sessions.Devices`). Its
attempts for that name are held to ``FAILURES`` of its own and to nothing else, so neither of the two rules above, filled
by a stranger, refuses it. Without the cookie the first attempt from another address always passes. So a stranger who
fails for a name locks out only those who come from the stranger's own address on a device that is new to them; they
sign in by a one-time link (`workbench login`), which these limits do not touch.

IPv6 addresses count by their /64 network, which is what one subscriber has. Counts are kept in memory: the gateway is one
process. On a cluster each replica counts for itself.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from infra.errors import NotSignedIn, WorkbenchError

FAILURES = 5
ATTACK = 20
WINDOW_SECONDS = 900.0
MINUTE = 60.0
MOST_KEYS = 20_000


class TooManyTries(WorkbenchError):
    """Too many sign-in attempts; the details say after how many seconds to try again."""

    code = "too_many_tries"
    status = 429
    retryable = True


class SlidingWindow:
    """When something last happened, by key; what is older than ``seconds`` is forgotten, and of too many keys the oldest."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def wait(self, key: str, allowed: int) -> float | None:
        """Seconds until there is room for one more of ``key``; None where there is room."""
        times = self._recent(key)
        return None if len(times) < allowed else max(1.0, times[-allowed] + self._seconds - self._clock())

    def count(self, key: str) -> int:
        return len(self._recent(key))

    def add(self, key: str) -> None:
        times = self._times.pop(key, None) or deque()
        times.append(self._clock())
        self._times[key] = times  # at the end: keys stand in the order of their last time
        while len(self._times) > MOST_KEYS:
            del self._times[next(iter(self._times))]

    def take_back(self, key: str) -> None:
        """Forget the last one of ``key``."""
        if times := self._times.get(key):
            times.pop()

    def clear(self, key: str) -> None:
        self._times.pop(key, None)

    def _recent(self, key: str) -> deque[float]:
        times = self._times.get(key)
        if times is None:
            return deque()
        while times and times[0] <= self._clock() - self._seconds:
            times.popleft()
        if not times:
            del self._times[key]
        return times


class SignInLimits:
    """The limits of one gateway.

    Args:
        per_minute: attempts that one address may make within a minute.
        clock: tells seconds; tests bring their own.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._attempts = SlidingWindow(MINUTE, clock)
        self._failures = SlidingWindow(WINDOW_SECONDS, clock)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def attempt(self, name: str, address: str, device: str | None = None) -> Iterator[None]:
        """One attempt; the block checks the password.

        It counts as failed from its beginning, so that many at once are no more than the limit; a block that ends well
        clears the count of this address (or device), and one that ends by another error than NotSignedIn is not counted.

        Args:
            name: whose password is tried.
            address: of the client.
            device: id of the device, where it is known for this name.

        Raises:
            TooManyTries: a limit is reached; the block is not entered.
        """
        place = f"device {device}" if device else f"address {network_of(address)}"
        here, everywhere = f"{place} name {name}", f"name {name}"
        with self._lock:
            if device is None:
                self._refuse(self._attempts.wait(place, self._per_minute), "from this address")
                attacked = self._failures.count(everywhere) >= ATTACK
                self._refuse(self._failures.wait(here, 1 if attacked else FAILURES), "for this name from this address")
                self._attempts.add(place)
                self._failures.add(everywhere)
            else:
                self._refuse(self._failures.wait(here, FAILURES), "from this device")
            self._failures.add(here)
        try:
            yield
        except NotSignedIn:
            raise
        except Exception:
            with self._lock:
                self._failures.take_back(here)
                if device is None:
                    self._failures.take_back(everywhere)
            raise
        with self._lock:
            self._failures.clear(here)
            if device is None:
                self._failures.take_back(everywhere)

    @staticmethod
    def _refuse(wait: float | None, where: str) -> None:
        if wait is not None:
            seconds = round(wait)
            told = f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} minutes"
            raise TooManyTries(
                f"Too many sign-in attempts {where}. Try again in {told}, or sign in by a one-time link: `workbench login` prints one.",
                retry_after_seconds=seconds,
            )


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address itself, of an IPv6 address its /64 network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
