"""Bytes of a scan, from a file or from a zip's member, read only as far as they are needed."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from infra.errors import CorruptFile, InvalidInput

CHUNK = 1 << 20
HEAD = 4096
# Deflate cannot do better than 1032:1, so packed bytes bound what they can hold before any is unpacked.
MOST_PACKED = 1032


class Source(ABC):
    """A readable file: ``size`` bytes, opened as often as needed."""

    size: int

    @abstractmethod
    def open(self) -> BinaryIO: ...

    @property
    @abstractmethod
    def most_bytes(self) -> int:
        """The most bytes that reading can give, whatever a header says."""


@dataclass(frozen=True)
class PathSource(Source):
    path: Path
    size: int

    def open(self) -> BinaryIO:
        return open(self.path, "rb")

    @property
    def most_bytes(self) -> int:
        return self.size


@dataclass(frozen=True)
class MemberSource(Source):
    """A member of an open zip; ``size`` is what the zip's directory says, and reading stops there."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.info.file_size

    def open(self) -> BinaryIO:
        return self.archive.open(self.info)  # type: ignore[return-value]

    @property
    def most_bytes(self) -> int:
        return min(self.info.file_size, self.info.compress_size * MOST_PACKED)


def path_source(path: Path) -> PathSource:
    return PathSource(path, path.stat().st_size)


def is_gzip(head: bytes) -> bool:
    return head[:2] == b"\x1f\x8b"


def read_head(source: Source, count: int = HEAD) -> bytes:
    """The first bytes as they lie in the file."""
    with reading(), source.open() as stream:
        return _read(stream, count)


def unpacked_head(source: Source, count: int = HEAD) -> bytes:
    """The first bytes inside a gzip. Raises CorruptFile where there are none."""
    with reading(), source.open() as raw, gzip.GzipFile(fileobj=raw) as stream:
        return _read(stream, count)  # type: ignore[arg-type]


def read_array(source: Source, *, packed: bool, offset: int, dtype: np.dtype, shape: tuple[int, ...], gzip_offset: int = 0) -> np.ndarray:
    """Voxels as float32 in Fortran order, unscaled.

    Args:
        packed: the bytes from ``gzip_offset`` on are a gzip stream.
        offset: bytes before the first voxel (inside the gzip, where packed).
        dtype: how they are stored.

    They are converted a piece at a time, and pages of the result are touched only as data arrive: a claim that the file
    does not keep costs no memory.

    Raises:
        CorruptFile: the file ends early, or its gzip is damaged.
    """
    count = int(np.prod(shape, dtype=np.int64))
    need = count * dtype.itemsize
    check_claim(source, need=offset + need, packed=packed)
    array = np.empty(shape, dtype=np.float32, order="F")
    flat = array.reshape(-1, order="F")
    piece = np.empty(min(count, CHUNK), dtype=dtype)
    with reading(), source.open() as raw:
        _skip(raw, gzip_offset)
        stream: BinaryIO = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        _skip(stream, offset)
        for start in range(0, count, CHUNK):
            part = piece[: min(CHUNK, count - start)]
            filled = _fill(stream, part.view(np.uint8).data)
            if filled < part.nbytes:
                raise CorruptFile(
                    f"The file ends early: its header promises {_mb(need)} of voxels and {_mb(start * dtype.itemsize + filled)} are there. "
                    "It was probably cut off while it was copied; copy it again."
                )
            with np.errstate(over="ignore", invalid="ignore"):
                flat[start : start + len(part)] = part
        if packed:
            _finish(stream)
    return array


def _fill(stream: BinaryIO, view: memoryview) -> int:
    filled = 0
    while filled < len(view) and (got := stream.readinto(view[filled:])):  # type: ignore[attr-defined]
        filled += got
    return filled


def check_claim(source: Source, *, need: int, packed: bool) -> None:
    """Refuse a header that promises more bytes than the file can hold, before anything is read or allocated."""
    ceiling = source.most_bytes * (MOST_PACKED if packed else 1)
    if need > ceiling:
        raise CorruptFile(
            f"The header promises {_mb(need)} of data, but the file has {_mb(source.size)} and cannot hold that. "
            "The file is damaged, incomplete, or not a scan; export it again."
        )


class reading:
    """Turns what damaged gzips, zips and disks raise into CorruptFile or InvalidInput sentences."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, EOFError):
            raise CorruptFile("The compressed file is cut off before its end. Copy or download it again.") from None
        if isinstance(error, zlib.error | gzip.BadGzipFile | zipfile.BadZipFile):
            raise CorruptFile("The compressed data are damaged (their checksum does not fit). Copy or download the file again.") from None
        if isinstance(error, NotImplementedError):
            raise InvalidInput("The zip uses a compression that cannot be read here. Zip the folder again with the usual method.") from None
        if isinstance(error, RuntimeError) and "encrypted" in str(error):
            raise InvalidInput("The zip is protected by a password. Send it without one.") from None
        if isinstance(error, OSError):
            raise CorruptFile("The file could not be read from its disk. Copy it again.") from None


def _read(stream: BinaryIO, count: int) -> bytes:
    parts, left = [], count
    while left > 0 and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0:
        part = stream.read(min(count, CHUNK))
        if not part:
            raise CorruptFile("The file ends before its first voxel. It is damaged or incomplete; copy it again.")
        count -= len(part)


def _finish(stream: BinaryIO) -> None:
    """Read to the gzip's end, where its checksum is; a long tail is left alone, for it is none of the scan."""
    for _ in range(4):
        if not stream.read(CHUNK):
            return


def clamped(source: Source) -> BinaryIO:
    """A seekable stream whose ``read`` never allocates more than the file has left (lengths in headers may lie)."""
    if isinstance(source, PathSource):
        return _Clamped(source)  # type: ignore[return-value]
    with reading(), source.open() as stream:
        return io.BytesIO(_read(stream, source.size))


class _Clamped(io.RawIOBase):
    def __init__(self, source: PathSource) -> None:
        self._stream = source.open()
        self._size = source.size

    def read(self, count: int | None = -1) -> bytes:  # type: ignore[override]
        left = max(0, self._size - self._stream.tell())
        return self._stream.read(left if count is None or count < 0 else min(count, left))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()


def _mb(count: int) -> str:
    if count < 10_000:
        return f"{count} bytes"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"
