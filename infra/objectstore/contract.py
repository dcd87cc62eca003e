"""What an object store promises; ``tests/integration/infra/test_objectstore_contract.py`` holds every one to it."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infra.errors import InvalidInput

CHUNK = 1 << 20
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object: where it is, how many bytes, their sha256 (hex) and media type."""

    bucket: str
    key: str
    size: int
    sha256: str
    media_type: str

    def as_dict(self) -> dict[str, str | int]:
        return {"bucket": self.bucket, "key": self.key, "size": self.size, "sha256": self.sha256, "media_type": self.media_type}


class ObjectStore(ABC):
    """Objects by bucket and key. Every write records its sha256; reads check it unless told otherwise.

    Keys are relative paths of letters, digits, ``.``, ``_`` and ``-``; anything else (``..`` among it) is refused.
    A write is whole or not there at all.
    """

    @abstractmethod
    def put(
        self,
        bucket: str,
        key: str,
        data: bytes | BinaryIO | Path,
        *,
        media_type: str = "application/octet-stream",
        replace: bool = True,
    ) -> ObjectInfo:
        """Store bytes, a stream (read in chunks, never held whole) or a file's content.

        Args:
            replace: whether an object that is there already is replaced; of several writers without it, exactly one succeeds.

        Raises:
            InvalidInput: the key is not allowed.
            Conflict: there is such an object, and ``replace`` is False.
            StorageFull: no room.
        """

    @abstractmethod
    def info(self, bucket: str, key: str) -> ObjectInfo:
        """Raises NotFound where there is no such object."""

    @abstractmethod
    def open(self, bucket: str, key: str, *, verify: bool = True) -> BinaryIO:
        """A readable binary stream; with ``verify`` its digest is checked before the first byte is given.

        Raises:
            NotFound: no such object.
            IntegrityError: the stored bytes are not those that were written.
        """

    @abstractmethod
    def local_path(self, bucket: str, key: str, *, folder: Path) -> Path:
        """A file with the object's (checked) content, for libraries that want a path: read it, never write it.

        It may be the store's own file, or a copy under ``folder``, which the caller removes.
        """

    @abstractmethod
    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects whose key begins with ``prefix``, by key."""

    @abstractmethod
    def presign(self, bucket: str, key: str, *, seconds: int = 600) -> str:
        """An address that gives the object without signing in, for a while."""

    @abstractmethod
    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def get(self, bucket: str, key: str) -> bytes:
        """The object's bytes, digest checked."""
        with self.open(bucket, key) as stream:
            return stream.read()


def check_key(key: str) -> str:
    """``key``, or InvalidInput where it could leave its bucket or trouble a file system."""
    if not _KEY.fullmatch(key) or len(key) > 512:
        raise InvalidInput(f"'{key[:80]}' is not an object key: letters, digits, '.', '_', '-' and '/' only, no leading dot.")
    return key


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in chunks."""
    with open(path, "rb") as file:
        return stream_sha256(file)


def stream_sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
