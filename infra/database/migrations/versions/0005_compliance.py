"""requirements, compliance analyses, verdicts and reviews"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=nullable)


def _time(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _json(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.JSON(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "policy_states",
        _text("collection_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        _json("extracted"),
        _time("updated_at"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"]),
        sa.PrimaryKeyConstraint("collection_id"),
    )
    op.create_table(
        "requirements",
        _text("id"),
        _text("requirement_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        _text("collection_id"),
        _text("document_id", nullable=True),
        _text("label"),
        sa.Column("text", sa.Text(), nullable=False),
        *(_text(name) for name in ("modality", "severity", "topic", "subject", "action", "condition", "exception")),
        _json("source", nullable=True),
        _text("origin"),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("edited", sa.Boolean(), nullable=False),
        _text("merged_into", nullable=True),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=True),
        _text("changed_by", nullable=True),
        _time("created_at"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"]),
        sa.ForeignKeyConstraint(["changed_by"], ["users.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("requirement_id", "version", name="uq_requirement_version"),
    )
    _index("requirements", "requirement_id", "collection_id", "document_id")
    op.create_index("ix_requirement_current", "requirements", ["collection_id", "until"])
    op.create_table(
        "analysis_requests",
        _text("id"),
        _text("owner_id"),
        _text("job_id", nullable=True),
        _text("upload_id", nullable=True),
        _text("document"),
        _text("sha256"),
        _json("policies"),
        _text("requirements_key"),
        _time("created_at"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"]),
        sa.ForeignKeyConstraint(["job_id"], ["analysis_jobs.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("analysis_requests", "owner_id", "job_id", "sha256")
    op.create_table(
        "compliance_analyses",
        _text("id"),
        _text("owner_id"),
        _text("document"),
        sa.Column("score", sa.Float(), nullable=False),
        _text("risk"),
        sa.Column("first_score", sa.Float(), nullable=False),
        *(_json(name) for name in ("grade", "counts", "own", "models", "seconds", "warnings")),
        _text("text_key"),
        _time("created_at"),
        sa.ForeignKeyConstraint(["id"], ["analysis_requests.id"]),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("compliance_analyses", "owner_id", "created_at")
    op.create_table(
        "policy_matches",
        _text("id"),
        _text("analysis_id"),
        sa.Column("position", sa.Integer(), nullable=False),
        _text("requirement_id"),
        _json("requirement"),
        _text("verdict"),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("satisfied", "violated", "not_addressed")),
        sa.Column("conflict", sa.Boolean(), nullable=False),
        sa.Column("uncertainty", sa.Float(), nullable=False),
        _json("evidence"),
        _text("reviewed", nullable=True),
        sa.ForeignKeyConstraint(["analysis_id"], ["compliance_analyses.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("analysis_id", "position", name="uq_match_position"),
    )
    _index("policy_matches", "analysis_id", "requirement_id")
    op.create_table(
        "reviews",
        _text("id"),
        _text("match_id"),
        _text("analysis_id"),
        _text("user_id"),
        _text("verdict"),
        sa.Column("agreed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _time("created_at"),
        sa.ForeignKeyConstraint(["match_id"], ["policy_matches.id"]),
        sa.ForeignKeyConstraint(["analysis_id"], ["compliance_analyses.id"]),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("reviews", "match_id", "analysis_id", "user_id")


def _index(table: str, *columns: str) -> None:
    with op.batch_alter_table(table, schema=None) as batch_op:
        for column in columns:
            batch_op.create_index(batch_op.f(f"ix_{table}_{column}"), [column], unique=False)
