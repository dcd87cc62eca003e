"""One Ray cluster with the whole application, started once and used by every integration test that asks for it."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.settings import Settings, load_settings
from serving.roles import Roles


@dataclass(frozen=True)
class Served:
    """A running application.

    Attributes:
        settings: the settings it runs with (a data folder of the session's own).
        address: its Ray cluster, which this process has joined.
        roles: its models.
    """

    settings: Settings
    address: str
    roles: Roles


@pytest.fixture(scope="session")
def served_home() -> Iterator[Path]:
    """The session's data folder; short, since Ray puts sockets below it."""
    home = Path(tempfile.mkdtemp(prefix="wbi", dir="/tmp"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def served(served_home: Path) -> Iterator[Served]:
    """The application as `workbench up` deploys it: models, pipelines, runner; one cluster a session."""
    import ray
    from ray import serve

    from pipelines.application import compose
    from serving.cluster.application import deploy
    from serving.cluster.head import join, start_head
    from serving.cluster.remote import serve_roles

    settings = load_settings(home=served_home, ray={"object_store_mb": 512})
    head = start_head(settings)
    try:
        join(head.address, settings)
        deploy(settings, functools.partial(compose, settings=settings))
        yield Served(settings, head.address, serve_roles())
    finally:
        serve.shutdown()
        ray.shutdown()
        head.stop()
