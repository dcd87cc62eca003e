"""Collections, as answers search them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from knowledge.search import Passage
from pipelines.index_service import IndexService
from pipelines.questions.contract import Found, Search


def search_of(
    index: IndexService,
    collections: Sequence[tuple[str, str]],
    *,
    filters: Mapping[str, Any] | None = None,
    documents: Mapping[str, Sequence[str]] | None = None,
    config: str = "fast",
) -> Search:
    """A search over all these collections.

    Scores compare within one collection only; of several the best of each come first, then the second best, and so on.

    Args:
        collections: id and name of each; whoever asks has made sure that the person may read them.
        documents: a collection's id to ids or names of its documents; where given, only these are searched.
    """
    if documents:
        collections = [place for place in collections if documents.get(place[0])]

    def filters_of(identifier: str) -> Mapping[str, Any] | None:
        return {**(filters or {}), "document": list(documents[identifier])} if documents else filters

    async def search(question: str, count: int) -> list[Found]:
        answers = await asyncio.gather(
            *(index.search(identifier, [question], count, filters_of(identifier), config) for identifier, _ in collections)
        )
        ranked: list[tuple[int, float, Found]] = []
        for (identifier, name), (passages,) in zip(collections, answers, strict=True):
            ranked += [(rank, -one.score, _found(one, identifier, name)) for rank, one in enumerate(passages)]
        return [found for _, _, found in sorted(ranked, key=lambda item: item[:2])][:count]

    return search


def _found(passage: Passage, identifier: str, name: str) -> Found:
    return Found(passage, identifier, name)
