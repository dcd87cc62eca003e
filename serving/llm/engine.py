"""One thread that runs openvino-genai's continuous batching: it alone adds requests and calls ``step()``."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infra.errors import Unavailable
from infra.telemetry import logger
from serving.roles.llm import WriteOptions

log = logger("serving.llm")

FLUSH_SECONDS = 0.04
"""Tokens of a stream are handed on this often: 25 messages a second read as fluent, one a token would cost a third
of the throughput in messages between processes."""


@dataclass
class Piece:
    """Tokens handed to a stream; ``finish`` is set on the last piece, ``error`` where the engine failed."""

    ids: list[int]
    finish: str | None = None
    error: Exception | None = None


@dataclass
class Request:
    """One stream in the engine. ``pieces`` belongs to the event loop that asked."""

    prompt: Sequence[int]
    options: WriteOptions
    loop: asyncio.AbstractEventLoop
    pieces: asyncio.Queue[Piece] = field(default_factory=asyncio.Queue)
    handle: Any = None
    waiting: list[int] = field(default_factory=list)
    handed: float = 0.0
    cancelled: bool = False

    def hand(self, piece: Piece) -> None:
        try:
            self.loop.call_soon_threadsafe(self.pieces.put_nowait, piece)
        except RuntimeError:  # its loop has ended; so has the reader
            self.cancelled = True


class Engine:
    """Runs a ``ContinuousBatchingPipeline`` until closed.

    Args:
        open_pipeline: makes the pipeline (called in the engine's thread, which owns it).
        configure: options to the runtime's generation config.
    """

    def __init__(self, open_pipeline: Callable[[], Any], configure: Callable[[WriteOptions], Any]) -> None:
        self._open, self._configure = open_pipeline, configure
        self._wake = threading.Condition()
        self._arrived: list[Request] = []
        self._active: list[Request] = []
        self._closing = False
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="llm-engine", daemon=True)

    def start(self) -> None:
        """Open the pipeline; returns when it is ready, or raises what went wrong."""
        self._thread.start()
        self._ready.wait()
        if self._error:
            raise self._error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and self._error is None and not self._closing

    @property
    def active(self) -> int:
        """Streams in work."""
        with self._wake:
            return len(self._active) + len(self._arrived)

    def submit(self, request: Request) -> None:
        """Raises Unavailable where the engine is not running."""
        with self._wake:
            if not self.alive:
                raise Unavailable("The language model has stopped and is being started again. Try again in a moment.")
            self._arrived.append(request)
            self._wake.notify()

    def cancel(self, request: Request) -> None:
        """Free the request's slot before the next step; no piece comes any more."""
        with self._wake:
            request.cancelled = True
            self._wake.notify()

    def close(self) -> None:
        """Stop the thread and free the pipeline; streams in work end with an error."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        pipeline: Any = None
        try:
            pipeline = self._open()
            self._ready.set()
            while self._wait():
                self._admit(pipeline)
                self._drop_cancelled()
                if pipeline.has_non_finished_requests():  # also after the last cancel: the step frees its blocks
                    pipeline.step()
                self._collect()
        except BaseException as error:
            self._error = error
            log.error("language model stopped", error=repr(error))
        finally:
            self._ready.set()
            with self._wake:
                left, self._active, self._arrived = [*self._active, *self._arrived], [], []
            for request in left:
                request.handle = None
                request.hand(Piece([], error=Unavailable("The language model stopped in the middle of its answer. Try again.")))
            del pipeline

    def _wait(self) -> bool:
        """Sleep while there is nothing to do; False ends the thread."""
        with self._wake:
            while not (self._closing or self._arrived or self._active):
                self._wake.wait()
            return not self._closing

    def _admit(self, pipeline: Any) -> None:
        import openvino

        with self._wake:
            arrived, self._arrived = self._arrived, []
        for request in arrived:
            if request.cancelled:
                continue
            self._number += 1
            try:
                ids = openvino.Tensor(np.array([request.prompt], np.int64))
                request.handle = pipeline.add_request(self._number, ids, self._configure(request.options))
            except Exception as error:  # this request's fault; the others go on
                request.hand(Piece([], error=error))
            else:
                self._active.append(request)

    def _drop_cancelled(self) -> None:
        for request in self._active:
            if request.cancelled:
                request.handle.cancel()
                request.handle = None
        with self._wake:
            self._active = [request for request in self._active if request.handle]

    def _collect(self) -> None:
        now = time.monotonic()
        going_on = []
        for request in self._active:
            finish = None
            while request.handle.can_read():
                for output in request.handle.read().values():
                    request.waiting += output.generated_ids
                    reason = output.finish_reason.name
                    finish = {"NONE": None, "LENGTH": "length"}.get(reason, "stop")
            if finish or (request.waiting and now - request.handed >= FLUSH_SECONDS):
                request.hand(Piece(request.waiting, finish))
                request.waiting, request.handed = [], now
            if not finish:
                going_on.append(request)
        with self._wake:
            self._active = going_on
