"""A Ray cluster of a test's own, with a runner and the trial pipeline on it, in processes that a test may kill.

Run as a module it is the cluster's driver; :class:`Cluster` starts, kills and looks at it from outside.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[3]


class Cluster:
    """A cluster over the settings in ``environment`` (``WORKBENCH_...``), serving ``pipeline`` (``module:ATTRIBUTE``) as "trial"."""

    def __init__(self, environment: dict[str, str], pipeline: str = "tests.integration.pipelines.trial:OLD") -> None:
        self.environment = environment
        self.pipeline = pipeline
        self.process: subprocess.Popen[str] | None = None
        # Short: Ray puts sockets below it, whose paths may have 107 characters.
        self.temporary = Path(tempfile.mkdtemp(prefix="wbp", dir="/tmp"))

    def start(self) -> Cluster:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "RAY_"))}
        environment |= self.environment | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
        self.output = open(self.temporary / "driver.log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.pipelines.cluster", str(self.temporary / "ray"), self.pipeline],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self.output,
            text=True,
        )
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            if line.startswith("ready"):
                return self
            if not line:
                raise RuntimeError(f"the cluster did not start: {(self.temporary / 'driver.log').read_text()[-3000:]}")

    def lines(self, event: str | None = None, **having: Any) -> list[dict[str, Any]]:
        """The JSON log lines of the runner and the stage workers, by time."""
        found = []
        for path in Path(self.environment["WORKBENCH_HOME"], "logs").glob("pipelines-*.log"):
            for text in path.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    line = json.loads(text)
                    if isinstance(line, dict) and (event is None or line.get("event") == event):
                        found.append(line)
        chosen = [line for line in found if all(line.get(key) == value for key, value in having.items())]
        return sorted(chosen, key=lambda line: line.get("timestamp", ""))

    def runner_pid(self) -> int:
        """The process of the newest runner."""
        return int(self.lines("runner ready")[-1]["pid"])

    def kill_runner(self) -> int:
        pid = self.runner_pid()
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill(self) -> None:
        """SIGKILL to every process of the cluster at once."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            tree = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(tree, timeout=10)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.output.close()
        self.process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.temporary, ignore_errors=True)


def until(condition: Any, seconds: float = 60.0, what: str = "it") -> Any:
    """The first true value of ``condition()``; AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


def main(temporary: str, pipeline: str) -> None:
    import ray
    from ray import serve

    from infra.settings import load_settings
    from pipelines.application import compose
    from pipelines.jobs.catalog import Catalog

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        _temp_dir=temporary,
        object_store_memory=100 << 20,
        log_to_driver=False,
        configure_logging=False,
    )
    serve.start(proxy_location="Disabled")
    application = functools.partial(compose, settings=load_settings(), catalog=Catalog({"trial": pipeline}))({})
    serve.run(application, name="trial", route_prefix=None)
    print("ready", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
