"""Work of this process that nobody waits for: begun by who first asks for its outcome, which lies elsewhere when it ends."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from infra.telemetry import logger

log = logger(__name__)


class Background:
    """One thread, one piece of work after the other: what runs here is heavy, and memory is the machine's bottleneck.

    The work itself leaves its outcome where it can be looked up; a key only keeps what is under way from being begun again.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")
        self._going: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, key: str, work: Callable[[], None]) -> None:
        """Have ``work`` done soon, unless work of this key waits or runs. What it raises is logged."""
        with self._lock:
            if key in self._going:
                return
            going = self._pool.submit(contextvars.copy_context().run, work)  # its lines in the log carry the request's id
            self._going.add(key)
        going.add_done_callback(lambda ended: self._ended(key, ended))

    def close(self) -> None:
        """Wait for what runs, and forget what waits: whoever asks for it later begins it anew."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ended(self, key: str, ended: Future[None]) -> None:
        with self._lock:
            self._going.discard(key)
        if not ended.cancelled() and (error := ended.exception()):
            log.error("work in the background failed", key=key, exc_info=error)
