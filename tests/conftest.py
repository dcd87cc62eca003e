"""What every test gets: its own data folder, marks by path, and a report of what could not be run here."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from infra.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("WORKBENCH_DATA", ROOT.parent / "shared" / "data"))


def pytest_report_header() -> str:
    names = ("ray", "gradio", "torch", "openvino", "openvino-genai", "mlflow", "dbos", "monai")
    return f"python {platform.python_version()}, {os.cpu_count()} CPUs, " + ", ".join(f"{name} {version(name)}" for name in names)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Fast ones first, the browser last: what is broken shows early.
    order = {"unit": 0, "integration": 1, "e2e": 2}
    for item in items:
        kind = item.path.relative_to(ROOT / "tests").parts[0]
        if kind in order:
            item.add_marker(kind)
    items.sort(key=lambda item: order.get(item.path.relative_to(ROOT / "tests").parts[0], 3))


def pytest_terminal_summary(terminalreporter) -> None:
    """Name what this machine could not run: a skip is never silent."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped if isinstance(report.longrepr, tuple)})
    if reasons:
        terminalreporter.section("not run on this machine")
        for reason in reasons:
            terminalreporter.line(f"  {reason}")


@pytest.fixture(autouse=True)
def _own_house(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or touches the user's data folder, workbench or token."""
    for name in list(os.environ):
        if name.startswith("WORKBENCH_") and name not in ("WORKBENCH_DATA", "WORKBENCH_OPENSEARCH_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("home")))
    # Nothing answers at this address: a test that looks for a running workbench finds none.
    monkeypatch.setenv("WORKBENCH_GATEWAY__PORT", "9")


@pytest.fixture
def settings() -> Settings:
    """Default settings over this test's own data folder."""
    return load_settings()


@pytest.fixture(scope="session")
def data() -> Path:
    """The development data (real scans and documents); tests that want it skip where it is not."""
    if not DATA.is_dir():
        pytest.skip("development data (../shared/data or WORKBENCH_DATA): not on this machine")
    return DATA


pytest_plugins = ["tests.services"]
