"""A small disk that a test may fill: a tmpfs mounted over a folder, where this user may mount."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

BALLAST = "ballast"


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """Mount a disk of that size over ``folder`` until the block ends; gives False, and mounts nothing, where it cannot be."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def fill(folder: Path, *, leave: int = 0) -> None:
    """Take all space but ``leave`` bytes. SQLite's logs are emptied before: what they have taken could be written over."""
    for database in folder.glob("*.sqlite"):
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(database, timeout=5)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with contextlib.suppress(OSError), open(folder / BALLAST, "ab", buffering=0) as file:
        while (left := shutil.disk_usage(folder).free - leave) > 0:
            os.write(file.fileno(), bytes(min(1 << 20, left)))


def free(folder: Path) -> None:
    """Give back what :func:`fill` took."""
    (folder / BALLAST).unlink(missing_ok=True)
