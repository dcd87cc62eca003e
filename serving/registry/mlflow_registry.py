"""Model versions in MLflow: the one registered model of each role, its versions, and the alias that says which serves.

Only this file imports MLflow. What it learns it writes to the data folder (see :mod:`serving.registry.versions`); replicas
and the gateway read that. ``python -m serving.registry.mlflow_registry --home DIR`` registers the embedded models and refreshes it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.datafolder import DataFolder
from infra.errors import Unavailable
from infra.settings import Settings, load_settings
from serving.mlflow_server import lies_inside
from serving.registry.champions import read_catalogue, read_champions
from serving.registry.embedded import EMBEDDED, Embedded, embedded_roles, embedded_version
from serving.registry.refusals import Refusal, read_refusals, write_refusals
from serving.registry.versions import Catalogue, ModelRef, ModelVersion, registered_name, write_catalogue
from serving.roles import role_names

CHAMPION = "champion"
EXPERIMENT = "workbench-models"
EVALUATION = "evaluation"
"""Tag of a version: ``passed`` or ``missed``, of the last evaluation."""
_NONE = Embedded("", "", None, "", "")


def register_embedded(settings: Settings) -> list[ModelRef]:
    """Put the embedded models into MLflow where they are not there yet, and refresh the snapshot.

    The first registration of a role is version 1 with the alias ``champion``. Weights that a newer package brought
    become the next version, and the champion where the old one can no longer be loaded. Calling it again, or from two
    processes at once, changes nothing.

    Raises:
        Unavailable: MLflow does not answer.
    """
    with one_at_a_time(settings):
        client = open_client(settings)
        # Not embedded_version's number: the snapshot's, which knows what this machine's package replaced.
        wanted = read_catalogue(settings)
        refs = []
        for role in embedded_roles(settings):
            ours = embedded_version(settings, role)
            ensure_model(client, role)
            number = find_same(client, ours) or create_version(client, settings, ours)
            current = champion_number(client, role)
            if current is None or current not in (*wanted.versions.get(role, {}), number):
                client.set_registered_model_alias(registered_name(role), CHAMPION, number)
            refs.append(ModelRef(**{**ours.ref.as_dict(), "version": number}))
        write_catalogue(settings, qualified(settings, client, _read(client)))
    return refs


def refresh(settings: Settings) -> Catalogue:
    """Read MLflow's versions and aliases, and write the snapshot that serving reads."""
    with one_at_a_time(settings):
        client = open_client(settings)
        write_catalogue(settings, qualified(settings, client, _read(client)))
    return read_catalogue(settings)


def champions(settings: Settings) -> dict[str, ModelRef]:
    """What MLflow's alias ``champion`` names now, by role."""
    catalogue = _read(open_client(settings))
    return {role: found.ref for role in catalogue.champions if (found := catalogue.champion(role))}


def qualified(settings: Settings, client: Any, catalogue: Catalogue) -> Catalogue:
    """The catalogue as it may serve: where an alias names a version that does not qualify, the former champion stays.

    What a version needs is the setting ``mlflow.promotion``; one that a replica could not load (a refusal that is noted)
    does not qualify either, until the alias names another.
    """
    noted = read_refusals(settings)
    former = read_champions(settings)
    champions = dict(catalogue.champions)
    refusals: dict[str, Refusal] = {}
    for role, number in catalogue.champions.items():
        found = noted.get(role)
        known = found is not None and found.broken and found.version == number
        reason = found.reason if found and known else lacks(settings, client, role, number)
        old = former[role].version if role in former else None
        if reason is None or old is None or old not in catalogue.versions.get(role, {}) or old == number:
            continue
        champions[role] = old
        refusals[role] = Refusal(number, reason, broken=known)
    write_refusals(settings, refusals)
    return Catalogue(catalogue.versions, champions)


def lacks(settings: Settings, client: Any, role: str, number: str) -> str | None:
    """What the version lacks to be promoted, as a sentence; None where it lacks nothing."""
    if settings.mlflow.promotion == "free":
        return None
    tags = dict(client.get_model_version(registered_name(role), number).tags)
    if tags.get(EVALUATION) == "passed" or tags.get("source") == EMBEDDED.get(role, _NONE).source:
        return None
    if tags.get(EVALUATION) == "missed":
        return "Its evaluation missed a measure that it must meet."
    return f"It has no evaluation. Run `workbench models evaluate {role}/{number} --data DIR`."


