"""What the embedded index leaves on disk, and what it does when that is damaged."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from infra.errors import IntegrityError
from knowledge.index.contract import Entry
from knowledge.index.embedded import CHANGING, MANIFEST, EmbeddedIndex


def vectors(count: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_change_that_was_cut_off_is_noticed(tmp_path: Path):
    index = EmbeddedIndex(tmp_path, 8)
    index.add([Entry(1, "a")], vectors(1))
    index.save()
    (tmp_path / CHANGING).touch()  # what a machine that goes down between the two commits leaves
    with pytest.raises(IntegrityError, match="rebuild"):
        EmbeddedIndex(tmp_path, 8)


@pytest.mark.parametrize("damage", ["manifest", "vectors", "words"])
def test_damaged_files_are_noticed(tmp_path: Path, damage: str):
    index = EmbeddedIndex(tmp_path, 8)
    index.add([Entry(i + 1, f"text {i}") for i in range(20)], vectors(20))
    index.save()
    index.close()
    victim = {"manifest": tmp_path / MANIFEST, "vectors": next(tmp_path.glob("*.faiss")), "words": tmp_path / "words" / "meta.json"}[damage]
    victim.write_bytes(b"{not what it was")
    with pytest.raises(IntegrityError, match="rebuild"):
        EmbeddedIndex(tmp_path, 8)


def test_old_files_are_swept_and_segments_stay_few(tmp_path: Path):
    index = EmbeddedIndex(tmp_path, 8)
    for number in range(25):
        index.add([Entry(number + 1, f"text {number}")], vectors(1, number))
        index.save()
    assert len(list(tmp_path.glob("*.faiss"))) <= 8
    assert len(index) == 25 and not (tmp_path / CHANGING).exists()


def test_vectors_are_mapped_not_copied(tmp_path: Path):
    index = EmbeddedIndex(tmp_path, 8)
    index.add([Entry(1, "a")], vectors(1))
    index.save()
    mapped = Path("/proc/self/maps")
    if not mapped.exists():
        pytest.skip("/proc: not on this system")
    assert next(tmp_path.glob("*.faiss")).name in mapped.read_text()


def test_searching_goes_on_while_another_thread_saves(tmp_path: Path):
    index = EmbeddedIndex(tmp_path, 8)
    base = vectors(200)
    index.add([Entry(i + 1, f"steady word{i}") for i in range(200)], base)
    index.save()
    stop, failures = threading.Event(), []

    def search() -> None:
        while not stop.is_set():
            if index.dense(base[3], 1)[0].id != 4 or not index.lexical("steady", 3):
                failures.append("lost")

    thread = threading.Thread(target=search)
    thread.start()
    try:
        for number in range(12):
            index.add([Entry(1000 + number, "changing")], vectors(1, 100 + number))
            index.remove([1000 + number - 3])
            index.save()
    finally:
        stop.set()
        thread.join()
    assert not failures
