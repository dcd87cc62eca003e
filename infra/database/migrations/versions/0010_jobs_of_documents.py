"""documents name the job that adds them"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.batch_alter_table("kb_documents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("job_id", sa.String(), nullable=True))
        batch_op.create_index(batch_op.f("ix_kb_documents_job_id"), ["job_id"], unique=False)
