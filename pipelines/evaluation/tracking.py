"""Figures of an evaluation into the data folder's MLflow, where there is one."""

from __future__ import annotations

from collections.abc import Mapping

from infra.errors import Unavailable
from infra.settings import Settings
from infra.telemetry import logger

log = logger(__name__)

EXPERIMENT = "workbench-evaluations"


def log_figures(settings: Settings, name: str, figures: Mapping[str, float], parameters: Mapping[str, str]) -> str | None:
    """A run with these metrics and parameters; its id. None where no MLflow is there, or it does not answer (which is logged)."""
    if settings.mlflow.tracking_uri is None and not (settings.home / "mlflow.sqlite").exists():
        return None
    from serving.registry.mlflow_registry import open_client

    try:
        client = open_client(settings)
        found = client.get_experiment_by_name(EXPERIMENT)
        place = None
        if not settings.mlflow_uri.startswith("http"):
            place = settings.mlflow_artifacts_path.as_uri()
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifact_location=place)
        run = client.create_run(experiment, run_name=name)
        for key, value in parameters.items():
            client.log_param(run.info.run_id, key, value)
        for key, value in figures.items():
            client.log_metric(run.info.run_id, key, value)
        client.set_terminated(run.info.run_id)
    except Unavailable as error:
        log.warning("the figures could not be logged", error=error.message)
        return None
    return str(run.info.run_id)
