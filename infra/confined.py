"""Processes that parse what strangers sent: whatever a file does to a parser, it does it to such a process only.

A confined process starts isolated from this one (an empty folder, hardly any environment), and first of all limits its own
memory, processor time and files, by limits that the kernel holds (:func:`confine`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.errors import Timeout

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    """How a confined process ended: its exit status (negative: the signal that ended it) and what it wrote."""

    status: int
    output: bytes
    errors: bytes


def command(entry: str, *arguments: str) -> list[str]:
    """The command of a process that calls ``entry``, ``module:function``, which finds the arguments in ``sys.argv``."""
    module, _, function = entry.partition(":")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from {module} import {function}; {function}()"
    return [sys.executable, "-I", "-B", "-c", code, *arguments]


def environment(folder: str) -> dict[str, str]:
    """All variables that the process gets; ``folder`` is its working folder, its home and its place for temporary files."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder, "MALLOC_ARENA_MAX": "2"}


def run_confined(entry: str, *arguments: str, seconds: float, given: bytes = b"") -> Done:
    """Run ``entry`` to its end, with ``given`` on its standard input. Blocks. The process calls :func:`confine` itself.

    Raises:
        Timeout: it takes longer than ``seconds``, and was killed.
    """
    with tempfile.TemporaryDirectory(prefix="confined-") as folder:
        try:
            done = subprocess.run(
                command(entry, *arguments),
                input=given,
                capture_output=True,
                timeout=seconds,
                cwd=folder,
                env=environment(folder),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Timeout(f"It takes longer than {seconds:.0f} seconds.") from error
    return Done(done.returncode, done.stdout, done.stderr)


def confine(*, memory_mb: int, seconds: float, most_memory_mb: int | None = None, written_mb: int = 0) -> None:
    """Limit this process. Where the system knows no such limits, nothing happens.

    Args:
        memory_mb: private memory.
        seconds: processor time.
        most_memory_mb: to how much :func:`raise_memory` may raise the memory; by default no further.
        written_mb: largest file it may write; 0 is none.
    """
    try:
        import resource
    except ImportError:
        return
    memory, most = memory_mb << 20, (most_memory_mb or memory_mb) << 20
    wanted = [
        ("RLIMIT_DATA", memory, most),
        ("RLIMIT_FSIZE", written_mb << 20, written_mb << 20),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_CPU", int(seconds), int(seconds)),
    ]
    for name, soft, hard in wanted:
        if (number := getattr(resource, name, None)) is not None:
            ceiling = resource.getrlimit(number)[1]
            if ceiling != resource.RLIM_INFINITY:
                soft, hard = min(soft, ceiling), min(hard, ceiling)
            resource.setrlimit(number, (soft, hard))


def raise_memory() -> None:
    """Take all the memory that :func:`confine` left room for."""
    try:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    except (ImportError, ValueError, OSError):
        return
