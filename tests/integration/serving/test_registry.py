"""The registry on a real MLflow store: version 1 with its alias, once, and from two processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.settings import Settings, load_settings
from serving.mlflow_server import lies_inside
from serving.registry import embedded
from serving.registry.champions import read_catalogue, read_champions
from serving.registry.embedded import embedded_version
from serving.registry.mlflow_registry import CHAMPION, champions, open_client, refresh, register_embedded
from serving.registry.versions import registered_name, versions_path

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Registered by two processes that started together."""
    home = tmp_path_factory.mktemp("registry")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
    command = [sys.executable, "-m", "serving.registry.mlflow_registry", "--home", str(home)]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err[-2000:]
        assert "workbench-embedding 1" in out
    return load_settings(home=home)


def client(settings: Settings):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=settings.mlflow_uri, registry_uri=settings.mlflow_uri)


def test_embedded_models_are_version_1_and_champion_with_backend_digest_and_source(registered: Settings) -> None:
    for role in ("segmentation", "embedding", "llm", "entailment"):
        found = client(registered).search_model_versions(f"name = '{registered_name(role)}'")
        assert [str(v.version) for v in found] == ["1"]
        known = embedded_version(registered, role)
        tags = found[0].tags
        assert (tags["digest"], tags["backend"], tags["source"]) == (known.ref.digest, known.ref.backend, known.source)
        assert str(client(registered).get_model_version_by_alias(registered_name(role), CHAMPION).version) == "1"
        assert champions(registered)[role] == read_champions(registered)[role] == known.ref


def test_registering_again_changes_nothing(registered: Settings) -> None:
    before = versions_path(registered).read_text()
    assert {ref.version for ref in register_embedded(registered)} == {"1"}
    assert versions_path(registered).read_text() == before


def test_the_manifest_is_an_artifact_in_the_data_folder(registered: Settings) -> None:
    import mlflow

    found = client(registered).get_model_version_by_alias(registered_name("llm"), CHAMPION)
    path = mlflow.artifacts.download_artifacts(f"{found.source}/manifest.json", tracking_uri=registered.mlflow_uri)
    with open(path) as file:
        assert json.load(file)["ref"]["digest"] == found.tags["digest"]
    assert str(registered.home) in found.source


def test_an_alias_set_in_mlflow_is_seen_after_a_refresh(registered: Settings) -> None:
    api, name = client(registered), registered_name("embedding")
    first = api.get_model_version(name, "1")
    tags = {**first.tags, "source": embedded.resolve(first.tags["source"], role="embedding").as_posix()}
    second = api.create_model_version(name, source=first.source, tags=tags)
    api.set_registered_model_alias(name, CHAMPION, second.version)
    assert read_champions(registered)["embedding"].version == "1"
    assert refresh(registered).champions["embedding"] == str(second.version)
    assert read_champions(registered)["embedding"].version == str(second.version)
    # Registering at the next start leaves what the team promoted.
    register_embedded(registered)
    assert read_champions(registered)["embedding"].version == str(second.version)
    api.set_registered_model_alias(name, CHAMPION, "1")
    refresh(registered)


def test_newer_embedded_weights_become_the_next_version_and_serve(registered: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    known = embedded.EMBEDDED["llm"]
    monkeypatch.setitem(embedded.EMBEDDED, "llm", replace(known, digest="f" * 64))
    # Before MLflow is asked, serving already goes by the number that it will give.
    assert read_champions(registered)["llm"].version == "2"
    assert "1" not in read_catalogue(registered).versions["llm"]
    register_embedded(registered)
    assert champions(registered)["llm"].version == "2"
    assert read_champions(registered)["llm"].digest == "f" * 64


def test_before_the_first_registration_the_embedded_models_serve_as_version_1(settings: Settings) -> None:
    found = read_champions(settings)
    assert {role: ref.version for role, ref in found.items()} == {"segmentation": "1", "embedding": "1", "llm": "1", "entailment": "1"}


def test_a_role_switched_off_has_no_champion() -> None:
    assert "llm" not in read_champions(load_settings(models={"llm": {"backend": "none"}}))


def test_a_broken_snapshot_is_as_none(settings: Settings) -> None:
    settings.home.mkdir(exist_ok=True)
    versions_path(settings).write_text("{not json")
    (settings.home / "champions.json").write_text('{"llm": {"odd": 1}}')
    assert read_champions(settings)["llm"].version == "1"


def test_no_experiment_keeps_its_artifacts_outside_the_data_folder(registered: Settings, tmp_path: Path) -> None:
    api = client(registered)
    api.create_experiment("placed elsewhere", artifact_location=(tmp_path / "elsewhere").as_uri())
    open_client(registered)
    for found in api.search_experiments():
        assert lies_inside(found.artifact_location, registered.mlflow_artifacts_path), found.artifact_location
    placed = api.get_experiment_by_name("placed elsewhere")
    assert placed.artifact_location == f"mlflow-artifacts:/{placed.experiment_id}"
