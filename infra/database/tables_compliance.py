"""Tables of the compliance programme: requirements and their versions, analyses, verdicts, reviews."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from infra.database.tables import new_id, now


class PolicyState(SQLModel, table=True):
    """The policy version of a collection: raised by every change to its requirements."""

    __tablename__ = "policy_states"  # pyright: ignore[reportAssignmentType]

    collection_id: str = Field(foreign_key="collections.id", primary_key=True)
    version: int = 0
    extracted: dict[str, str] = Field(
        default_factory=dict, sa_column=Column(JSON, nullable=False), description="Document id to 'its version:the extractor's'."
    )
    updated_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class RequirementRow(SQLModel, table=True):
    """One version of a requirement; the current one has no ``until``. Rows are added, never changed but for ``until``."""

    __tablename__ = "requirements"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("requirement_id", "version", name="uq_requirement_version"),
        Index("ix_requirement_current", "collection_id", "until"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    requirement_id: str = Field(default_factory=new_id, index=True, description="Stable over the versions.")
    version: int = 1
    collection_id: str = Field(foreign_key="collections.id", index=True)
    document_id: str | None = Field(default=None, index=True, description="The policy it was extracted from, as its id.")
    label: str = Field(default="", description="For people: the policy's own number, or the imported id.")
    text: str = Field(sa_column=Column(Text, nullable=False))
    modality: str = Field(default="obligation", description="obligation, prohibition, permission")
    severity: str = Field(default="medium", description="low, medium, high, critical")
    topic: str = ""
    subject: str = ""
    action: str = ""
    condition: str = ""
    exception: str = ""
    source: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON), description="The passage in the policy.")
    origin: str = Field(default="extracted", description="extracted, written, imported, merged")
    enabled: bool = Field(default=True, description="Switched off: in no analysis.")
    edited: bool = Field(default=False, description="A person changed it: extracting again leaves it as it is.")
    merged_into: str | None = Field(default=None, description="The requirement that took its place.")
    since: int = Field(description="Policy version that it came with.")
    until: int | None = Field(default=None, description="Policy version that ended it.")
    changed_by: str | None = Field(default=None, foreign_key="users.id")
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class AnalysisRequest(SQLModel, table=True):
    """What somebody asked to be checked. Its id is the analysis's, too."""

    __tablename__ = "analysis_requests"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    owner_id: str = Field(foreign_key="users.id", index=True)
    job_id: str | None = Field(default=None, foreign_key="analysis_jobs.id", index=True)
    upload_id: str | None = Field(default=None, description="The file; uploads may go before their analyses.")
    document: str = Field(description="The file's name.")
    sha256: str = Field(default="", index=True)
    policies: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False), description="Name, collection, version."
    )
    requirements_key: str = Field(default="", description="Object (bucket analysis-reports) with the requirements as they were.")
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class ComplianceAnalysis(SQLModel, table=True):
    """A finished analysis; score and risk follow the reviews."""

    __tablename__ = "compliance_analyses"  # pyright: ignore[reportAssignmentType]

    id: str = Field(foreign_key="analysis_requests.id", primary_key=True)
    owner_id: str = Field(foreign_key="users.id", index=True)
    document: str
    score: float
    risk: str
    first_score: float = Field(description="Before any review.")
    grade: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False), description="Explanation, cap, matrix.")
    counts: dict[str, int] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False), description="Verdict to how many.")
    own: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False), description="Obligations no policy covers."
    )
    models: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    seconds: dict[str, float] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    warnings: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    text_key: str = Field(description="Object (bucket analysis-reports) with the document as it was read.")
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False, index=True))


class PolicyMatch(SQLModel, table=True):
    """The verdict on one requirement in one analysis."""

    __tablename__ = "policy_matches"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("analysis_id", "position", name="uq_match_position"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    analysis_id: str = Field(foreign_key="compliance_analyses.id", index=True)
    position: int
    requirement_id: str = Field(index=True)
    requirement: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False), description="As it was.")
    verdict: str
    satisfied: float
    violated: float
    not_addressed: float
    conflict: bool = False
    uncertainty: float = 0.0
    evidence: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    reviewed: str | None = Field(default=None, description="What a person decided last.")


class Review(SQLModel, table=True):
    """A person's word on a verdict. Never changed; the latest counts."""

    __tablename__ = "reviews"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    match_id: str = Field(foreign_key="policy_matches.id", index=True)
    analysis_id: str = Field(foreign_key="compliance_analyses.id", index=True)
    user_id: str = Field(foreign_key="users.id", index=True)
    verdict: str
    agreed: bool = Field(description="It is the models' verdict.")
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
