"""A whole workbench of its own, for the end-to-end tests and the benchmarks: its data folder, port and processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

WORKBENCH = [sys.executable, "-m", "workbench"]


@dataclass
class RunningWorkbench:
    """Handle on a started workbench.

    Attributes:
        home: its data folder.
        url: where its gateway is.
        mark: value of an environment variable that every one of its processes carries.
        seconds_to_ready: from the start of `workbench up` to the first 200 of /health/ready.
    """

    home: Path
    url: str
    mark: str
    process: subprocess.Popen[bytes]
    log: Path
    seconds_to_ready: float = 0.0

    @property
    def token(self) -> str:
        return (self.home / "owner-token").read_text().strip()

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=120)

    def environment(self) -> dict[str, str]:
        """The environment in which `workbench ...` commands reach this one."""
        return clean_environment() | {"WORKBENCH_URL": self.url, "WORKBENCH_TOKEN": self.token, "WORKBENCH_HOME": str(self.home)}

    def cli(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*WORKBENCH, *arguments], env=self.environment(), capture_output=True, text=True, timeout=timeout, check=False
        )

    def sign_in_link(self) -> str:
        """A fresh one-time link."""
        found = re.search(r"https?://\S+", self.cli("login").stdout)
        assert found, "workbench login printed no link"
        return found.group()

    def processes(self) -> list[psutil.Process]:
        """All its processes: those that carry the mark, and their descendants (Ray's workers write over their environment)."""
        parents: dict[int, list[psutil.Process]] = {}
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                parents.setdefault(process.ppid(), []).append(process)
                if _marked(process, self.mark):
                    found[process.pid] = process
        queue = list(found)
        while queue:
            for child in parents.get(queue.pop(), []):
                if child.pid not in found:
                    found[child.pid] = child
                    queue.append(child.pid)
        return list(found.values())

    def find(self, *words: str) -> list[psutil.Process]:
        """Its processes whose command line has all the words."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if all(word in line for word in words):
                    found.append(process)
        return found

    def memory_mb(self) -> dict[str, float]:
        """Proportional set size in MB by process (what they share is counted once), and their total."""
        table: dict[str, float] = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                name = line[:80] or process.name()
                table[f"{process.pid} {name}"] = process.memory_full_info().pss / 1e6
        table["total"] = sum(table.values())
        return table

    def kill(self) -> None:
        """SIGKILL to every process of it at once; returns when none is left (a killed one takes a moment to give back its memory)."""
        end = time.monotonic() + 30
        while (left := self.processes()) and time.monotonic() < end:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            time.sleep(0.1)
        self.process.wait(30)

    def stop(self) -> None:
        """As a person does it: SIGTERM to `workbench up`; what is left after a minute is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


@contextlib.contextmanager
def running_workbench(home: Path, *, port: int | None = None, sample: bool = False, timeout: float = 240) -> Iterator[RunningWorkbench]:
    """`workbench up` on ``home`` until the block ends.

    Raises:
        RuntimeError: it did not become ready; the message ends with its log.
    """
    workbench = start_workbench(home, port=port, sample=sample, timeout=timeout)
    try:
        yield workbench
    finally:
        workbench.stop()


def start_workbench(home: Path, *, port: int | None = None, sample: bool = False, timeout: float = 240) -> RunningWorkbench:
    """Start one and wait until it is ready; the caller stops it."""
    port = port or free_port()
    mark = uuid.uuid4().hex
    log = home.with_name(home.name + ".log")
    command = [*WORKBENCH, "up", "--home", str(home), "--port", str(port), *([] if sample else ["--no-sample"])]
    began = time.monotonic()
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            env=clean_environment() | {"TEST_WORKBENCH_MARK": mark},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    workbench = RunningWorkbench(home, f"http://127.0.0.1:{port}", mark, process, log)
    while time.monotonic() - began < timeout and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{workbench.url}/health/ready", timeout=5).status_code == 200:
                workbench.seconds_to_ready = time.monotonic() - began
                return workbench
        time.sleep(0.1)
    workbench.stop()
    raise RuntimeError(f"The workbench did not become ready in {timeout:.0f} s:\n{log.read_text(errors='replace')[-4000:]}")


class House:
    """A data folder with a workbench on it that can be stopped, killed and started again at the same address."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.workbench: RunningWorkbench = start_workbench(home)

    def restart(self) -> None:
        self.workbench.stop()
        self.workbench = start_workbench(self.home, port=int(self.workbench.url.rpartition(":")[2]))


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get("TEST_WORKBENCH_MARK") == mark
    except psutil.Error:
        return False
