"""Passwords: argon2id hashes, one computed at a time, and a limit on tries."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from infra.errors import InvalidInput, WorkbenchError

SHORTEST = 10
LONGEST = 1024

_hasher = PasswordHasher()
# One hash takes 64 MB while it is computed: a flood of sign-ins must not take a gigabyte.
_one_at_a_time = threading.Lock()


@functools.cache
def _nobodys() -> str:
    """A hash to verify where there is no such user, so that a stranger cannot tell by the clock which names exist."""
    return _hasher.hash("nobody has this password")


class TooManyTries(WorkbenchError):
    """Too many wrong passwords; the details say after how many seconds to try again."""

    code = "too_many_tries"
    status = 429
    retryable = True


def hash_password(password: str) -> str:
    """The argon2id hash to keep.

    Raises:
        InvalidInput: too short, or absurdly long.
    """
    if len(password) < SHORTEST:
        raise InvalidInput(f"A password needs at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise InvalidInput(f"A password may have at most {LONGEST} characters.")
    with _one_at_a_time:
        return _hasher.hash(password)


def verify_password(password: str, stored: str | None) -> bool:
    """Whether ``password`` is the one behind ``stored``; takes as long where nothing is stored."""
    with _one_at_a_time:
        try:
            _hasher.verify(stored or _nobodys(), password[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


class Throttle:
    """A limit on failures by key within a sliding window (kept in memory: the gateway is one process).

    Args:
        failures: how many are forgiven within the window.
        seconds: length of the window.
        clock: tells seconds; tests bring their own.
    """

    def __init__(self, *, failures: int = 5, seconds: float = 900, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = failures
        self._seconds = seconds
        self._clock = clock
        self._failed: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def check(self, *keys: str) -> None:
        """Raises TooManyTries where one of the keys has failed too often of late."""
        with self._lock:
            now = self._clock()
            for key in keys:
                times = self._recent(key, now)
                if len(times) >= self._allowed:
                    wait = max(1, round(times[0] + self._seconds - now))
                    raise TooManyTries(
                        f"Too many wrong passwords. Try again in {max(1, round(wait / 60))} minutes, or use `workbench login`.",
                        retry_after_seconds=wait,
                    )

    def failed(self, *keys: str) -> None:
        with self._lock:
            now = self._clock()
            if len(self._failed) > 10_000:  # a flood of names must not fill the memory
                for stale in [key for key in self._failed if not self._recent(key, now)]:
                    del self._failed[stale]
            for key in keys:
                self._failed[key].append(now)

    def succeeded(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)

    def _recent(self, key: str, now: float) -> deque[float]:
        times = self._failed.get(key) or deque()
        while times and times[0] <= now - self._seconds:
            times.popleft()
        return times
