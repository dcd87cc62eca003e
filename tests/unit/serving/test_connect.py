"""connect() on a machine where a workbench runs: through its gateway, without importing Ray."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.datafolder import DataFolder, Running
from infra.settings import load_settings
from serving import connect
from tests.running import clean_environment, free_port

PROGRAM = "import sys; from serving import connect; print(connect(), 'ray' in sys.modules)"


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def gateway() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_running_workbench_is_reached_through_its_gateway(tmp_path: Path, gateway: str) -> None:
    folder = DataFolder(tmp_path / "home")
    with folder.lock():
        folder.write_running(Running(1, gateway, "127.0.0.1:1", None, "now"))
        environment = clean_environment() | {"WORKBENCH_HOME": str(folder.home)}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120)
    assert f"through the gateway at {gateway}> False" in done.stdout, done.stderr


def test_ray_is_joined_while_the_gateway_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[str] = []
    monkeypatch.setattr(sys.modules["serving.connect"], "_over_ray", lambda address, settings, own: joined.append(address))
    folder = DataFolder(tmp_path / "home")
    with folder.lock():
        folder.write_running(Running(1, f"http://127.0.0.1:{free_port()}", "127.0.0.1:1", None, "now"))
        connect(settings=load_settings(home=folder.home))
    assert joined == ["127.0.0.1:1"]
