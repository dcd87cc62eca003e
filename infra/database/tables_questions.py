"""Tables of questions and their answers: what was asked, what was found, what was said, and what people made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Text
from sqlmodel import Field, SQLModel

from infra.database.tables import new_id, now


class Conversation(SQLModel, table=True):
    """Questions that follow each other."""

    __tablename__ = "conversations"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    owner_id: str = Field(foreign_key="users.id", index=True)
    title: str = Field(description="The first question, or what its owner called it.")
    collections: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False), description="Ids of those asked last.")
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    updated_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False, index=True))


class RagQuery(SQLModel, table=True):
    """A question, as it was asked."""

    __tablename__ = "rag_queries"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    conversation_id: str = Field(foreign_key="conversations.id", index=True)
    owner_id: str = Field(foreign_key="users.id", index=True)
    question: str = Field(sa_column=Column(Text, nullable=False))
    asked: str = Field(sa_column=Column(Text, nullable=False), description="What was searched: a follow-up with what it follows.")
    collections: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False), description="Ids.")
    config: str = Field(default="fast", description="Configuration of the search.")
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class RagResponse(SQLModel, table=True):
    """The answer to a question, with all that it rests on."""

    __tablename__ = "rag_responses"  # pyright: ignore[reportAssignmentType]

    id: str = Field(default_factory=new_id, primary_key=True)
    query_id: str = Field(foreign_key="rag_queries.id", index=True, unique=True)
    answer: str = Field(sa_column=Column(Text, nullable=False))
    abstained: bool = False
    confidence: float = Field(default=0.0, description="Probability that the documents answer the question.")
    sentences: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    passages: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    models: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False), description="Versions and digests.")
    seconds: dict[str, float] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False), description="By stage, and in all.")
    trace_id: str | None = Field(default=None, description="MLflow's.")
    feedback: int | None = Field(default=None, description="1 thumb up, -1 thumb down.")
    comment: str = ""
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class TraceDeletion(SQLModel, table=True):
    """A trace in MLflow whose answer was deleted; the row goes when the trace is gone."""

    __tablename__ = "trace_deletions"  # pyright: ignore[reportAssignmentType]

    trace_id: str = Field(primary_key=True)
    asked_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
