"""MLflow's page has a way back to the workbench, and says that telemetry is off where the workbench runs the server."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.settings import load_settings
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
