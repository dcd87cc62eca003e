"""Pictures of pages that were drawn: kept by the content they show, so that what is deleted leaves none behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def picture_path(cache: Path, name: str) -> Path:
    """Where a picture is kept.

    Args:
        cache: the data folder's.
        name: the sha256 of the file, a space, and what else tells pictures of it apart (page, quotation).
    """
    content, _, rest = name.partition(" ")
    return cache / "pages" / f"{content[:32]}-{hashlib.sha256(rest.encode()).hexdigest()[:32]}.png"


def forget_pictures(cache: Path, contents: Iterable[str]) -> None:
    """Delete all pictures of these files (sha256 each); one that is shared by another document is drawn again when asked for."""
    for content in {one[:32] for one in contents if one}:
        for path in (cache / "pages").glob(f"{content}-*.png"):
            path.unlink(missing_ok=True)
