"""MLflow's page has a way back to the workbench, and says that telemetry is off where the workbench runs the server."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from infra.database.tables import User
from infra.settings import load_settings
from serving.mlflow_server import MlflowServer
from workbench.api import mlflow_proxy
from workbench.api.identity import require_user
from workbench.api.mlflow_proxy import with_bar
from workbench.supervisor.commands import environment

PAGE = (Path(find_spec("mlflow").origin).parent / "server" / "js" / "build" / "index.html").read_bytes()


@pytest.mark.parametrize("own", [True, False])
def test_the_installed_mlflow_page_gets_the_bar(own: bool) -> None:
    page = with_bar(PAGE, own=own).decode()
    assert '<a href="/">← Workbench</a>' in page and page.index("workbench-bar") < page.index('id="root"')
    assert ("telemetry is off" in page) is own
    assert "<script" not in page.partition("<body>")[2].partition("</nav>")[0]  # its content security policy allows none inline


def test_another_page_passes_unchanged() -> None:
    assert with_bar(b"<p>no body", own=True) == b"<p>no body"


def test_the_servers_environment_turns_its_telemetry_off(tmp_path: Path) -> None:
    variables = environment(load_settings(home=tmp_path / "home"))
    assert variables["MLFLOW_DISABLE_TELEMETRY"] == "true" and variables["DO_NOT_TRACK"] == "1"


def test_the_page_comes_whole_whatever_the_browser_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=PAGE, headers={"content-type": "text/html; charset=utf-8", "etag": "x"})

    class Server(MlflowServer):
        def client(self, *, seconds: float = 10.0) -> httpx.AsyncClient:
            return httpx.AsyncClient(base_url=self.url, transport=httpx.MockTransport(answer))

    monkeypatch.setattr(mlflow_proxy, "find_server", lambda settings: Server("http://localhost/mlflow", tmp_path))
    app = FastAPI()
    app.dependency_overrides[require_user] = lambda: User(name="ada", role="member")
    app.include_router(mlflow_proxy.MlflowProxy(SimpleNamespace(settings=load_settings(home=tmp_path / "home"))).routes())
    page = TestClient(app).get("/mlflow/", headers={"if-none-match": "x", "accept-encoding": "gzip"})
    assert page.status_code == 200 and "← Workbench" in page.text and 'id="root"' in page.text
    assert int(page.headers["content-length"]) == len(page.content) and "etag" not in page.headers
    assert "if-none-match" not in asked[0].headers and asked[0].headers["accept-encoding"] == "identity"
