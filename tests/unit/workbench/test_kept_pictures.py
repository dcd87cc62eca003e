"""Pictures in the cache: drawn once, by two at once, without a disk, and no more of them than are kept."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

import pytest

from workbench.services import kept_pictures
from workbench.services.kept_pictures import kept_picture

PICTURE = b"\xff\xd8" * 40_000


def drawing(picture: bytes, drawn: list[bytes]):
    async def draw() -> bytes:
        await asyncio.sleep(0.01)
        drawn.append(picture)
        return picture

    return draw


async def test_a_picture_is_drawn_once(tmp_path: Path) -> None:
    drawn: list[bytes] = []
    path = tmp_path / "thumbnails" / "one.jpg"
    assert await kept_picture(path, drawing(PICTURE, drawn)) == PICTURE
    assert await kept_picture(path, drawing(b"another", drawn)) == PICTURE
    assert len(drawn) == 1


async def test_many_who_ask_at_once_all_get_it(tmp_path: Path) -> None:
    path = tmp_path / "one.jpg"
    found = await asyncio.gather(*(kept_picture(path, drawing(PICTURE, [])) for _ in range(24)))
    assert set(found) == {PICTURE}
    assert os.listdir(tmp_path) == ["one.jpg"]


async def test_what_cannot_be_kept_is_shown(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))  # a write beyond it fails as on a full disk
    try:
        assert await kept_picture(tmp_path / "one.png", drawing(PICTURE, [])) == PICTURE
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not os.listdir(tmp_path)


async def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_pictures, "MOST", 3)
    for number in range(5):
        await kept_picture(tmp_path / f"{number}.png", drawing(PICTURE, []))
        os.utime(tmp_path / f"{number}.png", (number, number))
    assert sorted(os.listdir(tmp_path)) == ["2.png", "3.png", "4.png"]
