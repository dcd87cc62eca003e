"""The application: one Ray Serve deployment graph, with the models as its leaves and whatever composes them at its root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from infra.settings import Settings
from serving.cluster.remote import APP, roles_from_handles, serve_api
from serving.cluster.replica import Replica
from serving.registry.champions import read_champions
from serving.roles import known_roles

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

Compose = Callable[[Mapping[str, "Application"]], "Application"]


class Root:
    """The root of an application that nothing composes (a notebook that wants models only)."""

    def __init__(self, **models: Any) -> None:
        self.roles = roles_from_handles(models)

    async def missing(self) -> list[str]:
        """Names of the roles that no model fulfils."""
        return self.roles.missing()


def deployment_options(settings: Settings, name: str) -> dict[str, Any]:
    """Serve's options for a deployment, from its row in the table of processors."""
    row = settings.processor(name)
    actor: dict[str, Any] = {"num_cpus": row.num_cpus, "num_gpus": row.num_gpus}
    if name in known_roles() and known_roles()[name].kind == "batched":
        # Its calls take milliseconds and compute in a thread of their own: Serve's second loop would only add 0.6 ms to each.
        actor["runtime_env"] = {"env_vars": {"RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0"}}
    return {
        "name": name,
        "num_replicas": row.replicas,
        "max_ongoing_requests": row.max_ongoing_requests,
        "ray_actor_options": actor,
        "health_check_period_s": 5,
        "health_check_timeout_s": 30,
        "graceful_shutdown_timeout_s": 10,
        "graceful_shutdown_wait_loop_s": 0.5,
        "logging_config": {"enable_access_log": False},  # the replica's own line says more (see serving.cluster.replica)
    }


def portable(settings: Settings) -> Settings:
    """The settings as a replica can use them: it runs in another folder, so paths are whole."""
    return settings.model_copy(update={"home": settings.home.resolve()})


def build_models(settings: Settings) -> dict[str, Application]:
    """One deployment for every role that a model fulfils here."""
    from ray import serve

    settings = portable(settings)
    return {
        role: serve.deployment(Replica).options(**deployment_options(settings, role)).bind(settings, role)
        for role in read_champions(settings)
    }


def build_application(settings: Settings, compose: Compose | None = None) -> Application:
    """The whole graph. ``compose`` takes the models and gives the root (the pipelines' runner, in a workbench)."""
    from ray import serve

    models = build_models(settings)
    if compose is not None:
        return compose(models)
    options = {"name": "root", "ray_actor_options": {"num_cpus": 0}}
    return serve.deployment(Root).options(**options).bind(**models)


def deploy(settings: Settings, compose: Compose | None = None) -> DeploymentHandle:
    """Run the application on the Ray cluster this process is connected to; returns when every replica is ready.

    No HTTP proxy is started: people come through the gateway, programs through handles.
    """
    serve = serve_api()
    serve.start(proxy_location="Disabled")
    return serve.run(build_application(settings, compose), name=APP, route_prefix=None)
