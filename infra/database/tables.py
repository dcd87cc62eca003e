"""The tables. Times are UTC; ids that leave the house are random hex; JSON columns hold small values only."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Index, UniqueConstraint
from sqlmodel import Field, SQLModel


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return secrets.token_hex(12)


class User(SQLModel, table=True):
    """A person. Without a password hash, only a one-time link signs in."""

    __tablename__ = "users"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    name: str = Field(index=True, unique=True)
    role: str = Field(description="owner, promoter, member: see infra.database.people")
    password_hash: str | None = None
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    disabled_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)), description="Refused everywhere since.")


class UserSession(SQLModel, table=True):
    """A browser that is signed in; its cookie is the id, signed. It holds until it expires or is ended."""

    __tablename__ = "user_sessions"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    user_id: str = Field(foreign_key="users.id", index=True)
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ended_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class ApiToken(SQLModel, table=True):
    """A token for the CLI and HTTP; only its sha256 is kept."""

    __tablename__ = "api_tokens"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    user_id: str = Field(foreign_key="users.id", index=True)
    name: str
    token_sha256: str = Field(unique=True, index=True)
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    last_used_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)), description="To some minutes.")
    revoked_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class SignInLink(SQLModel, table=True):
    """A one-time sign-in link; only the sha256 of its secret is kept."""

    __tablename__ = "sign_in_links"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    user_id: str = Field(foreign_key="users.id", index=True)
    secret_sha256: str = Field(unique=True, index=True)
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    used_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class Upload(SQLModel, table=True):
    """A file someone sent. Its bytes are the object (bucket uploads-raw, key) named by its sha256."""

    __tablename__ = "uploads"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    owner_id: str = Field(foreign_key="users.id", index=True)
    name: str
    media_type: str
    size: int
    sha256: str = Field(index=True)
    key: str
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class AnalysisJob(SQLModel, table=True):
    """A durable job. Its id is the id of its DBOS workflow; its choices stand here, and the steps read them."""

    __tablename__ = "analysis_jobs"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("owner_id", "idempotency_key", name="uq_job_idempotency"),
        Index("ix_job_owner_created", "owner_id", "created_at"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    owner_id: str = Field(foreign_key="users.id", index=True)
    pipeline: str = Field(index=True)
    title: str
    state: str = Field(default="queued", index=True, description="queued, running, done, failed, cancelled")
    stage: str | None = None
    fraction: float = Field(default=0.0, description="Share of the work done, 0 to 1.")
    plan: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    input: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    code_version: str = Field(default="", description="Version of the program that took the job.")
    idempotency_key: str | None = None
    parent_id: str | None = Field(default=None, description="The job this one was forked from.")
    correlation_id: str | None = None
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    finished_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class JobEvent(SQLModel, table=True):
    """Something that happened to a job: what pages and sockets show as progress."""

    __tablename__ = "job_events"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(foreign_key="analysis_jobs.id", index=True)
    kind: str = Field(description="queued, started, progress, finished, retrying, failed, done, cancelled")
    stage: str | None = None
    message: str = ""
    fraction: float | None = None
    seconds: float | None = None
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class AnalysisResult(SQLModel, table=True):
    """What a finished job left: a summary, its artifacts in the object store, and the models that took part."""

    __tablename__ = "analysis_results"  # pyright: ignore[reportAssignmentType]

    job_id: str = Field(foreign_key="analysis_jobs.id", primary_key=True)
    kind: str
    summary: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    artifacts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False), description="name -> ObjectInfo")
    models: list[Any] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class Notification(SQLModel, table=True):
    """A sentence for a person, shown until read."""

    __tablename__ = "notifications"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    user_id: str = Field(foreign_key="users.id", index=True)
    job_id: str | None = Field(default=None, foreign_key="analysis_jobs.id")
    text: str
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    read_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class AuditEvent(SQLModel, table=True):
    """Who did what, for the record. Never changed."""

    __tablename__ = "audit_events"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    user_id: str | None = Field(default=None, index=True)
    action: str = Field(index=True)
    subject: str = ""
    details: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    correlation_id: str | None = None
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