def open_client(settings: Settings) -> Any:
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    DataFolder(settings.home).make()
    import logging

    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    uri = settings.mlflow_uri
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if client.get_experiment_by_name(EXPERIMENT) is None:
            # A server knows where its artifacts go; for a plain database we have to say, or they land in ./mlruns.
            place = None if uri.startswith("http") else settings.mlflow_artifacts_path.as_uri()
            client.create_experiment(EXPERIMENT, artifact_location=place)
        if settings.mlflow.tracking_uri is None:
            _keep_artifacts_inside(settings)
    except Exception as error:
        if "RESOURCE_ALREADY_EXISTS" in str(error):
            return client
        raise Unavailable(f"MLflow does not answer at {uri}: {type(error).__name__}.") from error
    return client


def _keep_artifacts_inside(settings: Settings) -> None:
    """Experiments whose artifacts would land outside the data folder keep their next ones in it.

    MLflow makes its first experiment with a place below the working folder.
    """
    from sqlalchemy import create_engine, text

    engine = create_engine(settings.mlflow_uri)
    with engine.begin() as connection:
        for identifier, location in connection.execute(text("SELECT experiment_id, artifact_location FROM experiments")).all():
            if not lies_inside(location or "", settings.mlflow_artifacts_path):
                connection.execute(
                    text("UPDATE experiments SET artifact_location = :place WHERE experiment_id = :id"),
                    {"place": f"mlflow-artifacts:/{identifier}", "id": identifier},
                )
    engine.dispose()


def ensure_model(client: Any, role: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(registered_name(role), tags={"role": role}, description=f"The models of the role {role}.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def versions_of(client: Any, role: str) -> list[Any]:
    return sorted(client.search_model_versions(f"name = '{registered_name(role)}'"), key=lambda found: int(found.version))


def find_same(client: Any, model: ModelVersion) -> str | None:
    """The number under which these weights stand already."""
    for found in versions_of(client, model.ref.role):
        if found.tags.get("digest") == model.ref.digest and found.tags.get("source") == model.source:
            return str(found.version)
    return None


def create_version(client: Any, settings: Settings, model: ModelVersion) -> str:
    """A new version whose artifact is a manifest: the weights stay in their package, named by their digest."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    run = client.create_run(experiment.experiment_id, run_name=f"register {model.ref.role}")
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.json"
        manifest.write_text(json.dumps(model.as_dict(), indent=1))
        client.log_artifact(run.info.run_id, str(manifest), "model")
    created = client.create_model_version(
        registered_name(model.ref.role),
        source=f"{run.info.artifact_uri}/model",
        run_id=run.info.run_id,
        description=model.facts.get("title", ""),
        tags={"role": model.ref.role, "backend": model.ref.backend, "digest": model.ref.digest, "source": model.source, **model.facts},
    )
    client.set_terminated(run.info.run_id)
    return str(created.version)


def champion_number(client: Any, role: str) -> str | None:
    aliases = client.get_registered_model(registered_name(role)).aliases
    return str(aliases[CHAMPION]) if CHAMPION in aliases else None


def _read(client: Any) -> Catalogue:
    names = {model.name: model for model in client.search_registered_models()}
    versions: dict[str, dict[str, ModelVersion]] = {}
    chosen: dict[str, str] = {}
    for role in role_names():
        model = names.get(registered_name(role))
        if model is None:
            continue
        versions[role] = {str(v.version): found for v in versions_of(client, role) if (found := _version(role, v))}
        if str(model.aliases.get(CHAMPION, "")) in versions[role]:
            chosen[role] = str(model.aliases[CHAMPION])
    return Catalogue(versions, chosen)


def _version(role: str, found: Any) -> ModelVersion | None:
    """One of our versions; None for one that was registered without our tags (it cannot be served)."""
    tags = dict(found.tags)
    if not {"backend", "source"} <= tags.keys():
        return None
    ref = ModelRef(role, found.name, str(found.version), tags.get("digest", ""), tags["backend"], tags.get("device", "cpu"))
    return ModelVersion(ref, tags["source"], {key: tags[key] for key in ("title", "licence", "origin") if key in tags})


@contextlib.contextmanager
def one_at_a_time(settings: Settings) -> Iterator[None]:
    """Two processes that start at once must not both create the database's tables, or a version 1 each."""
    with open(DataFolder(settings.home).make().home / "registry.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Register the embedded models in MLflow and refresh what serving reads.")
    parser.add_argument("--home", type=Path, help="Data folder.")
    parser.add_argument("--refresh", action="store_true", help="Only read versions and aliases anew.")
    chosen = parser.parse_args()
    if chosen.refresh:
        refresh(load_settings(home=chosen.home))
        sys.exit(0)
    for ref in register_embedded(load_settings(home=chosen.home)):
        print(f"{ref.name} {ref.version} ({ref.backend}, {EMBEDDED[ref.role].title}, sha256 {ref.digest[:12]})")
    sys.exit(0)
