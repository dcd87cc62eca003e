"""The object store in S3, or in a server that speaks its protocol."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import secrets
import tempfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from infra.aws import AWS_ERRORS, AwsError, as_workbench_error, error_code, make_client
from infra.errors import IntegrityError, InvalidInput, NotFound, Unavailable, WorkbenchError
from infra.objectstore.contract import CHUNK, ObjectInfo, ObjectStore, check_key
from infra.settings import Storage

PART = 16 << 20  # bytes of a part; bodies of more than one part are sent as multipart uploads
MOST_PARTS = 9_000  # S3 takes 10,000
PARALLEL = 4
PAGE = 1000  # objects of one answer to a listing; S3 gives no more
IN_MEMORY = 8 << 20  # bodies up to here are kept in memory while they are checked, larger ones in a temporary file
DIGEST = "sha256"  # in an object's metadata


@dataclass(frozen=True)
class PresignedPut:
    """An address for one HTTP PUT.

    Attributes:
        url: where to; it can be used until it expires.
        headers: must be sent as they are: the signature covers them. S3 refuses a body whose sha256 is another.
    """

    url: str
    headers: dict[str, str]


class S3ObjectStore(ObjectStore):
    """Objects in S3 buckets, their sha256 in the object's metadata.

    A bucket's name is ``storage.bucket_prefix`` + name + ``-`` + ``storage.environment``. Buckets are not made here: they carry
    policies, encryption and notifications that belong to a deployment. A bucket named in ``storage.kms_keys`` is written
    with that key.

    An object that something else wrote has no recorded digest: ``sha256`` is empty then, and it can only be opened with
    ``verify=False``.

    Args:
        storage: the settings.
        client: a boto3 client to use in place of one made from the settings.
    """

    def __init__(self, storage: Storage, client: Any = None) -> None:
        self._storage = storage
        self._client = client or make_client(
            "s3",
            region=storage.region,
            endpoint_url=storage.endpoint_url,
            attempts=storage.attempts,
            read_seconds=storage.timeout_seconds,
        )

    def bucket_name(self, bucket: str) -> str:
        """The full name of the bucket with this purpose."""
        return self._storage.s3_bucket(check_key(bucket))

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes | BinaryIO | Path,
        *,
        media_type: str = "application/octet-stream",
        replace: bool = True,
    ) -> ObjectInfo:
        target = {"Bucket": self.bucket_name(bucket), "Key": check_key(key)}
        with _seekable(data) as body:
            digest, size = hashlib.sha256(), 0
            while chunk := body.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
            body.seek(0)
            info = ObjectInfo(bucket, key, size, digest.hexdigest(), media_type)
            described = {"ContentType": media_type, "Metadata": {DIGEST: info.sha256}, **self._encryption(bucket)}
            condition = {} if replace else {"IfNoneMatch": "*"}
            with self._errors(bucket, key):
                if size <= PART:
                    self._client.put_object(**target, **described, **condition, Body=body, ChecksumSHA256=_base64(digest.digest()))
                else:
                    self._put_parts(target, described, condition, body, size)
        return info

    def info(self, bucket: str, key: str) -> ObjectInfo:
        with self._errors(bucket, key):
            head = self._client.head_object(Bucket=self.bucket_name(bucket), Key=check_key(key), ChecksumMode="ENABLED")
        return _info(bucket, key, head)

    def open(self, bucket: str, key: str, *, verify: bool = True) -> BinaryIO:
        if not verify:
            with self._errors(bucket, key):
                head = self._client.head_object(Bucket=self.bucket_name(bucket), Key=check_key(key))
            return cast(BinaryIO, io.BufferedReader(_Ranges(self, bucket, key, head["ContentLength"], head["ETag"]), CHUNK))
        spooled = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  the caller closes it
        try:
            self._download(bucket, key, spooled)
        except BaseException:
            spooled.close()
            raise
        spooled.seek(0)
        return cast(BinaryIO, spooled)

    def local_path(self, bucket: str, key: str, *, folder: Path) -> Path:
        path = folder / check_key(bucket) / check_key(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with open(temporary, "wb") as file:
                self._download(bucket, key, file)
            return temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        paginator = self._client.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=self.bucket_name(bucket), Prefix=prefix, PaginationConfig={"PageSize": PAGE})
        with self._errors(bucket, f"{prefix}*"), ThreadPoolExecutor(2 * PARALLEL) as pool:
            for page in pages:
                # A listing has neither digests nor media types: they are asked for, several objects at once.
                keys = [item["Key"] for item in page.get("Contents", ()) if not item["Key"].endswith("/")]
                for found in pool.map(lambda key: self._listed(bucket, key), keys):
                    if found is not None:
                        yield found

    def presign(self, bucket: str, key: str, *, seconds: int = 600) -> str:
        self.info(bucket, key)
        return self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket_name(bucket), "Key": key}, ExpiresIn=_valid_for(seconds)
        )

    def presign_put(
        self, bucket: str, key: str, *, sha256: str, media_type: str = "application/octet-stream", seconds: int = 600
    ) -> PresignedPut:
        """An address where one body with this sha256 (hex) can be stored without credentials, for a while.

        Raises:
            InvalidInput: the key, the digest or the time is not allowed.
        """
        try:
            digest = bytes.fromhex(sha256)
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise InvalidInput(f"'{sha256[:80]}' is not a sha256: 64 hexadecimal digits.")
        headers = {"content-type": media_type, "x-amz-checksum-sha256": _base64(digest), f"x-amz-meta-{DIGEST}": sha256.lower()}
        params: dict[str, Any] = {
            "Bucket": self.bucket_name(bucket),
            "Key": check_key(key),
            "ContentType": media_type,
            "ChecksumSHA256": headers["x-amz-checksum-sha256"],
            "Metadata": {DIGEST: sha256.lower()},
        }
        encryption = self._encryption(bucket)
        if encryption:
            params |= encryption
            headers["x-amz-server-side-encryption"] = encryption["ServerSideEncryption"]
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = encryption["SSEKMSKeyId"]
        url = self._client.generate_presigned_url("put_object", Params=params, ExpiresIn=_valid_for(seconds))
        return PresignedPut(url, headers)

    def delete(self, bucket: str, key: str) -> None:
        with self._errors(bucket, key):
            self._client.delete_object(Bucket=self.bucket_name(bucket), Key=check_key(key))

    def read_range(self, bucket: str, key: str, start: int, count: int, etag: str) -> bytes:
        """``count`` bytes from ``start`` on. Raises Conflict where the object is no longer the one with this ETag."""
        with self._errors(bucket, key):
            answer = self._client.get_object(
                Bucket=self.bucket_name(bucket), Key=key, Range=f"bytes={start}-{start + count - 1}", IfMatch=etag
            )
            return answer["Body"].read()

    def _put_parts(self, target: dict[str, Any], described: dict[str, Any], condition: dict[str, str], body: IO[bytes], size: int) -> None:
        """Send the body in parts, a few at a time; a failure leaves no part."""
        part_size = max(PART, -(-size // MOST_PARTS))
        upload = self._client.create_multipart_upload(**target, **described, ChecksumAlgorithm="SHA256")["UploadId"]

        def send(number: int, part: bytes) -> dict[str, Any]:
            checksum = _base64(hashlib.sha256(part).digest())
            answer = self._client.upload_part(**target, UploadId=upload, PartNumber=number, Body=part, ChecksumSHA256=checksum)
            return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

        try:
            done: list[dict[str, Any]] = []
            with ThreadPoolExecutor(PARALLEL) as pool:
                waiting: set[Future[dict[str, Any]]] = set()
                number = 0
                while part := body.read(part_size):
                    number += 1
                    waiting.add(pool.submit(send, number, part))
                    if len(waiting) >= PARALLEL:
                        finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        done += [one.result() for one in finished]
                done += [one.result() for one in waiting]
            parts = sorted(done, key=lambda one: one["PartNumber"])
            self._client.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": parts}, **condition)
        except BaseException:
            with contextlib.suppress(*AWS_ERRORS):
                self._client.abort_multipart_upload(**target, UploadId=upload)
            raise

    def _download(self, bucket: str, key: str, target: IO[bytes]) -> None:
        """Write the object to ``target``, and compare its digest with the recorded one."""
        with self._errors(bucket, key):
            answer = self._client.get_object(Bucket=self.bucket_name(bucket), Key=check_key(key), ChecksumMode="ENABLED")
            expected = _info(bucket, key, answer).sha256
            if not expected:
                raise IntegrityError(f"{bucket}/{key} was not written by the workbench: its digest is not recorded.")
            digest = hashlib.sha256()
            try:
                while chunk := answer["Body"].read(CHUNK):
                    digest.update(chunk)
                    target.write(chunk)
            except (OSError, ValueError) as error:
                # botocore checks S3's own checksum at the last byte, and passes urllib3's errors of a lost connection on.
                if isinstance(error, ValueError) or getattr(error, "errno", None) is None:
                    raise Unavailable(f"Reading {bucket}/{key} stopped half-way: {error}"[:300]) from error
                raise
        if digest.hexdigest() != expected:
            raise IntegrityError(f"The bytes stored as {bucket}/{key} are not those that were written (sha256 differs).")

    def _listed(self, bucket: str, key: str) -> ObjectInfo | None:
        try:
            head = self._client.head_object(Bucket=self.bucket_name(bucket), Key=key, ChecksumMode="ENABLED")
        except AWS_ERRORS as error:
            if isinstance(as_workbench_error(error, key), NotFound):
                return None  # deleted since the page was made
            raise
        return _info(bucket, key, head)

    def _encryption(self, bucket: str) -> dict[str, str]:
        key = self._storage.kms_keys.get(bucket)
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}

    @contextlib.contextmanager
    def _errors(self, bucket: str, key: str) -> Iterator[None]:
        try:
            yield
        except AWS_ERRORS as error:
            raise self._as_error(error, bucket, key) from error

    def _as_error(self, error: AwsError, bucket: str, key: str) -> WorkbenchError:
        if error_code(error) == "NoSuchBucket":
            return as_workbench_error(error, f"the bucket {self.bucket_name(bucket)}")
        return as_workbench_error(error, f"the object {self.bucket_name(bucket)}/{key}")


class _Ranges(io.RawIOBase):
    """An object that is read in ranges as they are needed, so that a seek costs nothing."""

    def __init__(self, store: S3ObjectStore, bucket: str, key: str, size: int, etag: str) -> None:
        self._store, self._bucket, self._key, self._size, self._etag, self._at = store, bucket, key, size, etag, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._next(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def readall(self) -> bytes:
        # In one request; the inherited method would send one for every few kilobytes.
        return self._next(self._size)

    def _next(self, most: int) -> bytes:
        count = min(most, self._size - self._at)
        if count <= 0:
            return b""
        part = self._store.read_range(self._bucket, self._key, self._at, count, self._etag)
        self._at += len(part)
        return part


@contextlib.contextmanager
def _seekable(data: bytes | BinaryIO | Path) -> Iterator[IO[bytes]]:
    """The body from its current place on, readable twice: its digest is sent before it. A stream that cannot go back is kept
    in a temporary file meanwhile."""
    if isinstance(data, bytes):
        yield io.BytesIO(data)
    elif isinstance(data, Path):
        with open(data, "rb") as file:
            yield file
    else:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spooled:
            while chunk := data.read(CHUNK):
                spooled.write(chunk)
            spooled.seek(0)
            yield spooled


def _info(bucket: str, key: str, head: dict[str, Any]) -> ObjectInfo:
    digest = str(head.get("Metadata", {}).get(DIGEST, ""))
    if not digest and head.get("ChecksumSHA256") and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        digest = base64.b64decode(head["ChecksumSHA256"]).hex()
    media_type = str(head.get("ContentType") or "application/octet-stream")
    return ObjectInfo(bucket, key, int(head["ContentLength"]), digest, media_type)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _valid_for(seconds: int) -> int:
    if not 1 <= seconds <= 7 * 24 * 3600:
        raise InvalidInput(f"A presigned address is valid for 1 second to 7 days, not {seconds} s.")
    return seconds
