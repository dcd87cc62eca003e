"""Alembic's entry: the connection is handed in by :func:`infra.database.migrate.migrate`."""

from alembic import context
from sqlmodel import SQLModel

import infra.database.tables  # fills the metadata
import infra.database.tables_cohorts
import infra.database.tables_compliance
import infra.database.tables_knowledge
import infra.database.tables_questions  # noqa: F401

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
