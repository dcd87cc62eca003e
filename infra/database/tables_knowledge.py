"""Tables of the knowledge room: collections, who may use them, their documents and chunks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from infra.database.tables import new_id, now


class Collection(SQLModel, table=True):
    """A named set of documents. Its index is a cache: the documents' texts and vectors are in the object store."""

    __tablename__ = "collections"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("owner_id", "name", name="uq_collection_name"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    owner_id: str = Field(foreign_key="users.id", index=True)
    name: str = Field(index=True)
    description: str = ""
    shared: bool = Field(default=False, description="Everybody who signs in may read it.")
    embedding_model: str = Field(default="", description="Digest of the model whose vectors it holds; another one needs a rebuild.")
    dimensions: int = Field(default=384)
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class CollectionMember(SQLModel, table=True):
    """A person who may use a collection that is not theirs."""

    __tablename__ = "collection_members"  # pyright: ignore[reportAssignmentType]

    collection_id: str = Field(foreign_key="collections.id", primary_key=True)
    user_id: str = Field(foreign_key="users.id", primary_key=True)
    right: str = Field(default="read", description="read, write")


class KbDocument(SQLModel, table=True):
    """A document of a collection. A new version takes its place when its chunks are ready, in one transaction."""

    __tablename__ = "kb_documents"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("collection_id", "name", name="uq_document_name"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    collection_id: str = Field(foreign_key="collections.id", index=True)
    name: str = Field(description="Record's id, or path relative to the folder that was added; unique in the collection.")
    version: int = Field(default=1, description="Raised each time the document is added again with other content.")
    state: str = Field(default="queued", index=True, description="queued, reading, embedding, ready, failed")
    progress: str = Field(default="", description="For a person: 'reading page 12 of 80'.")
    fraction: float = Field(default=0.0, description="Share of the work done, 0 to 1.")
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    job_id: str | None = Field(default=None, index=True, description="The job that adds it, or added it last; None for one without a row.")
    media_type: str = ""
    size: int = 0
    sha256: str = Field(default="", index=True, description="Of the file as it was added; the same content is not read twice.")
    key: str | None = Field(default=None, description="Object (bucket kb-raw) with the file; None for a record.")
    text_key: str | None = Field(default=None, description="Object (bucket kb-raw) with what was read from it, as JSON.")
    vectors_key: str | None = Field(default=None, description="Object (bucket kb-vectors) with its chunks' vectors, in their order.")
    title: str | None = None
    organisation: str | None = Field(default=None, index=True)
    kind: str | None = Field(default=None, description="10-k, policy, regulation, article ...")
    year: int | None = Field(default=None, index=True, description="Year of the period that it is about.")
    quarter: int | None = None
    date: str | None = Field(default=None, description="ISO date that it bears.")
    language: str | None = None
    also: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False), description="Other names of the organisation.")
    edited: list[str] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False), description="Facts a person corrected: not overwritten."
    )
    pages: int | None = Field(default=None, description="None where the format has no pages.")
    chunk_count: int = 0
    warnings: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))
    updated_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class KbVersion(SQLModel, table=True):
    """A version of a document that another took the place of: its file and text, no chunks."""

    __tablename__ = "kb_versions"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("document_id", "version", name="uq_document_version"),)

    id: int | None = Field(default=None, primary_key=True)
    collection_id: str = Field(foreign_key="collections.id", index=True)
    document_id: str = Field(foreign_key="kb_documents.id", index=True)
    version: int
    media_type: str = ""
    size: int = 0
    sha256: str = Field(description="Of the file.")
    key: str = Field(description="Object (bucket kb-raw) with the file.")
    text_key: str = Field(description="Object (bucket kb-raw) with what was read from it, alone in an archive.")
    title: str | None = None
    pages: int | None = None
    replaced_at: datetime = Field(default_factory=now, sa_column=Column(DateTime(timezone=True), nullable=False))


class KbChunk(SQLModel, table=True):
    """A passage of a document. Its id is its id in the index, so it is never used again."""

    __tablename__ = "kb_chunks"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_chunk_place", "document_id", "position"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    collection_id: str = Field(foreign_key="collections.id", index=True)
    document_id: str = Field(foreign_key="kb_documents.id", index=True)
    position: int = Field(description="In the document, from 0.")
    start: int = Field(description="First character in the document's text.")
    end: int = Field(description="One past the last.")
    page: int | None = None
    last_page: int | None = None
    kind: str = "paragraph"
    headings: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    context: str = Field(default="", description="Embedded before the text: headings, names of a table's columns.")
    text: str = Field(sa_column=Column(Text, nullable=False), description="Exactly what stands at its offsets.")
    search_text: str | None = Field(default=None, sa_column=Column(Text), description="What a person wrote to be searched in its place.")
    tokens: int = 0
    enabled: bool = Field(default=True, description="Switched off: in no answer.")
