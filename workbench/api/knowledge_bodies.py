"""What the routes below ``/mlops/kb`` take and give."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.api.contract import Whole
from workbench.services.knowledge import ChunkCard, CollectionCard, DocumentCard, VersionCard
from workbench.services.knowledge.chunks import LONGEST


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewCollection(Body):
    """A collection to make."""

    name: str = Field(max_length=200)
    description: str = Field("", max_length=2000)
    shared: bool = Field(False, description="Everyone who signs in can read it.")


class CollectionChange(Body):
    """What is left out stays."""

    name: str | None = Field(None, max_length=200)
    description: str | None = Field(None, max_length=2000)
    shared: bool | None = None


class MemberRight(Body):
    """What a member may do."""

    right: Literal["read", "write"]


class FileToAdd(Body):
    """A file that was uploaded."""

    upload: str = Field(description="Id of the upload.")
    name: str | None = Field(None, max_length=1000, description="Name of the document, with folders; by default the file's name.")


class DocumentsToAdd(Body):
    """Files for one job."""

    collection: str = Field(max_length=200, description="Name or ID; created if missing.")
    files: list[FileToAdd] = Field(min_length=1, max_length=20_000)


class FactsChange(Body):
    """Facts to correct; what is left out stays, null takes a fact away."""

    title: str | None = Field(None, max_length=500)
    organisation: str | None = Field(None, max_length=300)
    kind: str | None = Field(None, max_length=100)
    year: int | None = Field(None, ge=1000, le=3000)
    quarter: int | None = Field(None, ge=1, le=4)
    date: str | None = Field(None, pattern=r"^\d{4}-\d\d-\d\d$")
    language: str | None = Field(None, pattern=r"^[a-z]{2}$")


class ChunkChange(Body):
    """What is left out stays."""

    enabled: bool | None = Field(None, description="Disabled chunks are excluded from answers.")
    search_text: str | None = Field(None, max_length=LONGEST, description="Text used for searching; empty: the text of the chunk.")


Value = str | Whole | list[str | Whole]
Filter = Literal["organisation", "kind", "year", "quarter", "language", "document"]
State = Literal["queued", "reading", "embedding", "ready", "failed", "working"]


class Search(Body):
    """Either one query or many."""

    query: str | None = Field(None, max_length=20_000)
    queries: list[str] | None = Field(None, min_length=1, max_length=1024)
    k: int = Field(10, ge=1, le=1000)
    filters: dict[Filter, Value] = Field(default_factory=dict, description="Allowed values by document property.")
    config: Literal["fast", "accurate"] = "fast"


class SearchSeveral(Body):
    """One query to several collections."""

    collections: list[str] = Field(min_length=1, max_length=20)
    query: str = Field(max_length=20_000)
    k: int = Field(10, ge=1, le=1000)
    filters: dict[Filter, Value] = Field(default_factory=dict)
    config: Literal["fast", "accurate"] = "fast"


def collection_view(card: CollectionCard) -> dict[str, Any]:
    return {**asdict(card), "created_at": card.created_at.isoformat()}


def document_view(card: DocumentCard) -> dict[str, Any]:
    return {**asdict(card), "created_at": card.created_at.isoformat(), "updated_at": card.updated_at.isoformat()}


def version_view(card: VersionCard) -> dict[str, Any]:
    return {**asdict(card), "replaced_at": card.replaced_at.isoformat()}


def chunk_view(card: ChunkCard) -> dict[str, Any]:
    return asdict(card)
