"""What is reported as stored is stored: short writes, a full disk, and the same file sent again while it is deleted."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.database import Database, migrate
from infra.errors import NotFound, StorageFull
from infra.settings import Settings
from workbench.services.context import Services, make_services
from workbench.services.uploads import find_upload, forget_uploads, save_upload, write_pieces


async def in_pieces(content: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.fixture
def services(settings: Settings) -> Services:
    migrate(Database(settings.database_url))
    return make_services(settings)


async def test_a_write_that_falls_short_fails(tmp_path: Path):
    content = os.urandom(1_700_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
    try:
        with pytest.raises(StorageFull):
            await write_pieces(tmp_path / "short", in_pieces(content), limit=10_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    size, digest = await write_pieces(tmp_path / "whole", in_pieces(content), limit=10_000_000)
    assert (size, digest) == (1_700_000, hashlib.sha256(content).hexdigest()) and (tmp_path / "whole").read_bytes() == content


async def test_the_same_file_sent_again_while_it_is_deleted_keeps_its_bytes(services: Services, monkeypatch: pytest.MonkeyPatch):
    user, content = services.accounts.ensure_owner(), b"the same bytes" * 100
    bucket = services.settings.storage.buckets.uploads_raw
    first = await save_upload(services, user, "scan.nii", in_pieces(content))
    delete, again = services.store.delete, []

    def slowly(bucket: str, key: str) -> None:
        sent = threading.Thread(target=lambda: again.append(asyncio.run(save_upload(services, user, "scan.nii", in_pieces(content)))))
        sent.start()
        time.sleep(0.5)
        delete(bucket, key)
        threads.append(sent)

    threads: list[threading.Thread] = []
    monkeypatch.setattr(services.store, "delete", slowly)
    await forget_uploads(services, [first.id])
    await asyncio.to_thread(threads[0].join)
    assert (await find_upload(services, user, again[0].id)).key == first.key
    assert services.store.get(bucket, first.key) == content
    monkeypatch.undo()
    other = await save_upload(services, user, "scan.nii", in_pieces(content))
    await forget_uploads(services, [other.id])
    assert services.store.get(bucket, first.key) == content  # another row names it
    await forget_uploads(services, [again[0].id])
    with pytest.raises(NotFound):
        services.store.get(bucket, first.key)
