"""The files of one ingestion job, kept in the object store, and the list of them that the job reads."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from infra.errors import CorruptFile, NotFound
from infra.objectstore import ObjectStore
from infra.objectstore.contract import file_sha256
from knowledge.library import Listed
from knowledge.library.upkeep import BATCHES
from knowledge.reading import Document
from knowledge.reading.records import read_records
from pipelines.ingestion.sources import holds_records

LONGEST_NAME = 500


@dataclass(frozen=True)
class JobFile:
    """A stored file of a job: what its document is called (or, of records, the file), its object, bytes, sha256."""

    name: str
    key: str
    size: int
    sha256: str

    @property
    def records(self) -> bool:
        return holds_records(self.name)

    @property
    def listed(self) -> Listed:
        return Listed(self.name, self.key, self.size, self.sha256)


class JobFiles:
    """The files of a collection's jobs, in the bucket ``kb-raw``. Everything here blocks."""

    def __init__(self, store: ObjectStore, bucket: str, collection_id: str) -> None:
        self._store, self._bucket, self._collection = store, bucket, collection_id

    def keep(self, name: str, path: Path) -> JobFile:
        """Store a file, by its content: what is there already is not written again."""
        digest, size = file_sha256(path), path.stat().st_size
        suffix = PurePosixPath(name.lower()).suffix
        # The suffix helps where the content does not tell (Markdown or text); only harmless ones become part of the key.
        key = f"{self._collection}/files/{digest}{suffix if re.fullmatch(r'[.][a-z0-9]{1,8}', suffix) else ''}"
        if holds_records(name):
            # No document's own file: it goes when the job is done, and another job may be reading the same content.
            key = f"{self._collection}/{BATCHES}/{secrets.token_hex(8)}.jsonl"
        try:
            self._store.info(self._bucket, key)
        except NotFound:
            self._store.put(self._bucket, key, path)
        return JobFile(clean_document_name(name), key, size, digest)

    def write(self, files: Sequence[JobFile]) -> str:
        """Store the list of a job's files; gives its key, which is what the job is given."""
        key = f"{self._collection}/{BATCHES}/{secrets.token_hex(8)}.json"
        self._store.put(self._bucket, key, json.dumps([asdict(file) for file in files]).encode(), media_type="application/json")
        return key

    def read(self, key: str) -> list[JobFile]:
        """Raises NotFound where the collection was deleted meanwhile."""
        return [JobFile(**item) for item in json.loads(self._store.get(self._bucket, key))]

    def path(self, file: JobFile, folder: Path) -> Path:
        """The stored file to read. Raises NotFound where it is not stored any more."""
        return self._store.local_path(self._bucket, file.key, folder=folder)

    def drop_records(self, files: Sequence[JobFile]) -> None:
        """Delete the files of records: their documents are stored by now."""
        for file in files:
            if file.records:
                self._store.delete(self._bucket, file.key)

    def put_result(self, job_id: str, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Store what became of a job's documents, as an artifact of it."""
        content = json.dumps(list(documents), ensure_ascii=False).encode()
        info = self._store.put(self._bucket, self._result(job_id), content, media_type="application/json")
        return dict(info.as_dict())

    def result(self, job_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """The artifact that :meth:`put_result` stored, and its content; None where it did not."""
        try:
            info = self._store.info(self._bucket, self._result(job_id))
        except NotFound:
            return None
        return dict(info.as_dict()), json.loads(self._store.get(self._bucket, info.key))

    def _result(self, job_id: str) -> str:
        return f"{self._collection}/{BATCHES}/{job_id}-documents.json"


@dataclass(frozen=True)
class Record:
    """A line of a file of records: the document, or the error that it is; and how it is listed."""

    listed: Listed
    document: Document | None
    error: CorruptFile | None = None


def records_of(path: Path, name: str) -> Iterator[Record]:
    """Every line of a file of records, in order."""
    for item in read_records(path):
        if isinstance(item, CorruptFile):
            yield Record(Listed(clean_document_name(f"{name}, line {item.details['line']}"), None, 0, ""), None, item)
            continue
        content = json.dumps([item.name, item.title, item.text, item.metadata], sort_keys=True).encode()
        yield Record(Listed(item.name, None, len(item.text.encode("utf-8", "replace")), hashlib.sha256(content).hexdigest()), item)


def clean_document_name(name: str) -> str:
    """A document's name as people write it: slashes forward, printable, not longer than a table likes."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "".join(letter for letter in "/".join(parts) if letter.isprintable())[-LONGEST_NAME:] or "unnamed"
