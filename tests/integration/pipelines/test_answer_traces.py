"""An answer that was asked for without a workbench is a trace in the data folder's own MLflow, once there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import select

from infra.database.tables_questions import RagResponse
from infra.settings import Settings
from pipelines.ingestion import open_knowledge
from pipelines.questions import answering
from pipelines.questions.client import ask
from pipelines.questions.tracing import EXPERIMENT
from serving.registry.mlflow_registry import open_client
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.unit.pipelines.questions.conftest import SharedStems, calibration

pytestmark = pytest.mark.timeout(120)
calibrated = calibration
THINS = "Does aspirin thin the blood and prevent clots?"


def test_an_answer_without_a_workbench_is_traced(settings: Settings, tmp_path: Path, monkeypatch, calibrated) -> None:
    monkeypatch.setattr(answering, "shipped", lambda: calibrated)
    (tmp_path / "heart.txt").write_text("Hearts\n\nAspirin thins the blood and prevents clots in the arteries.\n")
    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding(), entailment=SharedStems())) as knowledge:
        knowledge.add([tmp_path / "heart.txt"], "notes")
        before = ask(THINS, "notes", knowledge=knowledge)  # no MLflow yet: answered all the same
        client = open_client(settings)
        found = ask(THINS, "notes", knowledge=knowledge)
        assert found.sentences == before.sentences
        with knowledge.database.session() as session:
            kept = {row.trace_id for row in session.exec(select(RagResponse))}
    experiment = client.get_experiment_by_name(EXPERIMENT)
    (trace,) = client.search_traces(locations=[experiment.experiment_id])
    assert kept == {None, trace.info.trace_id}
    assert {span.name for span in trace.data.spans} == {"answer", "search", "read", "write"}
    root = next(span for span in trace.data.spans if span.parent_id is None)
    assert root.inputs["question"] == THINS and root.outputs["answer"] == found.answer
    assert not Path("mlruns").joinpath(experiment.experiment_id).exists()
