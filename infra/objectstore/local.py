"""The object store in a folder of this machine."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from itsdangerous import BadSignature, URLSafeTimedSerializer

from infra.errors import Conflict, IntegrityError, NotAllowed, NotFound, StorageFull
from infra.objectstore.contract import CHUNK, ObjectInfo, ObjectStore, check_key, stream_sha256


class LocalObjectStore(ObjectStore):
    """Files under ``root/bucket/key``, their digests and media types under ``root/.meta/bucket/key.json``.

    Args:
        root: folder of the store; made when first written to.
        secret: signs presigned addresses, which the gateway serves below ``/objects/``.
        url: where the gateway is.
    """

    def __init__(self, root: Path, *, secret: str = "", url: str = "") -> None:
        self.root = root
        self._url = url.rstrip("/")
        self._signer = URLSafeTimedSerializer(secret or secrets.token_urlsafe(32), salt="objects")

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes | BinaryIO | Path,
        *,
        media_type: str = "application/octet-stream",
        replace: bool = True,
    ) -> ObjectInfo:
        path, meta = self._paths(bucket, key)
        temporary = self.root / ".tmp" / secrets.token_hex(16)
        try:
            for folder in (path.parent, meta.parent, temporary.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            digest, size = hashlib.sha256(), 0
            with _reader(data) as source, open(temporary, "wb") as target:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            info = ObjectInfo(bucket, key, size, digest.hexdigest(), media_type)
            note = temporary.with_suffix(".json")
            note.write_text(json.dumps({"size": size, "sha256": info.sha256, "media_type": media_type}))
            # The note first: an object is there when its file is, and then its digest is known. The lock keeps two
            # writers of one key, or a reader between the two renames, from mixing one's note with the other's bytes.
            with self._lock(fcntl.LOCK_EX):
                if not replace and path.exists():
                    raise Conflict(f"There is already an object {bucket}/{key}.")
                os.replace(note, meta)
                os.replace(temporary, path)
            return info
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
                raise StorageFull(f"Cannot store {key}: {error.strerror}. Free some space and try again.") from error
            raise
        finally:
            for leftover in (temporary, temporary.with_suffix(".json")):
                leftover.unlink(missing_ok=True)

    def info(self, bucket: str, key: str) -> ObjectInfo:
        path, meta = self._paths(bucket, key)
        if not path.is_file():
            raise NotFound(f"Object not found: {bucket}/{key}.")
        try:
            note = json.loads(meta.read_text())
            return ObjectInfo(bucket, key, int(note["size"]), str(note["sha256"]), str(note["media_type"]))
        except (OSError, ValueError, KeyError) as error:
            raise IntegrityError(f"The digest of {bucket}/{key} is missing; the object cannot be verified.") from error

    def open(self, bucket: str, key: str, *, verify: bool = True) -> BinaryIO:
        with self._lock(fcntl.LOCK_SH):
            info = self.info(bucket, key)
            stream = open(self._paths(bucket, key)[0], "rb")  # noqa: SIM115  the caller closes it
        if verify:
            if stream_sha256(stream) != info.sha256:
                stream.close()
                raise IntegrityError(f"The content of {bucket}/{key} has changed since it was stored (SHA-256 differs).")
            stream.seek(0)
        return stream

    def local_path(self, bucket: str, key: str, *, folder: Path) -> Path:
        self.open(bucket, key).close()
        return self._paths(bucket, key)[0]

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        base = self.root / check_key(bucket)
        # Only the deepest whole folder of the prefix is walked.
        start = base / prefix.rpartition("/")[0] if "/" in prefix else base
        for path in sorted(start.rglob("*")) if start.is_dir() else []:
            key = path.relative_to(base).as_posix()
            if key.startswith(prefix) and path.is_file():
                yield self.info(bucket, key)

    def presign(self, bucket: str, key: str, *, seconds: int = 600) -> str:
        self.info(bucket, key)
        token = self._signer.dumps([bucket, key, seconds])
        return f"{self._url}/objects/{token}"

    def redeem(self, token: str) -> tuple[str, str]:
        """The bucket and key behind a presigned address; NotAllowed where it is forged or too old."""
        try:
            bucket, key, seconds = self._signer.loads(token)
            self._signer.loads(token, max_age=seconds)
        except BadSignature as error:
            raise NotAllowed("This link has expired. Request a new one.") from error
        return bucket, key

    def delete(self, bucket: str, key: str) -> None:
        with self._lock(fcntl.LOCK_EX):
            for path in self._paths(bucket, key):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self.root / ".lock", "a") as file:
            fcntl.flock(file, kind)
            yield

    def _paths(self, bucket: str, key: str) -> tuple[Path, Path]:
        check_key(bucket)
        check_key(key)
        return self.root / bucket / key, self.root / ".meta" / bucket / f"{key}.json"


@contextlib.contextmanager
def _reader(data: bytes | BinaryIO | Path) -> Iterator[BinaryIO]:
    if isinstance(data, bytes):
        yield io.BytesIO(data)
    elif isinstance(data, Path):
        with open(data, "rb") as file:
            yield file
    else:
        yield data
