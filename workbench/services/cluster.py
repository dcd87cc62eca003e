"""The gateway's connection to Ray: made in the background, so that pages are there before the models are."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from infra.errors import Unavailable
from infra.settings import Settings
from infra.telemetry import logger
from serving.roles import Roles

if TYPE_CHECKING:
    from pipelines.index_service import IndexService

log = logger(__name__)


class Cluster:
    """Connects this process to Ray and gives the models' handles.

    Attributes:
        connected: whether handles can be used.
        sentence: where it stands, for a person.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.connected = False
        self.sentence = "Ray is starting."
        self._runner: Any = None

    async def connect(self) -> Roles:
        """Wait for Ray (as long as it takes) and give the roles on it."""
        while True:
            began = time.monotonic()
            try:
                roles = await asyncio.to_thread(self._connect)
            except Exception as error:
                self.sentence = "Ray does not answer yet."
                log.info("ray is not there yet", error=f"{type(error).__name__}: {str(error)[:200]}")
                await asyncio.sleep(max(0.2, 1.0 - (time.monotonic() - began)))
                continue
            self.connected = True
            self.sentence = "Ray answers."
            log.info("connected to ray", seconds=round(time.monotonic() - began, 2))
            return roles

    def _connect(self) -> Roles:
        from serving.cluster.head import join, read_address
        from serving.cluster.remote import serve_roles

        address = self._settings.ray.address or read_address(self._settings)
        if address is None:
            # Never "whatever Ray runs on this machine": that may be somebody else's.
            raise Unavailable("Ray is still starting.")
        join(address, self._settings if self._settings.ray.address is None else None)
        return serve_roles(self._settings)

    def index_service(self) -> IndexService:
        """Who keeps the collections, through Ray. Only once :meth:`connect` has given the models."""
        from pipelines.index_service.remote import INDEX, remote_index_service
        from serving.cluster.remote import APP, serve_api

        return remote_index_service(serve_api().get_deployment_handle(INDEX, app_name=APP))

    async def queue(self) -> dict[str, Any]:
        """How the runner's queue is (:meth:`pipelines.jobs.runner.Runner.queue`). Only once :meth:`connect` has given the models."""
        from serving.cluster.remote import APP, answer_of, serve_api

        if self._runner is None:
            self._runner = serve_api().get_deployment_handle("runner", app_name=APP)
        return await answer_of(self._runner.queue.remote())

    def disconnect(self) -> None:
        import sys

        self.connected = False
        if "ray" in sys.modules:
            import ray

            ray.shutdown()
