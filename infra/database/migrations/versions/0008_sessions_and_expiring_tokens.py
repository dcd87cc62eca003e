"""sessions that end on the server, tokens that expire, people who are disabled

Everybody signs in once more. Tokens that had no end get one, 90 days from now.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    text, moment = sqlmodel.sql.sqltypes.AutoString, sa.DateTime(timezone=True)
    op.create_table(
        "user_sessions",
        sa.Column("id", text(), nullable=False),
        sa.Column("user_id", text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("user_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_user_sessions_user_id"), ["user_id"], unique=False)
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("session_epoch")
        batch_op.add_column(sa.Column("disabled_at", moment, nullable=True))
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expires_at", moment, nullable=True))
        batch_op.add_column(sa.Column("last_used_at", moment, nullable=True))
    tokens = sa.table("api_tokens", sa.column("expires_at", moment))
    op.execute(tokens.update().values(expires_at=datetime.now(UTC) + timedelta(days=90)))
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.alter_column("expires_at", existing_type=moment, nullable=False)
