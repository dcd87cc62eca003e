"""The pipelines' part of the Serve application: the runner at its root, one stage worker per pipeline, the index service and the
models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Application

from infra.settings import Settings, load_settings
from pipelines.index_service.remote import INDEX, IndexReplica
from pipelines.jobs.catalog import CATALOG, Catalog
from pipelines.jobs.runner import Runner
from pipelines.jobs.stage_worker import StageWorker
from serving.cluster.application import deployment_options, portable


def compose(models: Mapping[str, Application], *, settings: Settings | None = None, catalog: Catalog = CATALOG) -> Application:
    """What ``serving.build_application`` asks for: from the models' applications, by role, to the whole one.

    Args:
        models: bound deployments of the roles that have a model.
        settings: the program's; by default those of the environment. Bind others by ``functools.partial``.
        catalog: which pipelines there are.
    """
    settings = portable(settings or load_settings())
    # One replica, whatever the settings say: one process writes the indexes.
    alone = {**_options(settings, INDEX), "num_replicas": 1}
    index = serve.deployment(IndexReplica).options(**alone).bind(settings, dict(models))
    staff = {**models, INDEX: index}
    workers = {
        name: serve.deployment(StageWorker).options(**_options(settings, name)).bind(name, settings, catalog, staff)
        for name in catalog.names()
    }
    return serve.deployment(Runner).options(**_options(settings, "runner")).bind(settings, workers, stage_limits(catalog))


def stage_limits(catalog: Catalog) -> dict[str, dict[str, float]]:
    """Pipeline to stage to seconds, of the stages with a time limit of their own: the runner does not import definitions."""
    pipelines = [catalog.pipeline(name) for name in catalog.names()]
    return {pipeline.name: {stage.name: stage.seconds for stage in pipeline.stages if stage.seconds} for pipeline in pipelines}


def _options(settings: Settings, name: str) -> dict[str, Any]:
    # Serve notices a killed replica at its next health check.
    return {**deployment_options(settings, name), "health_check_period_s": 1}
