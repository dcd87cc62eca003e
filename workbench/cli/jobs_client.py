"""Jobs as the command line sees them: through the running workbench, or in the tables where none runs."""

from __future__ import annotations

import asyncio
from typing import Any

from infra.errors import Conflict, NotFound
from infra.settings import Settings
from workbench.cli.running import Client


class RunningJobs:
    """Over HTTP."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, limit: int) -> list[dict[str, Any]]:
        return self._client.get("/jobs", limit=limit)["jobs"]

    def show(self, job_id: str) -> dict[str, Any]:
        return self._client.get(f"/jobs/{self._whole(job_id)}/events")

    def retry(self, job_id: str, from_stage: str | None, models: dict[str, str]) -> dict[str, Any]:
        return self._client.post(f"/jobs/{self._whole(job_id)}/retry", {"from_stage": from_stage, "models": models})

    def cancel(self, job_id: str) -> dict[str, Any]:
        return self._client.post(f"/jobs/{self._whole(job_id)}/cancel")

    def _whole(self, job_id: str) -> str:
        return job_id if len(job_id) >= 24 else whole_id(job_id, [job["id"] for job in self.list(500)])


class LocalJobs:
    """In the tables, as the owner. What is begun here runs at the next ``workbench up``."""

    def __init__(self, settings: Settings) -> None:
        from infra.database import Database, migrate
        from infra.datafolder import DataFolder
        from pipelines.jobs.service import Jobs
        from workbench.accounts import Accounts

        folder = DataFolder(settings.home).make()
        database = Database(settings.database_url)
        migrate(database)
        self._owner = Accounts(settings, database, folder).ensure_owner().id
        self._jobs = Jobs(settings, database)

    def list(self, limit: int) -> list[dict[str, Any]]:
        from workbench.api.jobs import job_view

        return [job_view(job) for job in asyncio.run(self._jobs.list(self._owner, limit))]

    def show(self, job_id: str) -> dict[str, Any]:
        from workbench.api.jobs import event_view, job_view

        async def work() -> dict[str, Any]:
            job = await self._jobs.get(self._whole(job_id, await self._jobs.list(self._owner, 500)), self._owner)
            return {"job": job_view(job), "events": [event_view(event) for event in await self._jobs.events(job.id)]}

        return asyncio.run(work())

    def retry(self, job_id: str, from_stage: str | None, models: dict[str, str]) -> dict[str, Any]:
        from workbench.api.jobs import job_view

        async def work() -> dict[str, Any]:
            whole = self._whole(job_id, await self._jobs.list(self._owner, 500))
            return job_view(await self._jobs.retry(whole, from_stage, models, owner_id=self._owner))

        return asyncio.run(work())

    def cancel(self, job_id: str) -> dict[str, Any]:
        from workbench.api.jobs import job_view

        async def work() -> dict[str, Any]:
            whole = self._whole(job_id, await self._jobs.list(self._owner, 500))
            return job_view(await self._jobs.cancel(whole, owner_id=self._owner))

        return asyncio.run(work())

    @staticmethod
    def _whole(job_id: str, jobs: list[Any]) -> str:
        return whole_id(job_id, [job.id for job in jobs])


def whole_id(start: str, known: list[str]) -> str:
    """The one id that begins with ``start``.

    Raises:
        NotFound: none does.
        Conflict: several do.
    """
    found = [identifier for identifier in known if identifier.startswith(start)]
    if not found:
        raise NotFound(f"There is no job {start}.")
    if len(found) > 1:
        raise Conflict(f"{len(found)} jobs begin with {start}. Give more of the id.")
    return found[0]
