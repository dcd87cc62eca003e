"""Questions to cited passages, of one collection or several."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.database.tables import User
from infra.errors import InvalidInput
from knowledge.library import find_collection as find_row
from knowledge.search import Passage
from workbench.services.context import Services

MOST_COLLECTIONS = 20
MOST_QUERIES = 1024
MOST_PASSAGES = 1000


@dataclass(frozen=True)
class FoundPassage:
    """A passage, and the collection it stands in."""

    collection_id: str
    collection: str
    passage: Passage

    def as_dict(self) -> dict[str, Any]:
        return {**self.passage.as_dict(), "collection": self.collection, "collection_id": self.collection_id}


async def search_collections(
    services: Services,
    user: User,
    collections: Sequence[str],
    query: str,
    k: int = 10,
    filters: Mapping[str, Any] | None = None,
    config: str = "fast",
) -> list[FoundPassage]:
    """The ``k`` best passages of all these collections, best first.

    Scores compare within one collection only; of several the best of each come first, then the second best, and so on.

    Raises:
        NotFound: a collection that the person may not read, or that is not there.
        InvalidInput: no collection, too many, an empty query, ``k`` or a filter that is none.
    """
    if not 1 <= len(collections) <= MOST_COLLECTIONS:
        raise InvalidInput(f"Choose 1 to {MOST_COLLECTIONS} collections.")
    _check(k)
    rows = [await services.database.run(lambda session, name=name: find_row(session, user.id, name)) for name in dict.fromkeys(collections)]
    answers = await asyncio.gather(*(services.index_service.search(row.id, [query], k, filters, config) for row in rows))
    ranked = [
        (rank, -passage.score, FoundPassage(row.id, row.name, passage))
        for row, (passages,) in zip(rows, answers, strict=True)
        for rank, passage in enumerate(passages)
    ]
    return [found for _, _, found in sorted(ranked, key=lambda item: item[:2])][:k]


async def search_many(
    services: Services,
    user: User,
    collection: str,
    queries: Sequence[str],
    k: int = 10,
    filters: Mapping[str, Any] | None = None,
    config: str = "fast",
) -> list[list[Passage]]:
    """The ``k`` best passages for each of many queries, embedded together. Errors as :func:`search_collections`."""
    if not 1 <= len(queries) <= MOST_QUERIES:
        raise InvalidInput(f"Send 1 to {MOST_QUERIES} queries at once.")
    _check(k)
    row = await services.database.run(lambda session: find_row(session, user.id, collection))
    return await services.index_service.search(row.id, queries, k, filters, config)


def _check(k: int) -> None:
    if not 1 <= k <= MOST_PASSAGES:
        raise InvalidInput(f"Request 1 to {MOST_PASSAGES} passages.")
