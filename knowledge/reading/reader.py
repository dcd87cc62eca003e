"""Read a document in a process of its own, and watch it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.confined import command, environment
from infra.errors import CorruptFile, NotFound, TooLarge, UnsupportedFormat, WorkbenchError, from_dict
from infra.telemetry import logger
from knowledge.reading.child import command_options
from knowledge.reading.document import Document, Limits, Page, with_paths
from knowledge.reading.language import detect_language

log = logger(__name__)
ATTEMPTS = 3
TICK = 0.05

Watcher = Callable[[int, int, str], None]
"""Called with (page, pages, what is done: reading or recognising)."""


def read_document(
    path: Path | str, limits: Limits | None = None, *, name: str | None = None, on_progress: Watcher | None = None
) -> Document:
    """Read a PDF, DOCX, HTML, Markdown, text or CSV file; its type is found by its content.

    Blocks until the file is read (run it in a thread from async code). The file's content is parsed in a child process
    with limits on time, memory and output; a page that hangs or crashes it is left out with a warning.

    Args:
        path: the file.
        limits: what it may cost.
        name: what the document is called; by default the file's name.
        on_progress: told where the reader is.

    Raises:
        NotFound: no such file.
        UnsupportedFormat: a kind of file that is not read; the message says which it is.
        PasswordProtected: encrypted.
        CorruptFile: empty or broken.
        TooLarge: beyond a limit.
    """
    path, limits = Path(path).absolute(), limits or Limits()
    if not path.exists():
        raise NotFound(f"File not found: {path}.")
    if not path.is_file():
        raise UnsupportedFormat(f"{path.name} is not a file.")
    size = path.stat().st_size
    if size == 0:
        raise CorruptFile("The file is empty.")
    if size > limits.max_file_mb << 20:
        raise TooLarge(f"The file has {size >> 20} MB; at most {limits.max_file_mb} MB are read. Split it and upload the parts.")
    skip: set[int] = set()
    for attempt in range(ATTEMPTS):
        try:
            data = _Child(path, limits, frozenset(skip), on_progress).run()
            return _document(data, name or path.name)
        except _Stuck as stuck:
            log.warning("reader stopped", page=stuck.page, why=stuck.why, attempt=attempt)
            if not stuck.page or stuck.page in skip or attempt == ATTEMPTS - 1:
                raise stuck.error from None
            skip.add(stuck.page)
    raise AssertionError("unreachable")


class _Stuck(Exception):
    """The child hung, grew too large or crashed, at ``page`` (0: before the first)."""

    def __init__(self, page: int, why: str, error: WorkbenchError) -> None:
        super().__init__(why)
        self.page, self.why, self.error = page, why, error


class _Child:
    def __init__(self, path: Path, limits: Limits, skip: frozenset[int], on_progress: Watcher | None) -> None:
        self.path, self.limits, self.skip, self.on_progress = path, limits, skip, on_progress
        self.page, self.doing = 0, "opening"

    def run(self) -> dict[str, Any]:
        """The child's answer.

        Raises:
            WorkbenchError: its refusal.
            _Stuck: it had to be stopped, or died.
        """
        with tempfile.TemporaryDirectory(prefix="reading-") as folder, tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(
                command("knowledge.reading.child:main", str(self.path), command_options(self.limits, self.skip)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=environment(folder),
                start_new_session=True,
            )
            try:
                return self._watch(child)
            except _Stuck:
                errors.seek(0)
                log.info("reader's last words", text=errors.read()[-500:].decode("utf-8", "replace"))
                raise
            finally:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                child.wait()
                if child.stdout:
                    child.stdout.close()

    def _watch(self, child: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert child.stdout is not None
        descriptor = child.stdout.fileno()
        os.set_blocking(descriptor, False)
        allowance = 64 * self.limits.max_characters + (1 << 20)
        pending, received = bytearray(), 0
        started_cpu, started = 0.0, time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while True:
                if selector.select(TICK):
                    piece = os.read(descriptor, 1 << 20)
                    if not piece:
                        break
                    received += len(piece)
                    if received > allowance:
                        raise self._stuck(
                            "output", TooLarge("The document expands to more text than the limit. Split it and upload the parts.")
                        )
                    pending += piece
                    while (end := pending.find(b"\n")) >= 0:
                        message = json.loads(pending[:end])
                        del pending[: end + 1]
                        if "document" in message:
                            return message["document"]
                        if "error" in message:
                            raise from_dict(message["error"])
                        self._progress(message["progress"])
                        started_cpu, started = _usage(child.pid)[0], time.monotonic()
                cpu, memory_mb = _usage(child.pid)
                if memory_mb > self.limits.max_memory_mb:
                    raise self._stuck("memory", TooLarge(f"Reading the document needs more than {self.limits.max_memory_mb} MB of memory."))
                patience = self.limits.ocr_seconds if self.doing == "recognising" else self.limits.stall_cpu_seconds
                if cpu - started_cpu > patience or time.monotonic() - started > self.limits.stall_wall_seconds:
                    raise self._stuck("time", TooLarge("Reading the document timed out; it may be damaged."))
        status = child.wait()
        raise self._stuck(f"ended with {status}", CorruptFile("The document is damaged: reading it failed."))

    def _progress(self, message: list[Any]) -> None:
        self.page, count, self.doing = int(message[0]), int(message[1]), str(message[2])
        if self.on_progress and self.page:
            self.on_progress(self.page, count, self.doing)

    def _stuck(self, why: str, error: WorkbenchError) -> _Stuck:
        return _Stuck(self.page, why, error)


def _usage(pid: int) -> tuple[float, float]:
    """Processor seconds and resident megabytes of a process; zeros where the system does not tell (then the clock decides)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except (OSError, IndexError, ValueError):
        return 0.0, 0.0


def _document(data: dict[str, Any], name: str) -> Document:
    pages = tuple(Page(p["number"], p["start"], p["text"], p["recognised"]) for p in data["pages"])
    document = Document(name, data["media_type"], pages, (), data["paged"], data["title"], None, data["metadata"], tuple(data["warnings"]))
    text = document.text
    return replace(
        document,
        blocks=with_paths(data["blocks"], text, dict(data["cells"])),
        language=detect_language(text),
        left_out=tuple(data["left_out"]),
    )
