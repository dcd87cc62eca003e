"""Which processes belong to a workbench, and what memory they take (Linux: from ``/proc``).

Every child carries the data folder's path in its environment, and hands it down: so Ray's workers are still found when
their parents were killed, and nobody else's processes ever are.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Not WORKBENCH_...: those are settings, and unknown ones are refused.
MARK = "SUPERVISED_DATA_FOLDER"


@dataclass(frozen=True)
class Process:
    """A running process: its id, what it is (for a person), and its proportional set size in MB (None if unreadable)."""

    pid: int
    name: str
    pss_mb: float | None


def marked(home: Path) -> list[int]:
    """Ids of the processes that carry the data folder's mark, and of their descendants (some of Ray's write over their
    environment with their title); this process excepted."""
    wanted = f"{MARK}={home.resolve()}".encode()
    parents: dict[int, list[int]] = {}
    queue = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in ("Z", "X"):
                parents.setdefault(int(parent), []).append(int(folder.name))
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    queue.append(int(folder.name))
    found: set[int] = set()
    while queue:
        if (pid := queue.pop()) not in found:
            found.add(pid)
            queue += parents.get(pid, [])
    return sorted(found - {os.getpid()})


def measure(pids: list[int]) -> list[Process]:
    """The processes with their memory, largest first."""
    found = [Process(pid, name_of(pid), _pss_mb(pid)) for pid in pids]
    return sorted(found, key=lambda process: -(process.pss_mb or 0))


def end_marked(home: Path, *, grace: float = 3.0, say: Callable[[str], None] | None = None) -> int:
    """Stop what an earlier workbench on this folder has left behind; how many processes that were.

    They are asked first (SIGTERM) and killed after ``grace`` seconds.
    """
    left = marked(home)
    if left and say:
        say(f"Stopping {len(left)} processes left over from an earlier workbench")
    count = len(left)
    for kind, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, kind)
        until = time.monotonic() + wait
        while left and time.monotonic() < until:
            time.sleep(0.05)
            left = marked(home)
        if not left:
            break
    return count


def listening(pids: list[int]) -> list[tuple[int, str, int]]:
    """Process id, address and port of each TCP socket on which one of the processes listens (Linux: from ``/proc``)."""
    by_inode: dict[str, int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for descriptor in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    by_inode[os.readlink(descriptor.path)] = pid
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                pid = by_inode.get(f"socket:[{columns[9]}]")
                if columns[3] == "0A" and pid is not None:
                    host, _, port = columns[1].rpartition(":")
                    found.add((pid, _address(host), int(port, 16)))
    return sorted(found)


def _address(digits: str) -> str:
    """An address as ``/proc/net/tcp`` writes it: hexadecimal, in words of the machine's order of bytes."""
    words = [int(digits[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(digits), 8)]
    parsed = ipaddress.ip_address(b"".join(words))
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def name_of(pid: int) -> str:
    """What a process is, for a person."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return "?"
    if words[0].startswith("ray::"):
        return words[0]
    known = {
        "workbench.gateway_process": "gateway",
        "workbench.supervisor.bootstrap": "bootstrap",
        "mlflow": "mlflow",
        "gcs_server": "ray: gcs_server",
        "raylet": "ray: raylet",
        "dashboard/agent.py": "ray: dashboard agent",
        "runtime_env/agent/main.py": "ray: runtime_env agent",
        "dashboard/dashboard.py": "ray: dashboard",
        "monitor.py": "ray: monitor",
        "workbench": "workbench",
    }
    for word in words[:6]:
        for key, name in known.items():
            if word.endswith(key) or f"/{key}" in word:
                return name
    return " ".join(words)[:60].strip()


def _pss_mb(pid: int) -> float | None:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        return None
    return None
