"""The Serve deployment of the librarian: one replica, since one process writes the indexes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ray.serve.handle import DeploymentHandle

from infra.database import Database
from infra.datafolder import DataFolder
from infra.errors import InvalidInput, WorkbenchError
from infra.objectstore import make_object_store
from infra.settings import Settings
from infra.telemetry import correlated, log_to_folder, logger
from pipelines.librarian.contract import Desk
from pipelines.librarian.librarian import Librarian
from serving.cluster.head import keep_replica_private
from serving.cluster.remote import roles_from_handles

log = logger(__name__)

METHODS = frozenset(Desk.__abstractmethods__)
QUIET = frozenset({"advance", "states", "digest"})  # asked so often that a line each would drown the others


class LibrarianReplica:
    """Holds the :class:`Librarian` and hands calls to it.

    Args:
        settings: the program's.
        models: the handle of each role that is deployed.
    """

    def __init__(self, settings: Settings, models: Mapping[str, DeploymentHandle]) -> None:
        keep_replica_private()
        log_to_folder(DataFolder(settings.home).logs, level=settings.telemetry.level, component="pipelines-librarian")
        self._database = Database(settings.database_url)
        self._librarian = Librarian(settings, self._database, make_object_store(settings), roles_from_handles(models))
        log.info("librarian ready", pid=os.getpid())

    async def ask(self, method: str, arguments: tuple[Any, ...], named: dict[str, Any], correlation_id: str | None) -> Any:
        """``method`` of the librarian. Raises whatever it raises."""
        if method not in METHODS:
            raise InvalidInput(f"The librarian does not know how to '{method}'.")
        with correlated(correlation_id):
            began, outcome = time.perf_counter(), "ok"
            try:
                return await getattr(self._librarian, method)(*arguments, **named)
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
        if (librarian := getattr(self, "_librarian", None)) is not None:
            await librarian.close()
            self._database.close()
