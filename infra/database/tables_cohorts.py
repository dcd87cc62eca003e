"""Tables of cohorts: many scans that were sent together, each with its job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, UniqueConstraint
from sqlmodel import Field, SQLModel

from infra.database.tables import new_id, now


class Cohort(SQLModel, table=True):
    """Scans that belong together. Its state is that of its jobs."""

    __tablename__ = "cohorts"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    owner_id: str = Field(foreign_key="users.id", index=True)
    title: str
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False), description="Of every scan's job.")
    study: bool = Field(default=False, description="The scans are the sequences of one person's visit: their lesions are told once.")
    merged: dict[str, Any] = Field(
        default_factory=dict,
        sa_column=Column(JSON, nullable=False),
        description="Of a study: which jobs were brought together (of), and the files (artifacts) or the error that this left.",
    )
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class CohortScan(SQLModel, table=True):
    """One scan of a cohort. Scans of the same content share a job."""

    __tablename__ = "cohort_scans"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("cohort_id", "name", name="uq_cohort_scan_name"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    cohort_id: str = Field(foreign_key="cohorts.id", index=True)
    name: str = Field(description="Path below the cohort's folder; for people to read.")
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False), description="participant, session ...")
    upload_id: str = Field(foreign_key="uploads.id")
    job_id: str = Field(foreign_key="analysis_jobs.id", index=True)
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
