"""Pictures in the cache folder: drawn where they are not there, and kept for the next who asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from infra.datafolder import write_private
from infra.errors import StorageFull

MOST = 500
"""Pictures a folder keeps; the oldest go first."""


async def kept_picture(path: Path, draw: Callable[[], Awaitable[bytes]]) -> bytes:
    """The picture at ``path``, or what ``draw`` gives, which is kept there.

    Two who ask at once may both draw: each gets a whole picture. One that cannot be kept (no disk left) is shown all the same.

    Raises:
        Exception: what ``draw`` raises.
    """

    def read() -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:  # not asked for yet, or the cache was emptied
            return None

    def keep(picture: bytes) -> None:
        old = sorted(path.parent.glob(f"*{path.suffix}"), key=_since)[: -MOST + 1]
        for one in old:
            one.unlink(missing_ok=True)
        with contextlib.suppress(StorageFull):
            write_private(path, picture)

    picture = await asyncio.to_thread(read)
    if picture is None:
        picture = await draw()
        await asyncio.to_thread(keep, picture)
    return picture


def _since(path: Path) -> float:
    """When a picture was drawn, in seconds of the epoch; 0 where another has just deleted it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
