"""MLflow as people use it through the gateway: a notebook with MLflow's own client, and traces that end with their conversation."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from requests import HTTPError

from infra.database.tables_questions import TraceDeletion
from pipelines.questions import records
from pipelines.questions.tracing import Traces
from serving.mlflow_server import MlflowServer
from tests.integration.workbench.mlflow_house import House, Person, answer_of, mlflow_house
from workbench.services.questions import delete_traces

pytestmark = pytest.mark.timeout(240)


class Double(mlflow.pyfunc.PythonModel):
    """The smallest model that MLflow logs."""

    def predict(self, context, model_input: list[float], params=None) -> list[float]:
        return [2 * value for value in model_input]


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    with mlflow_house(tmp_path_factory.mktemp("use")) as found:
        yield found


def client_of(house: House, person: Person, monkeypatch) -> MlflowClient:
    """As the README says: the gateway's address, and a token of the workbench."""
    mlflow.set_tracking_uri(None)  # forgets the address that an earlier test set, and with it the variable
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{house.running.url}/mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", person.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return MlflowClient(f"{house.running.url}/mlflow", f"{house.running.url}/mlflow")


def test_its_page_leads_back_to_the_workbench(house):
    page = house.people["anna"].client.get("/mlflow/", headers={"if-none-match": "x"})
    assert page.status_code == 200 and '<a href="/">← Workbench</a>' in page.text and "telemetry is off" in page.text
    assert int(page.headers["content-length"]) == len(page.content) and "etag" not in page.headers


def test_a_notebook_logs_a_run_with_its_files_and_model(house, monkeypatch, tmp_path):
    anna, ben = house.people["anna"], house.people["ben"]
    client = client_of(house, anna, monkeypatch)
    mlflow.set_experiment("annas trials")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(range(256)) * 40_000)
    with mlflow.start_run(run_name="first", tags={"kind": "trial"}) as run:
        mlflow.log_params({"rate": 0.1})
        mlflow.log_metrics({"dice": 0.9}, step=1)
        mlflow.log_artifact(str(tmp_path / "table.csv"), "tables")
        mlflow.log_artifact(str(big))
        logged = mlflow.pyfunc.log_model(name="double", python_model=Double(), pip_requirements=["numpy"])
    found = client.get_run(run.info.run_id)
    assert found.info.status == "FINISHED" and found.data.metrics == {"dice": 0.9} and found.data.params == {"rate": "0.1"}
    assert found.data.tags["workbench.user"] == anna.user.id and found.data.tags["mlflow.user"] == "anna"
    kept = house.running.services.settings.mlflow_artifacts_path
    assert [path.name for path in kept.rglob("table.csv")] == ["table.csv"]
    (tmp_path / "back").mkdir()
    back = client.download_artifacts(run.info.run_id, "big.bin", str(tmp_path / "back"))
    assert Path(back).read_bytes() == big.read_bytes()

    others = client_of(house, ben, monkeypatch)
    assert {file.path for file in others.list_artifacts(run.info.run_id)} >= {"tables", "big.bin"}
    for change in (
        lambda: others.log_metric(run.info.run_id, "dice", 1.0),
        lambda: others.set_terminated(run.info.run_id, "FAILED"),
        lambda: others.delete_run(run.info.run_id),
        lambda: others.log_artifact(run.info.run_id, str(tmp_path / "table.csv")),
    ):
        with pytest.raises((MlflowException, HTTPError), match="not yours"):
            change()
    with pytest.raises(MlflowException, match="Only owners"):
        others.create_registered_model("double")

    owners = client_of(house, house.people["owner"], monkeypatch)
    version = mlflow.register_model(logged.model_uri, "double")
    owners.set_registered_model_alias("double", "champion", version.version)
    assert owners.get_model_version_by_alias("double", "champion").version == version.version
    again = client_of(house, anna, monkeypatch)
    assert again.get_registered_model("double").aliases == {"champion": version.version}
    path = mlflow.artifacts.download_artifacts("models:/double@champion", dst_path=str(tmp_path / "model"))
    assert (Path(path) / "MLmodel").exists()


def _spans(house: House, trace: str) -> int:
    with sqlite3.connect(house.running.services.settings.home / "mlflow.sqlite") as connection:
        tables = (
            "trace_info WHERE request_id",
            "spans WHERE trace_id",
            "trace_request_metadata WHERE request_id",
            "trace_tags WHERE request_id",
        )
        return sum(connection.execute(f"SELECT count(*) FROM {table} = ?", (trace,)).fetchone()[0] for table in tables)


def _until_gone(house: House, trace: str) -> None:
    end = time.monotonic() + 20
    while _spans(house, trace) and time.monotonic() < end:
        time.sleep(0.1)
    assert _spans(house, trace) == 0


def _to_delete(house: House) -> list[str]:
    with house.running.services.database.session() as session:
        return records.traces_to_delete(session)


def test_a_trace_dies_with_its_conversation(house):
    ben, anna = house.people["ben"], house.people["anna"]
    assert _spans(house, ben.trace) > 4
    assert ben.client.delete(f"/mlops/history/{ben.conversation}").status_code == 204
    _until_gone(house, ben.trace)
    assert _spans(house, anna.trace) > 4 and _to_delete(house) == []


def test_a_trace_that_mlflow_could_not_delete_is_deleted_later(house, monkeypatch):
    pia = house.people["pia"]
    monkeypatch.setattr("pipelines.questions.tracing.find_server", lambda settings: MlflowServer("http://127.0.0.1:9"))
    assert pia.client.delete(f"/mlops/history/{pia.conversation}").status_code == 204
    time.sleep(1)
    assert _to_delete(house) == [pia.trace] and _spans(house, pia.trace) > 4
    monkeypatch.undo()
    asyncio.run(delete_traces(house.running.services))
    assert _spans(house, pia.trace) == 0 and _to_delete(house) == []


def test_an_answer_deleted_before_its_trace_was_written_leaves_none(house):
    services = house.running.services
    answer = answer_of("Late?", "Late.")
    with services.database.session() as session:
        row = records.open_conversation(session, house.people["anna"].user.id, None, "Late?", [])
        response = records.keep(session, row, answer, collections=[], config="fast").id
        records.forget(session, house.people["anna"].user.id, row.id)
        conversation = row.id
    trace = asyncio.run(Traces(house.server).write(answer, user="anna", conversation=conversation, response=response))
    assert trace is not None
    with services.database.session() as session:
        assert not records.note_trace(session, response, trace)
        assert session.get(TraceDeletion, trace) is not None
    asyncio.run(delete_traces(services))
    assert _spans(house, trace) == 0
