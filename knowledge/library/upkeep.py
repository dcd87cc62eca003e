"""Keeping a collection's index and objects true to its tables: rebuilding, healing after a kill, and what it all takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from sqlmodel import col, func, select

from infra.database.tables_knowledge import KbChunk, KbDocument, KbVersion
from infra.telemetry import logger
from knowledge.index import Entry
from knowledge.library.archives import read_vector_archive
from knowledge.library.documents import Library
from knowledge.library.rows import entry_of, in_parts
from knowledge.library.versions import FOLDER as VERSIONS

log = logger(__name__)

BATCHES = "batches"  # below a collection's id: what its jobs have yet to read


@dataclass(frozen=True)
class Storage:
    """What a collection takes: bytes of files, of texts and batches, of vectors; documents and chunks."""

    files: int
    texts: int
    vectors: int
    documents: int
    chunks: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def rebuild(library: Library) -> int:
    """Fill the index anew from the tables and the stored vectors; gives the number of chunks."""
    library.index.reindex(_entries(library))
    return len(library.index)


def _entries(library: Library) -> Iterator[tuple[Entry, np.ndarray]]:
    """Every chunk of the tables with its stored vector, archive by archive."""
    by_pack: dict[str, list[KbDocument]] = defaultdict(list)
    with library.database.session() as session:
        query = select(KbDocument).where(KbDocument.collection_id == library.collection.id, col(KbDocument.vectors_key).is_not(None))
        for document in session.exec(query.order_by(col(KbDocument.created_at), col(KbDocument.name))):
            by_pack[str(document.vectors_key)].append(document)
    for key, documents in by_pack.items():
        archive = library.store.get(library.vector_bucket, key)
        known = {document.id: document for document in documents}
        rows: dict[str, list[KbChunk]] = defaultdict(list)
        with library.database.session() as session:
            for part in in_parts(list(known)):
                chunks = select(KbChunk).where(col(KbChunk.document_id).in_(part)).order_by(col(KbChunk.position))
                for chunk in session.exec(chunks):
                    rows[chunk.document_id].append(chunk)
        for identifier, chunks in rows.items():
            for chunk, vector in zip(chunks, read_vector_archive(archive, identifier), strict=True):
                yield entry_of(known[identifier], chunk), vector


def heal(library: Library) -> None:
    """Undo what a kill left half done: index entries without a row or the reverse, and objects that no row names."""
    have = library.index.ids()
    with library.database.session() as session:
        query = select(KbChunk.id).where(KbChunk.collection_id == library.collection.id)
        wanted = {identifier for identifier in session.exec(query) if identifier is not None}
    if wanted - have:
        log.warning("index lacks chunks, rebuilt", collection=library.collection.id, missing=len(wanted - have))
        rebuild(library)
    elif have - wanted:
        log.info("index had chunks that are gone", collection=library.collection.id, count=len(have - wanted))
        library.index.remove(have - wanted)
        library.index.save()
    with library.database.session() as session:
        keys = select(KbDocument.text_key, KbDocument.vectors_key, KbDocument.key).where(KbDocument.collection_id == library.collection.id)
        named = {key for row in session.exec(keys) for key in row if key}
        named |= set(session.exec(select(KbVersion.text_key).where(KbVersion.collection_id == library.collection.id)))
    for bucket in (library.raw, library.vector_bucket):
        for info in list(library.store.list(bucket, f"{library.collection.id}/")):
            # Files and batches may belong to a job that has not listed them yet.
            ours = info.key.count("/") == 1 or info.key.startswith(f"{library.collection.id}/{VERSIONS}/")
            if info.key not in named and ours:
                library.store.delete(bucket, info.key)


def storage(library: Library) -> Storage:
    """What the collection takes."""
    prefix = f"{library.collection.id}/"
    files = texts = 0
    for info in library.store.list(library.raw, prefix):
        if info.key.startswith(f"{prefix}files/"):
            files += info.size
        else:
            texts += info.size
    vectors = sum(info.size for info in library.store.list(library.vector_bucket, prefix))
    with library.database.session() as session:
        here = KbDocument.collection_id == library.collection.id
        documents, chunks = session.exec(select(func.count(), func.coalesce(func.sum(KbDocument.chunk_count), 0)).where(here)).one()
    return Storage(files, texts, vectors, int(documents), int(chunks))
