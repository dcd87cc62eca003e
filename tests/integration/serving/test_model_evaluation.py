"""Evaluating a registered version keeps its table on the version's own run, and says whether it passed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.errors import InvalidInput, NotFound
from infra.settings import Settings, load_settings
from serving.registry.evaluation import evaluate_version
from serving.registry.mlflow_registry import open_client, register_embedded
from serving.registry.registration import register
from serving.registry.versions import registered_name
from serving.segmentation.evaluation import evaluate as table
from tests.unit.serving.segmentation.test_bundle import script, write_bundle


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = load_settings(home=tmp_path_factory.mktemp("evaluated"))
    register_embedded(settings)
    return settings


def test_a_bundles_table_is_kept_on_its_run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    model = register(settings, script(write_bundle(tmp_path / "b")), "segmentation")
    rows = [
        table.Row("mean Dice, 15 merged", 0.9, 0.8),
        table.Row("brains not refused", 0.5, 1.0),
        table.Row("seconds", 2.0, unit="s", better=""),
    ]
    monkeypatch.setattr(table, "_measures", lambda data, segmenter, weights, peer: [("one", lambda: rows[:1]), ("two", lambda: rows[1:])])
    shown: list[str] = []
    found = evaluate_version(settings, f"segmentation/{model.ref.version}", tmp_path, show=lambda row: shown.append(row.measure))
    assert found.passed is False and shown == [row.measure for row in rows]
    client, name = open_client(settings), registered_name("segmentation")
    version = client.get_model_version(name, model.ref.version)
    assert version.tags["evaluation"] == "missed" and version.tags["evaluated_at"]
    metrics = client.get_run(version.run_id).data.metrics
    assert metrics["mean Dice_ 15 merged"] == 0.9 and metrics["brains not refused"] == 0.5
    path = mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path="evaluation.json", tracking_uri=settings.mlflow_uri)
    assert json.loads(Path(path).read_text())["model"]["version"] == model.ref.version

    assert evaluate_version(settings, f"segmentation/{model.ref.version}", tmp_path, only="one").passed is None
    assert client.get_model_version(name, model.ref.version).tags["evaluation"] == "missed", "a part of the table changes nothing"


def test_what_cannot_be_evaluated_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="whole pipelines"):
        evaluate_version(settings, "embedding@champion", tmp_path)
    with pytest.raises(NotFound, match="no version '9'"):
        evaluate_version(settings, "segmentation/9", tmp_path)
    with pytest.raises(NotFound, match="not a folder"):
        evaluate_version(settings, "segmentation@champion", tmp_path / "nowhere")
