"""What the index service does for those who add, change and search; the same in this process and on Ray Serve.

It trusts its callers: who may read or write a collection is decided before it is asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from knowledge.library import Listed, Prepared, Storage
from knowledge.search import Passage

State = dict[str, Any]
"""Of a document, as ``workbench kb add --json`` tells it: document, state, pages, chunks, error."""


class IndexService(ABC):
    """The index service, wherever it works. Collections and documents are named by id (documents by name, too).

    Every method raises NotFound for a collection that is not there (any more), and Unavailable where it cannot be
    reached or another process is changing the collection.
    """

    @abstractmethod
    async def digest(self, collection_id: str) -> str:
        """Digest of the embedding model whose vectors the collection holds; empty while it holds none."""

    @abstractmethod
    async def enlist(self, collection_id: str, items: Sequence[Listed], job_id: str = "") -> set[str]:
        """Mark documents as queued; gives the names of those with which nothing is to be done: ready with this very
        content already, or failed in this very job."""

    @abstractmethod
    async def advance(self, collection_id: str, names: Sequence[str], state: str, progress: str = "", fraction: float = 0.0) -> None:
        """Say where documents are: ``reading`` or ``embedding``, with a sentence and the share done (0 to 1)."""

    @abstractmethod
    async def fail(self, collection_id: str, errors: Mapping[str, Mapping[str, Any]], files: Sequence[str] = ()) -> None:
        """Mark documents as failed, each with its error as a dictionary; drop those of ``files`` that no document needs."""

    @abstractmethod
    async def copy_duplicate(self, collection_id: str, item: Listed) -> State | None:
        """Where another document has this very content, add this one as its copy: nothing is read or embedded again.
        None where there is no such duplicate."""

    @abstractmethod
    async def put(self, collection_id: str, prepared: Sequence[Prepared], digest: str) -> list[State]:
        """Store and index documents that :meth:`enlist` was told of, in one transaction; versions before them are replaced.

        Args:
            digest: of the model that gave the vectors.

        Raises:
            Conflict: the collection holds vectors of another model.
        """

    @abstractmethod
    async def states(self, collection_id: str, names: Sequence[str]) -> list[State]:
        """How these documents are, in this order; those that are gone are left out."""

    @abstractmethod
    async def remove(self, collection_id: str, names: Sequence[str]) -> None:
        """Take documents out of index, tables and store. Raises NotFound where one of them is not there; then none goes."""

    @abstractmethod
    async def edit_facts(self, collection_id: str, document: str, facts: Mapping[str, Any]) -> None:
        """Correct facts of a document (title, organisation, kind, year, quarter, date, language). Raises InvalidInput, NotFound."""

    @abstractmethod
    async def edit_chunk(self, collection_id: str, chunk_id: int, *, enabled: bool | None = None, search_text: str | None = None) -> None:
        """Switch a chunk on or off, or search it by other words (an empty text: by its own again). Raises NotFound."""

    @abstractmethod
    async def rebuild(self, collection_id: str) -> int:
        """Make the index anew from tables and store, with new vectors where another embedding model serves by now.
        Gives the number of chunks."""

    @abstractmethod
    async def delete(self, collection_id: str) -> None:
        """Remove the collection with everything in it."""

    @abstractmethod
    async def storage(self, collection_id: str) -> Storage:
        """What the collection takes."""

    @abstractmethod
    async def search(
        self, collection_id: str, queries: Sequence[str], k: int = 10, filters: Mapping[str, Any] | None = None, config: str = "fast"
    ) -> list[list[Passage]]:
        """The ``k`` best passages for each query, best first. The queries are embedded together.

        Args:
            filters: facts to allowed values: organisation, kind, year, quarter, language, document.
            config: ``fast`` or ``accurate``.

        Raises:
            InvalidInput: an empty query, ``k`` below 1, an unknown filter or configuration.
            Conflict: the model whose vectors the collection holds is not there any more; rebuild it.
        """
