"""Vectors on disk in immutable FAISS segments, searched exactly through memory maps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import numpy as np

from knowledge.index.contract import Entry, Hit, Where


@dataclass
class Segment:
    """Some vectors, written once. What is removed later is only marked dead, until segments are merged.

    Attributes:
        name: file names below the index's folder begin with it.
        ids: int64, in the order of the vectors.
        dead: ids that are removed or replaced.
        tags: tag -> sorted ids.
    """

    name: str
    index: faiss.Index
    ids: np.ndarray
    tags: dict[str, np.ndarray]
    dead: set[int] = field(default_factory=set)

    @property
    def alive(self) -> int:
        return len(self.ids) - len(self.dead)

    def search(self, vector: np.ndarray, k: int, where: Where) -> list[Hit]:
        if not self.alive:
            return []
        parameters = None
        if where:
            allowed = self._allowed(where)
            if not len(allowed):
                return []
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBatch(allowed))  # pyright: ignore[reportCallIssue]
        elif self.dead:
            dead = faiss.IDSelectorBatch(np.fromiter(self.dead, np.int64, len(self.dead)))  # held until the search is done
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorNot(dead))  # pyright: ignore[reportCallIssue]
        scores, ids = self.index.search(vector.reshape(1, -1), min(k, len(self.ids)), params=parameters)
        return [Hit(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]

    def _allowed(self, where: Where) -> np.ndarray:
        found: np.ndarray | None = None
        for group in where:
            parts = [self.tags[tag] for tag in group if tag in self.tags]
            some = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)
            found = some if found is None else np.intersect1d(found, some, assume_unique=True)
        found = found if found is not None else np.sort(self.ids)
        return np.setdiff1d(found, np.fromiter(self.dead, np.int64, len(self.dead)), assume_unique=True) if self.dead else found

    def vectors(self) -> np.ndarray:
        """The live ones, with ``live_ids`` in the same order."""
        every = self.index.index.reconstruct_n(0, len(self.ids))
        return every[self._live()]

    def live_ids(self) -> np.ndarray:
        return self.ids[self._live()]

    def live_tags(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {int(i): [] for i in self.live_ids()}
        for tag, ids in self.tags.items():
            for identifier in ids:
                if int(identifier) in found:
                    found[int(identifier)].append(tag)
        return found

    def _live(self) -> np.ndarray:
        return ~np.isin(self.ids, np.fromiter(self.dead, np.int64, len(self.dead))) if self.dead else np.ones(len(self.ids), bool)


def write_segment(folder: Path, name: str, ids: np.ndarray, vectors: np.ndarray, tags: Iterable[Iterable[str]], *, half: bool) -> Segment:
    """Write a new segment's files (durably), and open it by memory map."""
    dimensions = vectors.shape[1]
    flat = (
        faiss.IndexScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        if half
        else faiss.IndexFlatIP(dimensions)
    )
    index = faiss.IndexIDMap2(flat)
    index.add_with_ids(vectors, ids.astype(np.int64))
    faiss.write_index(index, str(folder / f"{name}.faiss"))
    table: dict[str, list[int]] = {}
    for identifier, some in zip(ids, tags, strict=True):
        for tag in some:
            table.setdefault(tag, []).append(int(identifier))
    (folder / f"{name}.tags.json").write_text(json.dumps(table))
    for suffix in (".faiss", ".tags.json"):
        with open(folder / f"{name}{suffix}", "rb") as file:
            os.fsync(file.fileno())
    return open_segment(folder, name, set())


def open_segment(folder: Path, name: str, dead: set[int]) -> Segment:
    """Raises OSError or RuntimeError where its files are damaged or gone."""
    index = faiss.read_index(str(folder / f"{name}.faiss"), faiss.IO_FLAG_MMAP_IFC)
    tags = {tag: np.array(sorted(ids), np.int64) for tag, ids in json.loads((folder / f"{name}.tags.json").read_text()).items()}
    return Segment(name, index, faiss.vector_to_array(index.id_map).astype(np.int64), tags, dead)


def entry_tags(entries: Iterable[Entry]) -> list[tuple[str, ...]]:
    return [entry.tags for entry in entries]
