"""Asking over HTTP and by the command: citations that stand there, the history, feedback, rights, MLflow's trace."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from infra.database.tables_questions import RagResponse
from pipelines.index_service.local import LocalIndexService
from pipelines.ingestion import open_knowledge
from pipelines.questions import NOT_HERE, answering
from pipelines.questions.client import ask
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.unit.pipelines.questions.conftest import SharedStems, calibration
from workbench.cli import app

HEART = "Hearts\n\nThe heart pumps blood through the body. Aspirin thins the blood and prevents clots in the arteries.\n"
THINS = "Does aspirin thin the blood and prevent clots?"
calibrated = calibration


@pytest.fixture
def house(running, tmp_path: Path, monkeypatch, calibrated):
    """A gateway with a collection, made by the library itself; ``heart.txt`` is its document."""
    monkeypatch.setattr(answering, "shipped", lambda: calibrated)
    services = running.services
    roles = Roles(embedding=WordsEmbedding(), entailment=SharedStems())
    (tmp_path / "heart.txt").write_text(HEART)
    with open_knowledge(services.settings, roles=roles) as knowledge:
        knowledge.add([tmp_path / "heart.txt"], "notes")
        found = ask(THINS, "notes", knowledge=knowledge)
        assert found.sentences[0].text == "Aspirin thins the blood and prevents clots in the arteries."
    services.connected = roles
    services.index_client = LocalIndexService(services.settings, services.database, services.store, roles)
    yield running
    asyncio.run(services.index_client.close())


def events_of(text: str) -> list[tuple[str, dict]]:
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_ask_cites_what_stands_there_and_keeps_it(house):
    with house.client() as client:
        said = client.post("/mlops/query", json={"question": THINS, "collections": ["notes"]}).json()
        cited = said["sentences"][0]["passages"][0]
        assert cited["text"] == HEART[cited["start"] : cited["end"]] and not said["abstained"]
        place = f"/mlops/kb/notes/documents/{cited['document']}/text"
        assert cited["text"] in client.get(place).json()["pages"][0]["text"]
        streamed = client.post(
            "/mlops/query",
            json={"question": "And the heart?", "conversation": said["conversation"]},
            headers={"Accept": "text/event-stream"},
        )
        assert streamed.headers["content-type"].startswith("text/event-stream")
        names = [name for name, _ in events_of(streamed.text)]
        assert names[0] == "passages" and names[-1] == "answer" and set(names[1:-1]) <= {"sentence"}
        assert events_of(streamed.text)[0][1]["asked"] == f"{THINS} And the heart?"
        nothing = client.post("/mlops/query", json={"question": "Which dividend was declared in Toronto?", "collections": ["notes"]}).json()
        assert nothing["abstained"] and nothing["answer"] == NOT_HERE and nothing["passages"]
        # the history: found by what was asked and by what was answered
        listed = client.get("/mlops/history", params={"containing": "toronto"}).json()["conversations"]
        assert [one["id"] for one in listed] == [nothing["conversation"]]
        shown = client.get(f"/mlops/history/{said['conversation']}").json()
        assert [turn["question"] for turn in shown["turns"]] == [THINS, "And the heart?"]
        assert client.post(f"/mlops/query/{said['id']}/feedback", json={"value": -1, "comment": "no"}).status_code == 204
        assert client.get(f"/mlops/history/{said['conversation']}").json()["turns"][0]["feedback"] == -1
        exported = client.get(f"/mlops/history/{said['conversation']}/export").text
        assert exported.startswith(f"# {THINS}") and "heart.txt, characters" in exported
        assert client.patch(f"/mlops/history/{said['conversation']}", json={"title": "Aspirin"}).json()["title"] == "Aspirin"
        assert client.delete(f"/mlops/history/{said['conversation']}").status_code == 204
        assert client.get(f"/mlops/history/{said['conversation']}").status_code == 404
        with house.services.database.session() as session:
            assert session.get(RagResponse, said["id"]) is None


def test_what_is_refused(house):
    accounts = house.services.accounts
    token = accounts.make_token(accounts.add_user("ann"), "test")
    with house.client() as client:
        mine = client.post("/mlops/query", json={"question": THINS, "collections": ["notes"]}).json()
        assert client.post("/mlops/query", json={"question": " ", "collections": ["notes"]}).json()["code"] == "invalid_input"
        assert client.post("/mlops/query", json={"question": THINS}).status_code == 422
        streamed = client.post("/mlops/query", json={"question": THINS, "collections": ["no"]}, headers={"Accept": "text/event-stream"})
        assert streamed.status_code == 404 and streamed.json()["code"] == "not_found"
        assert client.post(f"/mlops/query/{mine['id']}/feedback", json={"value": 3}).status_code == 422
    with house.stranger() as client:
        assert client.post("/mlops/query", json={"question": THINS, "collections": ["notes"]}).status_code == 401
    with httpx.Client(base_url=house.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
        assert client.post("/mlops/query", json={"question": THINS, "collections": ["notes"]}).status_code == 404
        assert client.post("/mlops/query", json={"question": "x", "conversation": mine["conversation"]}).status_code == 404
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/export")):
            body = {"title": "x"} if method == "PATCH" else None
            assert client.request(method, f"/mlops/history/{mine['conversation']}{path}", json=body).status_code == 404
        assert client.post(f"/mlops/query/{mine['id']}/feedback", json={"value": 1}).status_code == 404


def test_the_command_uses_the_running_workbench(house, monkeypatch):
    monkeypatch.setenv("WORKBENCH_URL", house.url)
    monkeypatch.setenv("WORKBENCH_TOKEN", house.token)
    done = CliRunner().invoke(app, ["ask", THINS, "--collection", "notes", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert set(said) == {"question", "answer", "abstained", "confidence", "sentences", "passages", "models", "seconds"}
    assert {"text", "support", "confidence", "passages"} == set(said["sentences"][0])
    plain = CliRunner().invoke(app, ["ask", "Which dividend was declared in Toronto?", "-c", "notes"])
    assert plain.stdout.startswith(NOT_HERE) and "heart.txt" in plain.stdout
    assert CliRunner().invoke(app, ["ask", THINS, "-c", "none", "--json"]).exit_code == 1
