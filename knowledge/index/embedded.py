"""The index in a folder of this machine: FAISS for vectors, Tantivy for words."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import IntegrityError, StorageFull, Unavailable, storage_full
from knowledge.index.contract import Entry, Hit, Index, Where, check_vectors
from knowledge.index.dense import Segment, entry_tags, open_segment, write_segment
from knowledge.index.lexical import Words

MANIFEST = "manifest.json"
CHANGING = "changing"
MOST_SEGMENTS = 8
DEAD_SHARE = 0.25
_READERS = ThreadPoolExecutor(os.cpu_count() or 1, "index")


class EmbeddedIndex(Index):
    """One folder an index. One process writes it; others may search it and see each save at their next search.

    A manifest, replaced atomically, names the segments of vectors. The words are committed just before it; a mark in the
    folder says so while that happens, and one left behind (the machine went down in between) makes opening fail with
    IntegrityError: rebuild then.

    Args:
        folder: made when missing.
        dimensions: of the vectors.
        half: keep vectors in half precision: half the memory, and faster, for a search is as fast as memory is read.
            ``python -m tests.benchmarks.search_latency`` prints the recall against full precision.
    """

    def __init__(self, folder: Path, dimensions: int = 384, *, half: bool = True) -> None:
        self.folder, self.dimensions, self.half = folder, dimensions, half
        self._lock = threading.RLock()
        self._staged: dict[int, tuple[Entry, np.ndarray]] = {}
        self._removed: set[int] = set()
        self._segments: list[Segment] = []
        self._stamp: tuple[int, int] | None = None
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHANGING).exists():
            raise IntegrityError(f"The index in {folder} was being changed when the machine stopped; rebuild it (workbench kb rebuild).")
        try:
            self._words = Words(folder / "words")
            self._load()
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise IntegrityError(f"The index in {folder} is damaged; rebuild it (workbench kb rebuild).") from error

    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        vectors = check_vectors(entries, vectors, self.dimensions)
        with self._lock:
            for entry, vector in zip(entries, vectors, strict=True):
                self._staged[entry.id] = (entry, vector)

    def remove(self, ids: Iterable[int]) -> None:
        with self._lock:
            for identifier in map(int, ids):
                self._staged.pop(identifier, None)
                self._removed.add(identifier)

    def save(self) -> None:
        with self._lock:
            if not self._staged and not self._removed:
                return
            entries = [entry for entry, _ in self._staged.values()]
            gone = self._removed | set(self._staged)
            mark = self.folder / CHANGING
            try:
                segments = [Segment(s.name, s.index, s.ids, s.tags, s.dead | (gone & set(s.ids.tolist()))) for s in self._segments]
                if entries:
                    vectors = np.stack([vector for _, vector in self._staged.values()])
                    ids = np.array([entry.id for entry in entries], np.int64)
                    segments.append(write_segment(self.folder, _name(), ids, vectors, entry_tags(entries), half=self.half))
                segments = self._merged([segment for segment in segments if segment.alive])
                mark.touch()
                self._words.change(gone, entries)
                self._write_manifest(segments)
                mark.unlink()
            except Exception as error:
                # Whoever saves takes back what the tables say of these entries, so they must not come with the next save.
                self._staged, self._removed = {}, set()
                if isinstance(error, OSError) or storage_full(error):
                    raise StorageFull(f"The index cannot be written ({error}). Free some space, then try again.") from error
                raise
            self._segments = segments
            self._staged, self._removed = {}, set()
            self._sweep()

    def dense(self, vector: np.ndarray, k: int, where: Where = ()) -> list[Hit]:
        query = np.ascontiguousarray(vector, np.float32).reshape(-1)
        check_vectors([Entry(0, "")], query.reshape(1, -1), self.dimensions)
        # FAISS reads one query with one thread, and leaves Python meanwhile: segments are read beside each other.
        found = _READERS.map(lambda segment: segment.search(query, k, where), self._current())
        hits = [hit for hits in found for hit in hits]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:k]

    def lexical(self, query: str, k: int, where: Where = ()) -> list[Hit]:
        self._current()
        return self._words.search(query, k, where)

    def ids(self) -> set[int]:
        return {int(identifier) for segment in self._current() for identifier in segment.live_ids()}

    def clear(self) -> None:
        with self._lock:
            self._staged, self._removed = {}, self.ids()
            self.save()

    def close(self) -> None:
        with self._lock:
            self._segments, self._staged, self._removed = [], {}, set()
            self._closed = True

    def _current(self) -> list[Segment]:
        """The segments of the newest manifest, whoever wrote it. Raises Unavailable once the index is closed."""
        if self._closed:
            raise Unavailable("The collection's index was closed during the search. Try again.")
        now = self._stamp_now()
        # None: the index was deleted to be built anew, and this search goes on with what it holds.
        if now is not None and now != self._stamp:
            with self._lock:
                if self._stamp_now() != self._stamp:
                    self._load()
                    self._words.reload()
        return self._segments

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.folder / MANIFEST)
            return status.st_mtime_ns, status.st_ino
        except FileNotFoundError:
            return None

    def _load(self) -> None:
        for _ in range(5):  # another process may sweep files between the manifest's reading and theirs
            self._stamp = self._stamp_now()
            if self._stamp is None:
                self._segments = []
                return
            manifest: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text())
            if manifest["dimensions"] != self.dimensions:
                raise ValueError(f"the index holds vectors of {manifest['dimensions']} dimensions")
            try:
                self._segments = [open_segment(self.folder, item["name"], set(item["dead"])) for item in manifest["segments"]]
                return
            except (OSError, RuntimeError):
                if self._stamp_now() == self._stamp:
                    raise

    def _merged(self, segments: list[Segment]) -> list[Segment]:
        """Few segments search faster, and dead vectors cost too: the small ones are merged, or all when many are dead."""
        dead, alive = sum(len(s.dead) for s in segments), sum(s.alive for s in segments)
        if len(segments) <= MOST_SEGMENTS and dead <= DEAD_SHARE * max(alive, 1000):
            return segments
        largest = max(segments, key=lambda s: s.alive)
        keep = [largest] if len(largest.dead) <= DEAD_SHARE * largest.alive and len(segments) > 2 else []
        old = [segment for segment in segments if segment not in keep]
        tags = [segment.live_tags() for segment in old]
        ids = np.concatenate([segment.live_ids() for segment in old])
        vectors = np.concatenate([segment.vectors() for segment in old])
        order = [tuple(some[int(i)]) for segment, some in zip(old, tags, strict=True) for i in segment.live_ids()]
        return [*keep, write_segment(self.folder, _name(), ids, np.ascontiguousarray(vectors), order, half=self.half)]

    def _write_manifest(self, segments: list[Segment]) -> None:
        manifest = {
            "dimensions": self.dimensions,
            "segments": [{"name": segment.name, "dead": sorted(segment.dead)} for segment in segments],
        }
        temporary = self.folder / f".{MANIFEST}.{secrets.token_hex(4)}"
        with open(temporary, "w") as file:
            json.dump(manifest, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.folder / MANIFEST)
        self._stamp = self._stamp_now()

    def _sweep(self) -> None:
        """Delete files of segments that no manifest names; whoever has them mapped keeps them until it looks again."""
        named = {segment.name for segment in self._segments}
        for path in self.folder.glob("seg-*"):
            if path.name.split(".")[0] not in named:
                with contextlib.suppress(OSError):
                    path.unlink()


def delete_index(folder: Path) -> None:
    """Remove an index with its folder, damaged or not."""
    shutil.rmtree(folder, ignore_errors=True)


def _name() -> str:
    return f"seg-{secrets.token_hex(6)}"
