"""Files that people send: streamed to the store, never held whole in memory."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import mimetypes
import os
import re
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from sqlmodel import Session, col, select

from infra.database.tables import AnalysisJob, Upload, User
from infra.errors import InvalidInput, ModelMissing, NotFound, StorageFull, TooLarge
from workbench.services.context import Services

PIECE = 1 << 20
MAKE_SAMPLE = "import sys, pathlib; from pipelines.imaging.samples import make_sample; make_sample(sys.argv[1], pathlib.Path(sys.argv[2]))"
Source = AsyncIterator[bytes] | BinaryIO | Path


async def save_upload(services: Services, user: User, filename: str, source: Source) -> Upload:
    """Store a file for ``user``, under the sha256 of its content.

    Args:
        services: where to.
        user: whose it is.
        filename: as the person named it; only its last part is kept, for people to read.
        source: pieces as they arrive, a readable binary file, or a path.

    Raises:
        TooLarge: more than ``gateway.max_upload_mb``; noticed while it arrives.
        InvalidInput: it is empty.
        StorageFull: no room.
    """
    name = clean_name(filename)
    incoming = services.folder.home / "incoming"
    await asyncio.to_thread(incoming.mkdir, parents=True, exist_ok=True, mode=0o700)
    temporary = incoming / secrets.token_hex(12)
    limit = services.settings.gateway.max_upload_mb * 1_000_000
    try:
        size, digest = await write_pieces(temporary, _pieces(source), limit=limit)
        if size == 0:
            raise InvalidInput(f"{name} is empty. Choose another file.")
        return await asyncio.to_thread(_keep, services, user.id, temporary, size, digest, name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


async def find_upload(services: Services, user: User, upload_id: str) -> Upload:
    """Raises NotFound where there is none, or it is another person's."""
    upload = await services.database.run(lambda session: session.get(Upload, upload_id))
    if upload is None or upload.owner_id != user.id:
        raise NotFound(f"Upload not found: {upload_id}.")
    return upload


async def forget_uploads(services: Services, ids: Sequence[str]) -> None:
    """Delete uploads: their rows, and their bytes where no other upload shares them (the same file, sent for something else)."""

    def work(session: Session) -> list[str]:
        gone = session.exec(select(Upload).where(col(Upload.id).in_(ids))).all()
        for upload in gone:
            session.delete(upload)
        return sorted({upload.key for upload in gone})

    bucket = services.settings.storage.buckets.uploads_raw

    def drop(keys: Sequence[str]) -> None:
        for key in keys:
            with _held(services, key):
                with services.database.session() as session:
                    shared = session.exec(select(Upload.id).where(Upload.key == key)).first() is not None
                if not shared:
                    services.store.delete(bucket, key)

    await asyncio.to_thread(drop, await services.database.run(work))


