"""What a search gives, and what it needs to know of what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from knowledge.metadata import Catalog


@dataclass(frozen=True)
class Passage:
    """A cited span of a document.

    Attributes:
        document: record's id, or path relative to the folder that was added; unique in its collection.
        page: page (from 1) that the span begins on; None where the document has no pages.
        start, end: characters of the document's text; ``text`` is exactly what stands there.
        score: 0 to 1, comparable within one answer only.
        headings: above the passage, outermost first.
        chunks: ids of the chunks it is made of.
    """

    document: str
    title: str | None
    page: int | None
    start: int
    end: int
    text: str
    score: float
    headings: tuple[str, ...] = ()
    chunks: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The contract of ``workbench kb search --json``."""
        return {
            "document": self.document,
            "title": self.title,
            "page": self.page,
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "score": round(self.score, 6),
        }


@dataclass(frozen=True)
class StoredChunk:
    """A chunk as the database has it; ``content`` is its document's sha256, the same for two copies of one file."""

    id: int
    document: str
    index: int
    start: int
    end: int
    text: str
    page: int | None
    title: str | None
    headings: tuple[str, ...] = ()
    content: str = ""


class Chunks(Protocol):
    """Where chunks are kept: the database, or memory in a test."""

    def get(self, ids: Iterable[int]) -> Mapping[int, StoredChunk]:
        """Those that are there and switched on."""
        ...

    def span(self, document: str, start: int, end: int) -> str:
        """Characters of a document's text."""
        ...

    def catalog(self) -> Catalog:
        """What the documents are, to understand what a question names."""
        ...


class Vectors(Protocol):
    @property
    def vectors(self) -> np.ndarray: ...


class Embedder(Protocol):
    """Texts to unit vectors; the embedding role fulfils it."""

    async def embed(self, texts: Sequence[str], /) -> Vectors: ...


class Reranker(Protocol):
    """How well passages answer a question, 0 to 1 each; the pipeline makes one of the entailment role."""

    async def rerank(self, question: str, passages: Sequence[str], /) -> np.ndarray: ...
