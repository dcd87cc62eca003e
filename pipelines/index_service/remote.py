"""The index service on Ray Serve: its deployment, and the client that calls it."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from typing import Any

from infra.errors import InvalidInput, WorkbenchError
from infra.settings import Settings
from infra.telemetry import correlated, correlation_id, log_to_folder, logger
from pipelines.index_service.interface import IndexService
from serving.cluster.remote import answer_of

log = logger(__name__)

INDEX = "index"  # the deployment
METHODS = frozenset(IndexService.__abstractmethods__)
QUIET = frozenset({"advance", "states", "digest"})  # called so often that a line each would drown the others


def remote_index_service(handle: Any) -> IndexService:
    """The index service of a running workbench: every call goes to the one replica of the deployment :data:`INDEX`.

    Args:
        handle: of the deployment. Arguments of calls are pickled.
    """
    return _Remote(handle)


def _forwarded(name: str) -> Any:
    @functools.wraps(getattr(IndexService, name), updated=())  # without the mark that it is abstract
    async def call(self: Any, *arguments: Any, **named: Any) -> Any:
        return await answer_of(self.handle.ask.remote(name, arguments, named, correlation_id()))

    return call


def _keep(self: Any, handle: Any) -> None:
    self.handle = handle


_Remote: Any = type("RemoteIndexService", (IndexService,), {"__init__": _keep, **{name: _forwarded(name) for name in METHODS}})


class IndexReplica:
    """The deployment: one replica, since one process writes the indexes. Passes calls to a :class:`LocalIndexService`.

    Args:
        settings: the program's.
        models: the handle of each role that is deployed.
    """

    def __init__(self, settings: Settings, models: Mapping[str, Any]) -> None:
        from infra.database import Database
        from infra.datafolder import DataFolder
        from infra.objectstore import make_object_store
        from pipelines.index_service.local import LocalIndexService
        from serving.cluster.head import keep_replica_private
        from serving.cluster.remote import roles_from_handles

        keep_replica_private()
        log_to_folder(DataFolder(settings.home).logs, level=settings.telemetry.level, component="pipelines-index")
        self._database = Database(settings.database_url)
        self._local = LocalIndexService(settings, self._database, make_object_store(settings), roles_from_handles(models))
        log.info("index service ready", pid=os.getpid())

    async def ask(self, method: str, arguments: tuple[Any, ...], named: dict[str, Any], correlation_id: str | None) -> Any:
        """``method`` of the index service. Raises whatever it raises."""
        if method not in METHODS:
            raise InvalidInput(f"The index service does not know how to '{method}'.")
        with correlated(correlation_id):
            began, outcome = time.perf_counter(), "ok"
            try:
                return await getattr(self._local, method)(*arguments, **named)
            except WorkbenchError as error:
                outcome = error.code
                raise
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                if method not in QUIET or outcome != "ok":
                    log.info("request", method=method, outcome=outcome, seconds=round(time.perf_counter() - began, 4))

    async def pid(self) -> int:
        """This replica's process (for tests that kill it)."""
        return os.getpid()

    async def __del__(self) -> None:
        """Serve awaits this when it stops a replica."""
        if (local := getattr(self, "_local", None)) is not None:
            await local.close()
            self._database.close()
