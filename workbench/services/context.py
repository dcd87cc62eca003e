"""What every service works with, made once a process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.database import Database
from infra.datafolder import DataFolder
from infra.errors import Unavailable
from infra.objectstore import ObjectStore, make_object_store
from infra.settings import Settings
from serving.registry.champions import read_champions
from serving.registry.versions import ModelRef
from serving.roles import Roles
from workbench.accounts import Accounts
from workbench.services.background import Background

if TYPE_CHECKING:
    from pipelines.index_service import IndexService
    from pipelines.jobs.service import Jobs
    from workbench.services.cluster import Cluster
    from workbench.services.health import Health


@dataclass
class Services:
    """Everything a service function may use.

    Attributes:
        settings: the program's.
        folder: the data folder.
        database: the tables, migrated.
        store: objects.
        accounts: people and how they sign in.
        jobs: durable jobs.
        connected: the models, once the gateway has reached them; None before.
        index_client: the index service, likewise.
        cluster: the connection to Ray; None where this process uses none.
        health: the last look at the components.
        background: what this process does while nobody waits for it.
    """

    settings: Settings
    folder: DataFolder
    database: Database
    store: ObjectStore
    accounts: Accounts
    jobs: Jobs
    connected: Roles | None = field(default=None)
    index_client: IndexService | None = field(default=None)
    cluster: Cluster | None = field(default=None)
    health: Health | None = field(default=None)
    background: Background = field(default_factory=Background)

    @property
    def roles(self) -> Roles:
        """The models.

        Raises:
            Unavailable: they are still starting (or Ray is being restarted).
        """
        if self.connected is None:
            raise Unavailable("The models are still starting. Try again in a few seconds.")
        return self.connected

    @property
    def index_service(self) -> IndexService:
        """Who keeps the collections.

        Raises:
            Unavailable: it is still starting (or Ray is being restarted).
        """
        if self.index_client is None:
            raise Unavailable("The knowledge base is still starting. Try again in a few seconds.")
        return self.index_client

    def champions(self) -> dict[str, ModelRef]:
        """Which version of each role serves, from the snapshot in the data folder (MLflow is not asked)."""
        return read_champions(self.settings)

    def close(self) -> None:
        """Give back every connection."""
        if self.cluster is not None:
            self.cluster.disconnect()
        self.background.close()
        self.accounts.passwords.close()
        self.jobs.close()
        self.database.close()


def make_services(settings: Settings) -> Services:
    """Services over the settings' data folder; the tables must have been migrated."""
    from pipelines.jobs.service import Jobs

    folder = DataFolder(settings.home).make()
    database = Database(settings.database_url)
    return Services(
        settings=settings,
        folder=folder,
        database=database,
        store=make_object_store(settings),
        accounts=Accounts(settings, database, folder),
        jobs=Jobs(settings, database),
    )
