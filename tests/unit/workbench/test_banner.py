"""What a first start does and says: the scan's report, the link, and then the document, which nobody waits for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.datafolder import DataFolder
from infra.settings import load_settings
from workbench.supervisor.banner import Banner


class Gateway(ThreadingHTTPServer):
    """Answers as the gateway does, by what was put into ``answers``; ``asked`` is what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, str | None]] = []


class Answering(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        server: Gateway = self.server  # type: ignore[assignment]
        self.rfile.read(int(self.headers.get("content-length") or 0))
        server.asked.append((self.command, self.path, self.headers.get("idempotency-key")))
        status, said = server.answers.get(self.path, (404, {"detail": "nothing is there"}))
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    server = Gateway()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def banner_lines(gateway: Gateway, home: Path, *, sample: bool = True) -> list[str]:
    settings = load_settings(home=home)
    DataFolder(settings.home).make().owner_token.write_text("token")
    said: list[str] = []
    supervisor: Any = SimpleNamespace(settings=settings, address=("127.0.0.1", gateway.server_port), link="http://the-link")
    await Banner(said.append, sample=sample)(supervisor)
    return said


async def test_the_document_is_begun_after_the_link_was_said(gateway: Gateway, tmp_path: Path) -> None:
    scan = {"id": "s1", "pipeline": "imaging", "state": "done", "title": "mni152"}
    gateway.answers = {
        "/jobs?limit=1": (200, {"jobs": []}),
        "/imaging/analyze": (202, scan),
        "/mlops/samples/pellworth/analyze": (202, {"id": "c1", "pipeline": "compliance", "state": "queued", "title": "x"}),
    }
    said = await banner_lines(gateway, tmp_path)
    link = next(number for number, line in enumerate(said) if "http://the-link" in line)
    document = next(number for number, line in enumerate(said) if "/compliance?job=c1" in line)
    assert document == link + 1
    assert any("/imaging?job=s1" in line for line in said[:link])
    assert ("POST", "/mlops/samples/pellworth/analyze", "first-document") in gateway.asked


async def test_a_document_that_cannot_be_checked_is_said(gateway: Gateway, tmp_path: Path) -> None:
    gateway.answers = {"/jobs?limit=1": (200, {"jobs": []}), "/mlops/samples/pellworth/analyze": (503, {"detail": "It is still starting."})}
    assert "The sample document could not be checked: It is still starting." in await banner_lines(gateway, tmp_path)


async def test_a_later_start_names_the_latest_job_where_it_is_shown_and_begins_nothing(gateway: Gateway, tmp_path: Path) -> None:
    latest = {"id": "c9", "pipeline": "compliance", "state": "done", "title": "terms.pdf"}
    gateway.answers = {"/jobs?limit=1": (200, {"jobs": [latest]})}
    said = await banner_lines(gateway, tmp_path)
    assert any("terms.pdf, done" in line and line.endswith("/compliance?job=c9") for line in said)
    assert [path for _, path, _ in gateway.asked] == ["/jobs?limit=1"]
    gateway.answers, gateway.asked = {"/jobs?limit=1": (200, {"jobs": []})}, []
    await banner_lines(gateway, tmp_path, sample=False)
    assert [path for _, path, _ in gateway.asked] == ["/jobs?limit=1"]
