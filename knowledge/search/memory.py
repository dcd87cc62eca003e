"""Chunks kept in memory: for notebooks, benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from knowledge.chunking import ChunkOptions, TokenCounter, chunk_document, embedding_text
from knowledge.index import Entry
from knowledge.metadata import Catalog, Facts, extract_facts
from knowledge.reading import Document
from knowledge.search.passages import StoredChunk


class MemoryChunks:
    """A collection without a database."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._facts: dict[str, Facts] = {}
        self._chunks: dict[int, StoredChunk] = {}
        self._catalog: Catalog | None = None

    def add(self, document: Document, counter: TokenCounter, options: ChunkOptions | None = None) -> tuple[list[Entry], list[str]]:
        """Chunk a document; gives what the index is to hold and the texts to embed for it."""
        facts = extract_facts(document)
        title = facts.title or document.title
        entries, texts = [], []
        self._texts[document.name], self._facts[document.name], self._catalog = document.text, facts, None
        tags = (*facts.tags(), f"document:{document.name}".lower())
        for chunk in chunk_document(document, counter, options):
            identifier = len(self._chunks) + 1
            self._chunks[identifier] = StoredChunk(
                identifier, document.name, chunk.index, chunk.start, chunk.end, chunk.text, chunk.page, title, chunk.headings
            )
            text = embedding_text(title, chunk.context, chunk.text)
            entries.append(Entry(identifier, text, document.language or "en", tags))
            texts.append(text)
        return entries, texts

    def get(self, ids: Iterable[int]) -> Mapping[int, StoredChunk]:
        return {i: self._chunks[i] for i in ids if i in self._chunks}

    def span(self, document: str, start: int, end: int) -> str:
        return self._texts[document][start:end]

    def catalog(self) -> Catalog:
        if self._catalog is None:
            self._catalog = Catalog(self._facts)
        return self._catalog
