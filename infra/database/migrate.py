"""Bring the tables to this program's version, at start."""

from __future__ import annotations

from pathlib import Path

from infra.database.engine import Database
from infra.errors import ConfigurationError

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Run what Alembic migrations are missing; all of them in one transaction where the database can.

    Raises:
        ConfigurationError: the tables were made by a newer program.
    """
    # Imported here: nine megabytes and most of a second that replicas, which never migrate, do without.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            if "Can't locate revision" in str(error):
                head = ScriptDirectory.from_config(config).get_current_head()
                raise ConfigurationError(
                    f"The database {database.engine.url.database} was made by a newer workbench (this one knows up to {head}). "
                    "Use that newer version, or another data folder."
                ) from error
            raise
