"""Passwords: argon2id hashes, computed in a thread of their own with a bounded queue."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from infra.errors import InvalidInput, Unavailable

SHORTEST = 10
LONGEST = 1024
WAITING = 8
FOR_KNOWN_DEVICES = 4

P = ParamSpec("P")
Result = TypeVar("Result")

_hasher = PasswordHasher()


@functools.cache
def _nobodys() -> str:
    """A hash to verify where there is no such user, so that a stranger cannot tell by the clock which names exist."""
    return _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """The argon2id hash to keep.

    Raises:
        InvalidInput: too short, or absurdly long.
    """
    if len(password) < SHORTEST:
        raise InvalidInput(f"Passwords must have at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise InvalidInput(f"Passwords can have at most {LONGEST} characters.")
    return _hasher.hash(password)


def verify_password(password: str, stored: str | None) -> bool:
    """Whether ``password`` is the one behind ``stored``; takes as long where nothing is stored."""
    try:
        _hasher.verify(stored or _nobodys(), password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


class PasswordThread:
    """One thread in which everything runs that computes a hash.

    A hash takes 64 MB and all processors for a moment. In the pool that all requests share, a flood of sign-ins would leave
    no thread for anything else; here at most ``WAITING`` wait, and more are refused at once.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0
        self._lock = threading.Lock()

    async def run(self, function: Callable[P, Result], *args: P.args, **named: P.kwargs) -> Result:
        """``function`` of the arguments, in the thread. Places that strangers fill leave some to people who are known.

        Raises:
            Unavailable: too many wait already.
        """
        return await self._run(functools.partial(function, *args, **named), WAITING)

    async def run_for_stranger(self, function: Callable[P, Result], *args: P.args, **named: P.kwargs) -> Result:
        """The same for somebody who is not known yet, who gets no more than the places that are not kept for others."""
        return await self._run(functools.partial(function, *args, **named), WAITING - FOR_KNOWN_DEVICES)

    async def _run(self, function: Callable[[], Result], places: int) -> Result:
        with self._lock:
            if self._waiting >= places:
                raise Unavailable("Too many sign-ins at the moment. Try again in a few seconds.", retry_after_seconds=5)
            self._waiting += 1
        future = self._executor.submit(function)
        # Counted until it has run: a client that goes away leaves its work in the thread.
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def _done(self, _: object) -> None:
        with self._lock:
            self._waiting -= 1

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
