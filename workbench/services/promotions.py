"""Watching MLflow's alias ``champion``, and bringing its changes to the replicas that run.

Every ``mlflow.poll_seconds``:

1. MLflow's server is asked by one small request (MLflow itself is not imported here) which versions its aliases name.
   Where they differ from the snapshot in the data folder, a child process reads MLflow and writes the snapshot anew,
   leaving out versions that do not qualify.
2. Where the snapshot (which the command line writes, too) names another champion than the replicas were last told of,
   every replica is told: it loads the new one beside the old one, tests it, and then swaps. A version that a replica
   cannot load is refused: the old one goes on serving, also after a restart, and ``GET /models`` says why.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx

from infra.errors import WorkbenchError
from infra.telemetry import logger
from serving.cluster.remote import passing, refresh_replicas
from serving.mlflow_server import find_server
from serving.registry.refusals import read_refusals, refuse
from serving.registry.versions import registered_name
from serving.roles import role_names
from workbench.services.context import Services

log = logger(__name__)


class Promotions:
    """The poller of one gateway."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        seconds = self._services.settings.mlflow.poll_seconds
        while seconds:
            await asyncio.sleep(seconds)
            try:
                await self.look()
            except Exception as error:
                log.warning("the champions could not be looked at", error=f"{type(error).__name__}: {str(error)[:300]}")

    async def look(self) -> dict[str, str]:
        """One look; gives the roles that another version serves now."""
        if await self._alias_changed():
            await self._read_mlflow()
        cluster = self._services.cluster
        if cluster is None or not cluster.connected:
            return {}
        changed: dict[str, str] = {}
        for role, ref in (await asyncio.to_thread(self._services.champions)).items():
            if self._told.get(role) != ref.version and await self._tell(role, ref.version):
                changed[role] = ref.version
        return changed

    async def _tell(self, role: str, version: str) -> bool:
        before = self._told.get(role)
        try:
            serving = await refresh_replicas(role)
        except WorkbenchError as error:
            if passing(error):
                return False  # starting or restarting: asked again at the next look
            log.error("a champion was refused", role=role, version=version, code=error.code, error=error.message)
            if before is not None:
                why = f"Loading failed: {error.message}"
                await asyncio.to_thread(refuse, self._services.settings, role, version, why, instead=before)
                await self._tell_old(role, before)
            return False
        self._told[role] = version
        if before is None or not serving:
            return False  # the first look: the replicas took the champion when they started
        log.info("a champion was promoted", role=role, version=version, before=before, replicas=len(serving))
        return True

    async def _tell_old(self, role: str, version: str) -> None:
        """Replicas that did load what others could not go back to the old one."""
        try:
            await refresh_replicas(role)
        except WorkbenchError as error:
            log.error("the former champion could not be taken again", role=role, version=version, error=error.message)

    async def _alias_changed(self) -> bool:
        server = find_server(self._services.settings)
        if server is None:
            return False
        try:
            async with server.client(seconds=5) as client:
                answer = await client.get("/api/2.0/mlflow/registered-models/search", params={"max_results": 100})
                answer.raise_for_status()
                named = _champions(answer.json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return False  # MLflow is away or starting: what serves goes on
        refused = {role: refusal.version for role, refusal in read_refusals(self._services.settings).items()}
        serving = {role: ref.version for role, ref in self._services.champions().items()}
        return any(number not in (serving.get(role), refused.get(role)) for role, number in named.items() if role in serving)

    async def _read_mlflow(self) -> None:
        """In a process of its own: MLflow would make the gateway some hundred megabytes larger."""
        command = (
            sys.executable,
            "-m",
            "serving.registry.mlflow_registry",
            "--home",
            str(self._services.settings.home.resolve()),
            "--refresh",
        )
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
        try:
            _, said = await child.communicate()
        except asyncio.CancelledError:
            child.kill()
            raise
        if child.returncode:
            raise RuntimeError(said.decode("utf-8", "replace")[-300:])


def _champions(said: dict[str, Any]) -> dict[str, str]:
    """Role to the version that its alias ``champion`` names, from MLflow's answer."""
    names = {registered_name(role): role for role in role_names()}
    found = {}
    for model in said.get("registered_models") or []:
        for alias in model.get("aliases") or []:
            if model["name"] in names and alias["alias"] == "champion":
                found[names[model["name"]]] = str(alias["version"])
    return found