@contextlib.contextmanager
def _held(services: Services, key: str) -> Iterator[None]:
    """Keeps a row and its bytes together: who adds or deletes an upload of this content waits for whoever does so now."""
    folder = services.folder.home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(folder / f"upload-{key[:2]}", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def start_analysis(
    services: Services, user: User, upload_id: str, options: dict[str, Any] | None = None, *, idempotency_key: str | None = None
) -> AnalysisJob:
    """Begin the imaging job for an upload. The same ``idempotency_key`` again gives the same job.

    Raises:
        NotFound: no such upload of this person.
    """
    upload = await find_upload(services, user, upload_id)
    bucket = services.settings.storage.buckets.uploads_raw
    given = {"bucket": bucket, "key": upload.key, "name": upload.name, "size": upload.size, "sha256": upload.sha256}
    return await services.jobs.submit(
        "imaging", owner_id=user.id, title=upload.name, input=given, options=options or {}, idempotency_key=idempotency_key
    )


async def start_sample(
    services: Services, user: User, sample_name: str, options: dict[str, Any] | None = None, *, idempotency_key: str | None = None
) -> AnalysisJob:
    """Begin the imaging job for one of the bundled samples.

    Raises:
        NotFound: there is no sample of that name.
        ModelMissing: the package that carries it is not installed.
    """
    from pipelines.imaging.samples import SAMPLES

    if sample_name not in SAMPLES:
        raise NotFound(f"Unknown sample '{sample_name}'. Available: {', '.join(SAMPLES)}.")
    path = services.folder.cache / "samples" / SAMPLES[sample_name].file
    if not path.exists():
        await _make_sample(sample_name, path)
    upload = await save_upload(services, user, path.name, path)
    return await start_analysis(services, user, upload.id, options, idempotency_key=idempotency_key)


async def _make_sample(name: str, path: Path) -> None:
    """Write a sample's file, in a process of its own: painting volumes would leave the gateway a hundred megabytes larger."""
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        work = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", MAKE_SAMPLE, name, folder), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, said = await work.communicate()
        if work.returncode:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise ModelMissing(f"The sample '{name}' could not be created: {' '.join(last)[:300]}")
        (Path(folder) / path.name).replace(path)


def clean_name(filename: str) -> str:
    """The last part of a name, printable, at most 200 characters; for people to read, never used as a path."""
    last = PurePosixPath(filename.replace("\\", "/")).name
    printable = "".join(character for character in last if character.isprintable()).strip()
    return "unnamed" if printable in ("", ".", "..") else printable[-200:]


def remove_leftovers(services: Services) -> None:
    """Remove what uploads that were cut off by a kill have left; called before the gateway takes requests."""
    for path in (services.folder.home / "incoming").glob("*"):
        with contextlib.suppress(OSError):
            path.unlink()


async def _pieces(source: Source) -> AsyncIterator[bytes]:
    if isinstance(source, AsyncIterator):
        async for piece in source:
            yield piece
        return
    file = await asyncio.to_thread(source.open, "rb") if isinstance(source, Path) else source
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
    finally:
        if isinstance(source, Path):
            file.close()


async def write_pieces(path: Path, pieces: AsyncIterator[bytes], *, limit: int) -> tuple[int, str]:
    """Write pieces to ``path``; their size in bytes and sha256 (hex)."""
    digest = hashlib.sha256()
    size = 0
    buffer = bytearray()

    def flush() -> None:
        digest.update(buffer)
        left = memoryview(buffer)
        while left:  # the system may take less than it is given, and say so only here
            taken = file.write(left)
            if not taken:
                raise OSError(errno.EIO, "the disk took nothing")
            left = left[taken:]
        left.release()
        buffer.clear()

    file = await asyncio.to_thread(path.open, "xb", buffering=0)
    try:
        async for piece in pieces:
            size += len(piece)
            if size > limit:
                raise TooLarge(f"The file exceeds the limit of {limit // 1_000_000} MB (gateway.max_upload_mb).")
            buffer += piece
            if len(buffer) >= PIECE:
                await asyncio.to_thread(flush)
        await asyncio.to_thread(flush)
        stored = (await asyncio.to_thread(os.stat, path)).st_size
        if stored != size:
            raise OSError(errno.EIO, f"{stored:,} of {size:,} bytes were stored")
    except OSError as error:
        raise StorageFull(f"The upload could not be written: {error.strerror}. Free some space and try again.") from error
    finally:
        file.close()
    return size, digest.hexdigest()


def _keep(services: Services, owner_id: str, path: Path, size: int, digest: str, name: str) -> Upload:
    """Store the bytes where they are not stored yet, and the row that names them."""
    bucket = services.settings.storage.buckets.uploads_raw
    suffix = "".join(PurePosixPath(name.lower()).suffixes[-2:])
    # The suffix helps readers that go by it; only harmless ones become part of the key.
    key = digest + (suffix if re.fullmatch(r"(\.[a-z0-9]{1,8}){0,2}", suffix) else "")
    with _held(services, key):
        try:
            info = services.store.info(bucket, key)
        except NotFound:
            media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            info = services.store.put(bucket, key, path, media_type=media_type)
        upload = Upload(owner_id=owner_id, name=name, media_type=info.media_type, size=size, sha256=digest, key=info.key)
        with services.database.session() as session:
            session.add(upload)
    return upload
