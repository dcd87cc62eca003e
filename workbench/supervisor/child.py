"""A process that the supervisor starts, and that does not outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LARGEST_LOG = 20_000_000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass
class Child:
    """One supervised process.

    Attributes:
        name: for people, and for its log file.
        command: what is run.
        environment: all of its environment.
        log: file that gets its output.
        nice: how much lower than the others' its priority is.
        descriptors: open files it inherits.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    nice: int = 0
    descriptors: tuple[int, ...] = ()
    reads_output: bool = False
    process: asyncio.subprocess.Process | None = field(default=None, init=False)
    started: float = field(default=0.0, init=False)

    async def start(self) -> None:
        """Start it; its output is appended to its log."""
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LARGEST_LOG:
                os.replace(self.log, self.log.with_suffix(".log.1"))
        supervisor = os.getpid()

        def before_exec() -> None:
            # Runs in the child: when the supervisor dies, even by SIGKILL, the kernel asks this process to stop.
            if _libc is not None:
                _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
                if os.getppid() != supervisor:
                    os._exit(1)
            if self.nice:
                os.nice(self.nice)

        # Opened here and not in a thread: it is a local file, and the children are started from this thread alone, since
        # the kernel ties a child's death signal to the thread that made it.
        with open(self.log, "ab") as output:  # noqa: ASYNC230
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self.reads_output else output,
                stderr=output,
                pass_fds=self.descriptors,
                # A group of its own: Ctrl-C at the terminal reaches the supervisor, which stops the children in order.
                start_new_session=True,
                preexec_fn=before_exec,
                umask=0o077,
                limit=1 << 20,
            )
        self.started = time.monotonic()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started

    async def stop(self, *, grace: float) -> None:
        """Ask it to stop; kill its whole group after ``grace`` seconds."""
        if self.process is None:
            return
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), grace)
        self.kill()
        await self.process.wait()

    def kill(self) -> None:
        """Kill its group now."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def ended_how(self) -> str:
        """Why it ended, for a person."""
        code = self.process.returncode if self.process else None
        if code is None:
            return "is running"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"was killed ({signal.Signals(-code).name})"
        return f"ended with code {code}"

    def last_words(self, lines: int = 3) -> str:
        """The end of its log."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, self.log.stat().st_size - 4000))
                return "\n".join(file.read().decode("utf-8", "replace").strip().splitlines()[-lines:])
        except OSError:
            return ""
