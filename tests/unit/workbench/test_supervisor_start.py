"""Ray falls while the start deploys on it: one deployment takes the place of the other, and the workbench becomes ready."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from infra.settings import Settings, load_settings
from workbench.supervisor import supervisor as module
from workbench.supervisor.child import Child
from workbench.supervisor.ports import free_port
from workbench.supervisor.supervisor import Supervisor

PREPARED = """echo '{"step": "prepare", "link": "http://link", "owner": "owner"}'"""
DEPLOYED = """echo '{"step": "deploy"}'"""


class Shells:
    """Children that are shells: Ray's first head lives as long as ``first_head`` says; what was started, in order."""

    def __init__(self, folder: Path, first_head: str, first_bootstrap: str) -> None:
        self.folder, self.first_head, self.first_bootstrap = folder, first_head, first_bootstrap
        self.started: list[str] = []

    def child(self, name: str, script: str) -> Child:
        self.started.append(name)
        log = self.folder / f"{name}.log"
        return Child(name, ["sh", "-c", script], dict(os.environ), log, reads_output=name.startswith("bootstrap"))

    def ray(self, settings: Settings) -> Child:
        return self.child("ray", "sleep 600" if "ray" in self.started else self.first_head)

    def bootstrap(self, settings: Settings, steps: Sequence[str], **how: object) -> Child:
        first = not [name for name in self.started if name.startswith("bootstrap")]
        return self.child(f"bootstrap {','.join(steps)}", self.first_bootstrap if first else DEPLOYED)

    def gateway(self, settings: Settings, descriptor: int) -> Child:
        return self.child("gateway", "sleep 600")


@pytest.mark.parametrize(
    ("first_bootstrap", "deployments"),
    [
        (f"{PREPARED}; sleep 600", ["bootstrap prepare,deploy", "bootstrap deploy"]),  # Ray falls while it deploys
        (f"sleep 1; {PREPARED}; {DEPLOYED}; sleep 600", ["bootstrap prepare,deploy"]),  # ... before it has prepared
    ],
)
def test_a_head_that_falls_during_the_start_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first_bootstrap: str, deployments: list[str]
) -> None:
    shells = Shells(tmp_path, "sleep 0.4; exit 1", first_bootstrap)
    for name, made in (("ray_child", shells.ray), ("bootstrap_child", shells.bootstrap), ("gateway_child", shells.gateway)):
        monkeypatch.setattr(module, name, made)

    async def healthy(*address: object, **how: object) -> tuple[int, dict]:
        return 200, {}

    monkeypatch.setattr(module, "ask", healthy)
    settings = load_settings(home=tmp_path / "home", gateway={"port": free_port()}, mlflow={"start": False})
    lines: list[str] = []

    async def run() -> None:
        supervisor = Supervisor(settings, say=lines.append, banner=lambda one: ready())

        async def ready() -> None:
            await asyncio.to_thread(until, lambda: shells.started.count("ray") == 2)  # on a busy machine the fall is noticed late
            await asyncio.sleep(0.3)
            supervisor._asked_to_stop()

        await asyncio.wait_for(supervisor.run(), 30)

    asyncio.run(run())
    assert [line for line in lines if line.startswith("Ready in")]
    assert [name for name in shells.started if name.startswith("bootstrap") and "register" not in name] == deployments
    assert shells.started.count("ray") == 2
    gateways = 1 if len(deployments) == 1 else 2  # a gateway that knew the fallen Ray is started anew
    assert shells.started.count("gateway") == gateways


async def test_a_killed_child_takes_what_it_had_started_with_it(tmp_path: Path) -> None:
    """MLflow's worker outlived its killed parent, held the port, and every new MLflow ended at once."""
    supervisor = Supervisor(load_settings(home=tmp_path / "home"), say=lambda line: None)
    workers = tmp_path / "workers"
    child = Child("mlflow", ["sh", "-c", f"sleep 600 & echo $! >> {workers}; wait"], dict(os.environ), tmp_path / "mlflow.log")

    def started() -> list[int]:
        return [int(line) for line in workers.read_text().split()] if workers.exists() else []

    supervisor._keep(child, supervisor._child_died)
    await asyncio.to_thread(until, lambda: len(started()) == 1)
    assert child.process is not None
    child.process.kill()
    await asyncio.to_thread(until, lambda: len(started()) == 2)
    await asyncio.to_thread(until, lambda: not alive(started()[0]))
    supervisor._stopping.set()
    child.kill()
    await asyncio.gather(*supervisor._tasks)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
