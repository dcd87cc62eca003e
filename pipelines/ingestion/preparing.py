"""From a file or a record to chunks and the texts to embed for them. Everything here blocks: run it in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from infra.errors import InvalidInput
from infra.settings import Settings
from knowledge.chunking import Chunk, chunk_document, embedded_tokens, embedding_text
from knowledge.library import Listed, Source
from knowledge.metadata import Facts, extract_facts
from knowledge.reading import Document, Limits, read_document
from knowledge.reading.reader import Watcher

READ_WELL = frozenset({"en"})  # by the embedded models


@dataclass(frozen=True)
class Chunked:
    """A document that waits for its vectors; ``texts`` are what is embedded, one a chunk."""

    document: Document
    chunks: Sequence[Chunk]
    texts: Sequence[str]
    facts: Facts
    source: Source


def read_file(path: Path, item: Listed, settings: Settings, watch: Watcher) -> Chunked:
    """Read and chunk a file.

    Raises:
        InvalidInput: it cannot be read, or holds no text; the message says why.
    """
    limits = Limits(ocr=settings.knowledge.ocr)
    return chunked(read_document(path, limits, name=item.name, on_progress=watch), item)


def chunked(document: Document, item: Listed) -> Chunked:
    """Chunk a document that was read. Raises InvalidInput where it holds no text."""
    if document.empty:
        raise InvalidInput(" ".join(["No text found.", *document.warnings[:2]]))
    if document.language and document.language not in READ_WELL:
        warning = f"The language ({document.language}) is not well supported by the embedded models: search by keywords."
        document = replace(document, warnings=(*document.warnings, warning))
    chunks = chunk_document(document, embedded_tokens())
    facts = extract_facts(document)
    texts = [embedding_text(facts.title, chunk.context, chunk.text) for chunk in chunks]
    return Chunked(document, chunks, texts, facts, Source(item.key, item.size, item.sha256))
