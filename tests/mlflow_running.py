"""A real MLflow server on a data folder, started as the supervisor starts it, for tests without a whole workbench."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from infra.datafolder import DataFolder, Running
from infra.settings import Settings
from serving.mlflow_server import MlflowServer, find_server
from workbench.supervisor.commands import mlflow_child

START_SECONDS = 120


@contextlib.contextmanager
def mlflow_running(settings: Settings, *, folder: Path | None = None) -> Iterator[MlflowServer]:
    """The data folder is owned, and its note names the server, as long as the block runs.

    Args:
        folder: where the server's process works; by default the data folder.
    """
    house = DataFolder(settings.home)
    with house.lock():
        place = house.socket_path("mlflow")
        child = mlflow_child(settings, place)
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with open(child.log, "ab") as log:
            process = subprocess.Popen(
                list(child.command),
                env=dict(child.environment),
                stdout=log,
                stderr=log,
                cwd=folder or settings.home,
                start_new_session=True,
            )
        house.write_running(Running(os.getpid(), settings.url, None, str(place), "2026-01-01"))
        try:
            found = find_server(settings)
            assert found is not None
            _wait(found, process, child.log)
            yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(server: MlflowServer, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    with blocking(server) as client:
        while time.monotonic() < end:
            if process.poll() is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if client.get("/health").status_code == 200:
                    return
            time.sleep(0.2)
    raise AssertionError(f"MLflow's server did not start:\n{log.read_text()[-2000:]}")


def blocking(server: MlflowServer) -> httpx.Client:
    """A blocking client of the server itself, past the gateway."""
    return httpx.Client(
        base_url=server.url, transport=httpx.HTTPTransport(uds=str(server.socket)) if server.socket else None, trust_env=False, timeout=60
    )
