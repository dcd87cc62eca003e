"""A gateway with a real MLflow behind it, and people who each have runs, models and traces there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra.database.tables import User
from infra.settings import load_settings
from knowledge.search import Passage
from pipelines.questions import records
from pipelines.questions.contract import Answer, Found
from pipelines.questions.tracing import Traces
from serving.mlflow_server import MlflowServer
from serving.registry.mlflow_registry import open_client
from tests.integration.workbench.conftest import Running, free_port, gateway
from tests.mlflow_running import blocking, mlflow_running

API = "/mlflow/api/2.0/mlflow"
API3 = "/mlflow/api/3.0/mlflow"
AJAX = "/mlflow/ajax-api/2.0/mlflow"
SECRET = "The merger is called Bluebird."
_ROUTES = """
import json, os
from mlflow.server import app as flask
from mlflow.server.fastapi_app import app
found = {(m, str(rule)) for rule in flask.url_map.iter_rules() for m in rule.methods}
found |= {(m, route.path) for route in app.routes for m in getattr(route, "methods", None) or ()}
print(json.dumps(sorted(found)))
"""


@dataclass
class Person:
    """Somebody with a run, a logged model, a trace and a conversation of their own."""

    user: User
    client: httpx.Client
    token: str
    run: str = ""
    model: str = ""
    trace: str = ""
    conversation: str = ""


@dataclass
class House:
    """People around one MLflow; ``experiment`` is shared, ``outside`` a run whose artifacts somebody placed elsewhere."""

    running: Running
    server: MlflowServer
    direct: httpx.Client
    experiment: str
    people: dict[str, Person] = field(default_factory=dict)
    outside: str = ""

    def snapshot(self) -> dict[str, Any]:
        """Everything that MLflow holds, as its own server tells it, and the files."""
        ask = self.direct.post
        experiments = ask("/api/2.0/mlflow/experiments/search", json={"max_results": 100, "view_type": "ALL"}).json()["experiments"]
        ids = [one["experiment_id"] for one in experiments]
        places = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": one}} for one in ids]
        files = self.running.services.settings.mlflow_artifacts_path
        return {
            "experiments": experiments,
            "runs": ask("/api/2.0/mlflow/runs/search", json={"experiment_ids": ids, "run_view_type": "ALL"}).json(),
            "models": ask("/api/2.0/mlflow/logged-models/search", json={"experiment_ids": ids}).json(),
            "registered": self.direct.get("/api/2.0/mlflow/registered-models/search").json(),
            "versions": self.direct.get("/api/2.0/mlflow/model-versions/search").json(),
            "traces": ask("/api/3.0/mlflow/traces/search", json={"locations": places}).json(),
            "webhooks": self.direct.get("/api/2.0/mlflow/webhooks").json(),
            "files": sorted(str(path.relative_to(files)) for path in files.rglob("*")) if files.exists() else [],
        }


def answer_of(question: str, text: str) -> Answer:
    passage = Passage("d", "Plans", 1, 0, len(text), text, 1.0)
    return Answer(question, question, text, False, 0.9, (), (Found(passage, "c", "plans"),), (), {"total": 0.1})


@contextlib.contextmanager
def mlflow_house(folder: Path) -> Iterator[House]:
    settings = load_settings(home=folder / "home", gateway={"port": free_port()}, mlflow={"poll_seconds": 0})
    open_client(settings)
    with gateway(pages=False, settings=settings) as running, mlflow_running(settings, folder=folder) as server, blocking(server) as direct:
        house = House(running, server, direct, _id(direct.post("/api/2.0/mlflow/experiments/create", json={"name": "shared"})))
        accounts = running.services.accounts
        house.people["owner"] = _person(house, accounts.ensure_owner(), running.token)
        for name, role in (("anna", "member"), ("ben", "member"), ("pia", "promoter")):
            user = accounts.add_user(name, role=role)
            house.people[name] = _person(house, user, accounts.make_token(user, "test"))
        _register(house)
        _plant_outside(house, folder)
        yield house
        for person in house.people.values():
            person.client.close()


def _id(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json()["experiment_id"]


def _person(house: House, user: User, token: str) -> Person:
    """Made past the gateway, with the tags that it would set: so that every test stands alone."""
    client = httpx.Client(base_url=house.running.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60)
    person = Person(user, client, token)
    tags = [{"key": "workbench.user", "value": user.id}, {"key": "mlflow.user", "value": user.name}]
    sent = {"experiment_id": house.experiment, "start_time": 1, "run_name": f"{user.name}'s", "tags": tags}
    person.run = house.direct.post("/api/2.0/mlflow/runs/create", json=sent).json()["run"]["info"]["run_id"]
    file = f"/api/2.0/mlflow-artifacts/artifacts/{house.experiment}/{person.run}/artifacts/notes.txt"
    assert house.direct.put(file, content=b"shared notes").status_code == 200
    sent = {"experiment_id": house.experiment, "name": f"{user.name}-model", "source_run_id": person.run, "tags": tags}
    person.model = house.direct.post("/api/2.0/mlflow/logged-models", json=sent).json()["model"]["info"]["model_id"]
    answer = answer_of(f"{user.name}: what is the merger called?", SECRET)

    def keep(session):
        row = records.open_conversation(session, user.id, None, answer.question, [])
        return row.id, records.keep(session, row, answer, collections=[], config="fast").id

    database = house.running.services.database
    with database.session() as session:
        person.conversation, response = keep(session)
    written = asyncio.run(Traces(house.server).write(answer, user=user.id, conversation=person.conversation, response=response))
    assert written is not None
    person.trace = written
    with database.session() as session:
        records.note_trace(session, response, written)
    return person


def _register(house: House) -> None:
    post = house.direct.post
    assert post("/api/2.0/mlflow/registered-models/create", json={"name": "brain"}).status_code == 200
    run = house.people["owner"].run
    for _ in range(2):
        place = f"mlflow-artifacts:/{house.experiment}/{run}/artifacts/model"
        sent = post("/api/2.0/mlflow/model-versions/create", json={"name": "brain", "source": place, "run_id": run})
        assert sent.status_code == 200, sent.text
    alias = {"name": "brain", "alias": "champion", "version": "1"}
    assert post("/api/2.0/mlflow/registered-models/alias", json=alias).status_code == 200


def _plant_outside(house: House, folder: Path) -> None:
    """A run as an earlier version of the workbench let people make it: its artifacts are any folder of the machine."""
    sent = {"name": "elsewhere", "artifact_location": folder.as_uri()}
    experiment = _id(house.direct.post("/api/2.0/mlflow/experiments/create", json=sent))
    run = house.direct.post("/api/2.0/mlflow/runs/create", json={"experiment_id": experiment, "start_time": 1}).json()["run"]["info"]
    house.outside = run["run_id"]
    (folder / house.outside / "artifacts").mkdir(parents=True)
    (folder / house.outside / "artifacts" / "key.txt").write_text("a private key")


def server_routes(folder: Path) -> list[tuple[str, str]]:
    """Method and template of every route of the installed MLflow server, asked of itself in a process of its own."""
    variables = {
        **os.environ,
        "_MLFLOW_STATIC_PREFIX": "/mlflow",
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder / 'routes.sqlite'}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    done = subprocess.run([sys.executable, "-c", _ROUTES], env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [(method, path) for method, path in json.loads(done.stdout.splitlines()[-1])]
