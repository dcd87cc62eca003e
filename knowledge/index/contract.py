"""What an index of passages promises; ``tests/integration/knowledge/test_index_contract.py`` holds every one to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

SAVED_AT_ONCE = 4000  # entries of an index that is filled anew

Where = tuple[tuple[str, ...], ...]
"""A filter on tags: of every group at least one. ``(("year:2018", "year:2019"), ("type:10-k",))``; ``()`` takes all."""


@dataclass(frozen=True)
class Entry:
    """A chunk to be found.

    Attributes:
        id: of the chunk in the database; positive, unique in the index. Adding an id again replaces it.
        text: what is searched by words: title, headings and text.
        language: ISO 639-1 code that decides the stemming; None searches unstemmed.
        tags: ``name:value``, lower case, for filters; ``document:ID`` among them.
    """

    id: int
    text: str
    language: str | None = "en"
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hit:
    """A chunk that was found. Scores compare within one answer only."""

    id: int
    score: float


class Index(ABC):
    """Vectors and words of one collection.

    ``add`` and ``remove`` are staged, and nobody sees them before ``save``: then all of them at once, so a new version of
    a document replaces the old one without a moment in which it is missing or there twice. Searching may go on in other
    threads meanwhile. The index is a cache: what it holds can be made again from the database and the object store.
    """

    dimensions: int

    @abstractmethod
    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """Stage entries with their unit vectors, float32 ``(entries, dimensions)``.

        Raises:
            InvalidInput: the vectors do not fit the entries or the index.
        """

    @abstractmethod
    def remove(self, ids: Iterable[int]) -> None:
        """Stage the removal of entries; an id that is not there is no error."""

    @abstractmethod
    def save(self) -> None:
        """Make all that is staged visible and durable, whole or not at all."""

    @abstractmethod
    def dense(self, vector: np.ndarray, k: int, where: Where = ()) -> list[Hit]:
        """The ``k`` entries nearest to a unit vector, best first; the score is the inner product."""

    @abstractmethod
    def lexical(self, query: str, k: int, where: Where = ()) -> list[Hit]:
        """The ``k`` entries that match the words of ``query`` best (BM25), best first. Any text is allowed; none is syntax."""

    @abstractmethod
    def ids(self) -> set[int]:
        """Ids of all saved entries, to compare with the database."""

    @abstractmethod
    def clear(self) -> None:
        """Remove everything, at once."""

    def reindex(self, entries: Iterable[tuple[Entry, np.ndarray]]) -> None:
        """Hold these entries, each with its vector, and no others. OpenSearch answers with the old ones until all are there;
        a folder's index begins empty and fills."""
        self.clear()
        left = iter(entries)
        while part := list(islice(left, SAVED_AT_ONCE)):
            self.add([entry for entry, _ in part], np.stack([vector for _, vector in part]))
            self.save()

    @abstractmethod
    def close(self) -> None:
        """Free memory and files. What is not saved is lost."""

    def __len__(self) -> int:
        return len(self.ids())


def check_vectors(entries: Sequence[Entry], vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """``vectors`` as contiguous float32, or InvalidInput."""
    from infra.errors import InvalidInput

    if vectors.shape != (len(entries), dimensions):
        raise InvalidInput(f"{len(entries)} entries need vectors of shape ({len(entries)}, {dimensions}), not {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise InvalidInput("A vector holds values that are no numbers.")
    return np.ascontiguousarray(vectors, np.float32)
