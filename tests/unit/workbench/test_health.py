"""The workbench is not ready while jobs do not go on, and says why."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from infra.database import Database, migrate
from infra.errors import Unavailable
from infra.settings import Settings
from workbench.services import health
from workbench.services.cluster import Cluster
from workbench.services.context import Services, make_services

PARTS = ("runner", "imaging", "segmentation", "embedding", "llm", "entailment")
GOES_ON = {"running": 1, "stalled": 0, "trouble": None}


class Runs(Cluster):
    """A cluster that answers; what its runner says of the queue is given."""

    def __init__(self, settings: Settings, said: dict | Exception) -> None:
        super().__init__(settings)
        self.connected, self.said = True, said

    async def queue(self) -> dict:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def services(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Services:
    migrate(Database(settings.database_url))

    async def deployments(services: Services) -> dict:
        return dict.fromkeys(PARTS, ("ready", "1 replica answers."))

    monkeypatch.setattr(health, "deployments", deployments)
    return make_services(settings)


async def reasons(services: Services, said: dict | Exception) -> dict[str, str]:
    services.cluster = Runs(services.settings, said)
    return health.waiting_for(await health.look(services))


async def test_ready_while_jobs_go_on(services: Services):
    assert await reasons(services, GOES_ON) == {}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({**GOES_ON, "trouble": "The disk is full: free some space."}, "Job queue stalled: The disk is full"),
        ({**GOES_ON, "stalled": 2}, "2 jobs made no progress"),
        (Unavailable("It is restarting."), "It is restarting."),
    ],
)
async def test_not_ready_while_the_queue_stalls(services: Services, said: dict | Exception, sentence: str):
    found = await reasons(services, said)
    assert set(found) == {"queue"} and sentence in found["queue"]


async def test_not_ready_on_a_full_disk(services: Services, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: SimpleNamespace(free=3_000_000))
    found = await reasons(services, GOES_ON)
    assert set(found) == {"storage"} and "3 MB are free" in found["storage"]
