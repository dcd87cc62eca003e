"""Zips and folders of scans: nothing is unpacked to disk, and nothing is believed before it is counted."""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from infra.errors import CorruptFile, InvalidInput, TooLarge
from infra.settings import Imaging
from serving.volume.sources import MOST_PACKED, MemberSource, PathSource, Source

_ENTRY = 2048  # generous bytes of directory for one member: a longer directory is an attack on memory
_SKIP = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|DICOMDIR$)")


@contextmanager
def zip_members(path: Path, limits: Imaging) -> Iterator[list[Source]]:
    """The files in a zip, open while the block runs.

    Raises:
        InvalidInput: names that lead outside, links, a password, no files.
        TooLarge: too many members, or too large unpacked (also by what their packed size could become).
        CorruptFile: no zip after all.
    """
    _check_directory(path, limits)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, UnicodeDecodeError, NotImplementedError):
        raise CorruptFile("The zip is damaged or cut off: its list of files cannot be read. Zip the folder again.") from None
    with archive:
        if not all(info.filename for info in archive.infolist()):  # zipfile itself stumbles over such a name
            raise CorruptFile("The zip is damaged: it has a file without a name. Zip the folder again.")
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(infos) > limits.max_files:
            raise TooLarge(
                f"The zip has {len(infos):,} files, and up to {limits.max_files:,} are read (setting imaging.max_files). Zip one series."
            )
        for info in infos:
            _check_member(info)
        unpacked = sum(info.file_size for info in infos)
        if unpacked > limits.max_unpacked_mb * 1_000_000:
            raise TooLarge(
                f"Unpacked, the zip would be {unpacked / 1e9:.1f} GB, and up to {limits.max_unpacked_mb / 1e3:.1f} GB are read "
                "(setting imaging.max_unpacked_mb). Zip one series."
            )
        members: list[Source] = [MemberSource(archive, info) for info in infos if info.file_size and not _SKIP.search(info.filename)]
        if not members:
            raise InvalidInput("The zip has no files in it. Zip the folder that holds the DICOM series.")
        yield members


def folder_files(path: Path, limits: Imaging) -> list[Source]:
    """The plain files below a folder, by name; links are not followed. Raises TooLarge, InvalidInput."""
    found: list[Source] = []
    total = 0
    for root, folders, names in os.walk(path, followlinks=False):
        folders.sort()
        for name in sorted(names):
            file = Path(root) / name
            status = file.lstat()
            if not stat.S_ISREG(status.st_mode) or not status.st_size or name.startswith(".") or _SKIP.search(name):
                continue
            found.append(PathSource(file, status.st_size))
            total += status.st_size
            if len(found) > limits.max_files or total > limits.max_unpacked_mb * 1_000_000:
                raise TooLarge(
                    "The folder holds more than one scan can have (settings imaging.max_files, imaging.max_unpacked_mb). Choose one series."
                )
    if not found:
        raise InvalidInput("The folder has no files in it. Choose the folder that holds the DICOM series.")
    return found


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in PurePosixPath(name).parts or "\x00" in name:
        raise InvalidInput(
            "The zip has files whose names lead outside it (with '..' or from the root); it was not opened. Zip the folder again."
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise InvalidInput("The zip has links in it, not only files; it was not opened. Zip the folder again, with the files themselves.")
    if info.flag_bits & 0x1:
        raise InvalidInput("The zip is protected by a password. Send it without one.")
    if info.file_size > info.compress_size * MOST_PACKED + MOST_PACKED:
        raise CorruptFile(
            "The zip claims more in one of its files than it can hold. It is damaged, or made to fill memory; zip the folder again."
        )


def _check_directory(path: Path, limits: Imaging) -> None:
    """The size of the zip's directory, before it is read into memory."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - 65_557))
        tail = file.read(65_557)
        place = tail.rfind(b"PK\x05\x06")
        if place < 0 or len(tail) - place < 22:
            raise CorruptFile("The zip is cut off: its list of files is missing. Copy it again.")
        length = struct.unpack("<I", tail[place + 12 : place + 16])[0]
        locator = tail.rfind(b"PK\x06\x07", 0, place)
        if locator >= 0 and place - locator == 20:
            offset = struct.unpack("<Q", tail[locator + 8 : locator + 16])[0]
            file.seek(min(offset, size))
            record = file.read(56)
            if len(record) == 56 and record[:4] == b"PK\x06\x06":
                length = struct.unpack("<Q", record[40:48])[0]
    if length > limits.max_files * _ENTRY:
        raise TooLarge(
            f"The zip lists far more files than the {limits.max_files:,} that are read (setting imaging.max_files). Zip one series."
        )
