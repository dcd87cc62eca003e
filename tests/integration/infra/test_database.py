"""The tables and their migrations, on SQLite and on a real Postgres."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel, select

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, User
from infra.errors import ConfigurationError


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'w.sqlite'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database(url)
    yield database
    database.close()


def test_migrations_make_exactly_the_tables_and_twice_is_once(database):
    migrate(database)
    migrate(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_row_comes_back(database):
    migrate(database)
    with database.session() as session:
        user = User(name="owner", role="owner")
        session.add(user)
        session.flush()
        session.add(AnalysisJob(owner_id=user.id, pipeline="imaging", title="scan", plan=["a", "b"], input={"key": "x"}))
    with database.session() as session:
        job = session.exec(select(AnalysisJob)).one()
        assert (job.plan, job.input, job.state) == (["a", "b"], {"key": "x"}, "queued")


def test_an_error_rolls_back(database):
    migrate(database)
    with pytest.raises(RuntimeError), database.session() as session:
        session.add(User(name="half", role="member"))
        session.flush()
        raise RuntimeError
    with database.session() as session:
        assert session.exec(select(User)).all() == []


def test_tables_of_a_newer_program_are_refused(database):
    migrate(database)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer workbench"):
        migrate(database)
