"""Documents into a collection and out of it: tables, objects and index together.

The tables decide. Search asks them for every chunk it found, so an index that is behind never shows what is gone, and one
that is lost is built again from the tables and the stored vectors.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from infra.database import Database
from infra.database.tables import now
from infra.database.tables_compliance import PolicyState, RequirementRow
from infra.database.tables_knowledge import Collection, CollectionMember, KbChunk, KbDocument, KbVersion
from infra.errors import InvalidInput, NotFound
from infra.objectstore import ObjectStore
from knowledge.chunking import Chunk
from knowledge.index import Index
from knowledge.library.archives import MEDIA_TYPE, read_document_archive, read_vector_archive, text_archive, vector_archive, without
from knowledge.library.rows import (
    FACT_FIELDS,
    Prepared,
    Source,
    chunk_ids,
    chunk_of,
    chunk_row,
    entry_of,
    fill,
    in_parts,
    rows_meant,
    rows_named,
)
from knowledge.library.states import Listed
from knowledge.library.versions import forget_versions, keep_texts, note_versions
from knowledge.metadata import Facts
from knowledge.reading import Document

Gone = tuple[str, str | None, str | None]  # id, text_key and vectors_key of what an archive is to lose


class Library:
    """One collection's documents.

    Args:
        database, store: of the workbench.
        collection: the collection.
        index: its index; this process is the one that writes it.
        raw, vectors: names of the buckets. A collection's objects are those whose keys begin with its id.
    """

    def __init__(self, database: Database, store: ObjectStore, collection: Collection, index: Index, *, raw: str, vectors: str) -> None:
        self.database, self.store, self.collection, self.index = database, store, collection, index
        self.raw, self.vector_bucket = raw, vectors

    def unchanged(self, name: str, sha256: str) -> KbDocument | None:
        """The document of this name if it is ready and has this very content: then nothing needs to be read."""
        with self.database.session() as session:
            found = rows_named(session, self.collection.id, [name]).get(name)
            return found if found is not None and found.state == "ready" and found.sha256 == sha256 else None

    def duplicate_of(self, item: Listed) -> KbDocument | None:
        """A ready document of another name with the same content (sha256); None where there is none."""
        with self.database.session() as session:
            query = select(KbDocument).where(
                KbDocument.collection_id == self.collection.id,
                KbDocument.sha256 == item.sha256,
                KbDocument.state == "ready",
                KbDocument.name != item.name,
                col(KbDocument.key).is_not(None),  # a record's name is part of its content
            )
            return session.exec(query.order_by(col(KbDocument.created_at))).first()

    def searchable(self) -> list[KbDocument]:
        """All documents that have a version to search, oldest first."""
        with self.database.session() as session:
            query = select(KbDocument).where(KbDocument.collection_id == self.collection.id, col(KbDocument.vectors_key).is_not(None))
            return list(session.exec(query.order_by(col(KbDocument.created_at), col(KbDocument.name))))

    def put(self, document: Document, chunks: Sequence[Chunk], vectors: np.ndarray, facts: Facts, source: Source) -> KbDocument:
        """:meth:`put_many` of one document."""
        return self.put_many([Prepared(document, chunks, vectors, facts, source)])[0]

    def put_many(self, prepared: Sequence[Prepared], *, only_listed: bool = False) -> list[KbDocument]:
        """Store documents that were read, chunked and embedded, in one transaction; versions before them are replaced.

        Args:
            prepared: the documents. Of two with one name the later one counts.
            only_listed: leave out those that have no row (any more): somebody removed them meanwhile.

        Raises:
            InvalidInput: chunks and vectors do not match, or a chunk's text is not what stands at its offsets.
        """
        for item in prepared:
            _check(item)
        items = {item.document.name: item for item in prepared}
        with self.database.session() as session:
            before = rows_named(session, self.collection.id, list(items))
        if only_listed:
            items = {name: item for name, item in items.items() if name in before}
        if not items:
            return []
        ids = {name: before[name].id if name in before else KbDocument(collection_id="", name="").id for name in items}
        kept: list[tuple[str, str]] = []
        try:
            return self._put_items(items, before, ids, kept)
        except BaseException:
            with contextlib.suppress(OSError):
                self._drop(kept)  # no row names these objects
            raise

    def _put_items(
        self, items: Mapping[str, Prepared], before: Mapping[str, KbDocument], ids: Mapping[str, str], kept: list[tuple[str, str]]
    ) -> list[KbDocument]:
        """The writes of :meth:`put_many`; objects that are stored before the rows that name them are noted in ``kept``."""
        text_key = self._keep(self.raw, text_archive({ids[name]: item.document for name, item in items.items()}))
        kept.append((self.raw, text_key))
        vectors_key = self._keep(self.vector_bucket, vector_archive({ids[name]: item.vectors for name, item in items.items()}))
        kept.append((self.vector_bucket, vectors_key))
        texts = keep_texts(self, list(before.values()), {name: item.source.sha256 for name, item in items.items()})
        with self.database.session() as session:
            known = rows_named(session, self.collection.id, list(items))
            stale: list[Gone] = [(row.id, row.text_key, row.vectors_key) for row in known.values() if row.text_key]
            files = {row.key for row in known.values() if row.key}
            old_ids = chunk_ids(session, [row.id for row in known.values()])
            overdue = note_versions(session, list(known.values()), texts)
            _delete_chunks(session, [row.id for row in known.values()])
            rows, chunks = [], []
            for name, item in items.items():
                row = known.get(name) or KbDocument(id=ids[name], collection_id=self.collection.id, name=name)
                fill(row, item, row.version + (row.text_key is not None))
                row.text_key, row.vectors_key = text_key, vectors_key
                session.add(row)
                rows.append(row)
                chunks += [chunk_row(self.collection.id, row.id, chunk) for chunk in item.chunks]
            session.flush()
            session.add_all(chunks)
            session.flush()
            drop = self._repack(session, stale)
            # The index takes the new chunks before the tables show them, and loses the old ones after: a search in
            # between finds either version whole. Should this transaction fail, the tables hide what the index has too much.
            by_id = {row.id: row for row in rows}
            if chunks:
                vectors = np.concatenate([np.asarray(item.vectors, np.float32) for item in items.values() if len(item.chunks)])
                self.index.add([entry_of(by_id[chunk.document_id], chunk) for chunk in chunks], vectors)
                self.index.save()
        kept.clear()
        if old_ids:
            self.index.remove(old_ids)
            self.index.save()
        self._drop([*drop, *((self.raw, version.text_key) for version in overdue)])
        self.drop_files(files | {version.key for version in overdue})
        return rows

    def stored(self, document: KbDocument) -> tuple[Document, list[Chunk], np.ndarray]:
        """A ready document as it was put: what was read, its chunks, and their vectors. Raises IntegrityError."""
        with self.database.session() as session:
            chunks = [chunk_of(row) for row in chunks_of(session, document.id)]
        archive = self.store.get(self.raw, str(document.text_key))
        return (
            read_document_archive(archive, document.id, name=document.name, media_type=document.media_type),
            chunks,
            self.vectors_of(document),
        )

    def vectors_of(self, document: KbDocument) -> np.ndarray:
        """float32 ``(chunks, dimensions)``, in the order of the chunks. Raises IntegrityError."""
        return read_vector_archive(self.store.get(self.vector_bucket, str(document.vectors_key)), document.id)

    def find(self, names: Sequence[str]) -> list[KbDocument]:
        """Documents by id or name, each once. Raises NotFound for one that the collection does not have."""
        with self.database.session() as session:
            found = rows_meant(session, self.collection.id, names)
        for name in names:
            if name not in found:
                raise NotFound(f"The collection '{self.collection.name}' has no document '{name}'.")
        return list({found[name].id: found[name] for name in names}.values())

    def remove(self, *names: str) -> set[str]:
        """Take documents out of the index, the tables and the store, by id or name, with the versions that they replaced.

        Returns:
            The sha256 of every content that is gone, for whoever keeps something made of it.

        Raises:
            NotFound: the collection has none of this name (or id); then none is removed.
        """
        documents = self.find(names)
        ids = [document.id for document in documents]
        with self.database.session() as session:
            self.index.remove(chunk_ids(session, ids))
        self.index.save()
        with self.database.session() as session:
            _delete_chunks(session, ids)
            versions = forget_versions(session, ids)
            for part in in_parts(ids):
                session.execute(delete(KbDocument).where(col(KbDocument.id).in_(part)))
            drop = self._repack(session, [(d.id, d.text_key, d.vectors_key) for d in documents])
        self._drop([*drop, *((self.raw, version.text_key) for version in versions)])
        self.drop_files({one.key for one in (*documents, *versions) if one.key})
        return {one.sha256 for one in (*documents, *versions)}

    def switch(self, chunk_id: int, enabled: bool) -> None:
        """Let a chunk take part in answers, or not."""
        with self.database.session() as session:
            self._chunk(session, chunk_id)
            session.execute(update(KbChunk).where(col(KbChunk.id) == chunk_id).values(enabled=enabled))

    def chunk(self, chunk_id: int) -> tuple[KbDocument, KbChunk]:
        """A chunk and its document. Raises NotFound."""
        with self.database.session() as session:
            chunk = self._chunk(session, chunk_id)
            return session.get_one(KbDocument, chunk.document_id), chunk

    def reword(self, chunk_id: int, search_text: str | None, vector: np.ndarray) -> None:
        """Search a chunk by other words than its own (None: by its own again); what is cited stays what the document says."""
        document, chunk = self.chunk(chunk_id)
        vectors = self.vectors_of(document)
        vectors[chunk.position] = vector
        self.replace_vectors(document, vectors, session_work=lambda session: _reword(session, chunk_id, search_text))
        chunk.search_text = search_text
        self.index.add([entry_of(document, chunk)], np.asarray(vector, np.float32).reshape(1, -1))
        self.index.save()

    def edit_facts(self, document: KbDocument, facts: Mapping[str, Any]) -> KbDocument:
        """Correct what is known of a document; a new version keeps the correction. Title and tags change in the index too.

        Raises:
            InvalidInput: there is no such fact.
        """
        if unknown := set(facts) - set(FACT_FIELDS):
            raise InvalidInput(f"Unknown field '{min(unknown)}'. Available: {', '.join(FACT_FIELDS)}.")
        with self.database.session() as session:
            row = session.get_one(KbDocument, document.id)
            for name, value in facts.items():
                setattr(row, name, value)
            row.edited, row.updated_at = sorted({*row.edited, *facts}), now()
            session.add(row)
            chunks = chunks_of(session, row.id)
        if chunks:
            self.index.add([entry_of(row, chunk) for chunk in chunks], self.vectors_of(row))
            self.index.save()
        return row

    def replace_vectors(self, document: KbDocument, vectors: np.ndarray, *, session_work: Any = None) -> None:
        """Keep other vectors of a document's chunks; the index is left to the caller."""
        key = self._keep(self.vector_bucket, vector_archive({document.id: vectors}))
        with self.database.session() as session:
            row = session.get_one(KbDocument, document.id)
            old, row.vectors_key = row.vectors_key, key
            session.add(row)
            session.flush()
            if session_work is not None:
                session_work(session)
            drop = self._repack(session, [(row.id, None, old)])
        self._drop(drop)

    def delete_everything(self) -> set[str]:
        """Remove the collection: index, objects, tables. Nothing of it is left; cut off halfway it can be done again.

        Returns:
            The sha256 of every content that is gone.
        """
        contents: set[str] = set()
        with self.database.session() as session:
            for table in (KbDocument, KbVersion):
                contents |= set(session.exec(select(table.sha256).where(table.collection_id == self.collection.id)))
        self.index.clear()
        for bucket in (self.raw, self.vector_bucket):
            for info in list(self.store.list(bucket, f"{self.collection.id}/")):
                self.store.delete(bucket, info.key)
        with self.database.session() as session:
            for table in (KbChunk, KbVersion, KbDocument, CollectionMember, RequirementRow, PolicyState):
                session.execute(delete(table).where(col(table.collection_id) == self.collection.id))
            session.execute(delete(Collection).where(col(Collection.id) == self.collection.id))
        return contents

    def drop_files(self, keys: set[str]) -> None:
        """Delete stored files that no document of the collection, and no version that one replaced, names (any more)."""
        if keys:
            kept: set[str | None] = set()
            with self.database.session() as session:
                for table in (KbDocument, KbVersion):
                    query = select(table.key).where(table.collection_id == self.collection.id, col(table.key).in_(keys))
                    kept |= set(session.exec(query))
            self._drop([(self.raw, key) for key in keys - kept])

    def _chunk(self, session: Session, chunk_id: int) -> KbChunk:
        chunk = session.get(KbChunk, chunk_id)
        if chunk is None or chunk.collection_id != self.collection.id:
            raise NotFound("Chunk not found.")
        return chunk

    def _keep(self, bucket: str, archive: bytes) -> str:
        return self.store.put(bucket, f"{self.collection.id}/{secrets.token_hex(12)}.zip", archive, media_type=MEDIA_TYPE).key

    def _repack(self, session: Session, gone: Sequence[Gone]) -> list[tuple[str, str]]:
        """Archives that lose a document are written anew without it, where others are in them; gives the objects to delete."""
        session.flush()
        drop: list[tuple[str, str]] = []
        for bucket, column, place in ((self.raw, "text_key", 1), (self.vector_bucket, "vectors_key", 2)):
            for key in sorted({str(item[place]) for item in gone if item[place]}):
                query = select(KbDocument).where(KbDocument.collection_id == self.collection.id, getattr(KbDocument, column) == key)
                if left := list(session.exec(query)):
                    fresh = self._keep(bucket, without(self.store.get(bucket, key), {item[0] for item in gone if item[place] == key}))
                    for row in left:
                        setattr(row, column, fresh)
                        session.add(row)
                drop.append((bucket, key))
        return drop

    def _drop(self, objects: Sequence[tuple[str, str]]) -> None:
        for bucket, key in objects:
            self.store.delete(bucket, key)


def _check(item: Prepared) -> None:
    if len(item.chunks) != len(item.vectors):
        raise InvalidInput(f"{len(item.chunks)} chunks came with {len(item.vectors)} vectors.")
    text = item.document.text
    if any(text[chunk.start : chunk.end] != chunk.text for chunk in item.chunks):
        raise InvalidInput("A chunk's text is not what stands at its offsets.")


def chunks_of(session: Session, document_id: str) -> list[KbChunk]:
    """A document's chunks, in its order."""
    return list(session.exec(select(KbChunk).where(KbChunk.document_id == document_id).order_by(col(KbChunk.position))))


def _delete_chunks(session: Session, document_ids: Sequence[str]) -> None:
    for part in in_parts(document_ids):
        session.execute(delete(KbChunk).where(col(KbChunk.document_id).in_(part)))


def _reword(session: Session, chunk_id: int, search_text: str | None) -> None:
    session.execute(update(KbChunk).where(col(KbChunk.id) == chunk_id).values(search_text=search_text))
