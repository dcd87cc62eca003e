"""Search one collection: by meaning and by words, with what the question names, neighbours merged, perhaps reranked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from infra.errors import InvalidInput
from knowledge.index import Hit, Index, Where
from knowledge.metadata import Catalog, Named
from knowledge.search.fusion import add_bonus, fuse
from knowledge.search.passages import Chunks, Embedder, Passage, Reranker, StoredChunk
from knowledge.search.reports import in_their_words, title_named, words_of


@dataclass(frozen=True)
class SearchConfig:
    """A named way to search. Weights were chosen on development halves (tests/benchmarks/retrieval.py --sweep): ``dense_weight``
    on SciFact, ``title_bonus`` on FinanceBench by words alone, ``report_dense_weight`` there with both.

    Attributes:
        candidates: taken from each of the two rankings.
        dense_weight: weight of meaning against words, 0 to 1.
        report_dense_weight: the same in a collection that has companies' reports, whose tables say little in words.
        infer: whether what the question names (organisation, period, kind) narrows or raises.
        year_bonus, kind_bonus: added to the fused score of documents of a year or kind that the question names.
        title_bonus: added to a chunk of a company's report whose title the question names (:mod:`knowledge.search.reports`).
        merge_characters: neighbours become one passage up to this length.
        rerank: candidates that are reranked; 0 for none.
        rerank_weight: weight of the reranker's score against the fused one.
    """

    name: str
    candidates: int = 200
    dense_weight: float = 0.45
    report_dense_weight: float = 0.6
    infer: bool = True
    year_bonus: float = 1.0
    kind_bonus: float = 0.2
    title_bonus: float = 0.5
    merge_characters: int = 2400
    rerank: int = 0
    rerank_weight: float = 0.5


FAST = SearchConfig("fast")
ACCURATE = SearchConfig("accurate", rerank=50)
CONFIGS = {config.name: config for config in (FAST, ACCURATE)}

MERGED_AMONG = 4
"""Neighbours are looked for among so many times as many chunks as passages are wanted."""
Filters = Mapping[str, str | int | Sequence[str | int]]
"""Tag names to the values allowed, for example ``{"year": [2018, 2019], "kind": "10-k"}``."""


def config_named(name: str) -> SearchConfig:
    """Raises InvalidInput for a name that is none."""
    if name not in CONFIGS:
        raise InvalidInput(f"There is no search configuration '{name}'. Known: {', '.join(CONFIGS)}.")
    return CONFIGS[name]


@dataclass(frozen=True)
class _Place:
    """Where is searched, and how many candidates each ranking gives there."""

    where: Where
    count: int


@dataclass(frozen=True)
class _Asked:
    """What a question asks for, before its vector is known.

    Attributes:
        wording: what is searched by words.
        weight: of meaning against words.
        places: searched in turn until one has something.
        lexical: the ranking by words in the first of them.
    """

    catalog: Catalog
    named: Named
    wording: str
    weight: float
    places: tuple[_Place, ...]
    lexical: list[Hit]


class Searcher:
    """Searches one collection.

    Args:
        index: of the collection.
        chunks: where its chunks are kept.
        embedder: turns the question into a vector; must be the model whose vectors the index holds.
        reranker: needed by configurations that rerank; without one they search like ``fast``.
    """

    def __init__(self, index: Index, chunks: Chunks, embedder: Embedder, reranker: Reranker | None = None) -> None:
        self.index, self.chunks, self.embedder, self.reranker = index, chunks, embedder, reranker

    async def search(self, query: str, k: int = 10, filters: Filters | None = None, config: SearchConfig = FAST) -> list[Passage]:
        """The ``k`` best passages, best first; fewer where the collection has no more that match.

        Raises:
            InvalidInput: an empty query, or ``k`` below 1.
        """
        (found,) = await self.search_many([query], k, filters, config)
        return found

    async def search_many(
        self, queries: Sequence[str], k: int = 10, filters: Filters | None = None, config: SearchConfig = FAST
    ) -> list[list[Passage]]:
        """The same for many queries, embedded together."""
        check_asked(queries, k)
        if not queries:
            return []
        # The words are searched while the model embeds: neither needs the other.
        asked, embedded = await asyncio.gather(
            asyncio.to_thread(lambda: [self._asked(query, k, filters or {}, config) for query in queries]),
            self.embedder.embed(list(queries)),
        )
        answers = []
        for query, one, vector in zip(queries, asked, embedded.vectors, strict=True):
            candidates = await asyncio.to_thread(self._candidates, one, vector, k, config)
            if config.rerank and self.reranker is not None and candidates:
                candidates = await self._reranked(query, candidates, config)
            answers.append(candidates[:k])
        return answers

    def _asked(self, query: str, k: int, filters: Filters, config: SearchConfig) -> _Asked:
        catalog = self.chunks.catalog() if config.infer else Catalog({})
        named = catalog.named_in(query)
        wording = in_their_words(query) if catalog.reports else query
        weight = config.report_dense_weight if catalog.reports else config.dense_weight
        everywhere = _Place(where_of(filters), max(config.candidates, 2 * k))
        places = (everywhere,)
        if named.organisations and "organisation" not in filters:
            narrowed = (*everywhere.where, tuple(sorted(f"organisation:{name}" for name in named.organisations)))
            places = (_Place(narrowed, max((2 if catalog.reports else 1) * config.candidates, 2 * k)), everywhere)
        return _Asked(catalog, named, wording, weight, places, self.index.lexical(wording, places[0].count, places[0].where))

    def _candidates(self, asked: _Asked, vector: np.ndarray, k: int, config: SearchConfig) -> list[Passage]:
        catalog, fused = asked.catalog, dict[int, float]()
        for place in asked.places:
            first = place is asked.places[0]
            words = asked.lexical if first else self.index.lexical(asked.wording, place.count, place.where)
            fused = fuse(self.index.dense(vector, place.count, place.where), words, asked.weight)
            if fused:  # nothing where nothing of those named matches
                break
        wanted = max(config.rerank, k)
        if not asked.named.anything and not catalog.reports:
            # Nothing is raised, so the order stands, and the best are mostly enough: the rest need not be read.
            best = dict(list(fused.items())[: MERGED_AMONG * wanted])
            ranked = _ranked(best, self.chunks.get(list(best)))
            passages = merge_neighbours(ranked, self.chunks, config.merge_characters, wanted)
            if len(best) == len(fused) or (len(ranked) == len(best) and len(passages) == wanted):
                return passages
        found = self.chunks.get(list(fused))
        raised = {i: bonus(catalog, found[i].document, asked.named, config) for i in fused if i in found}
        if catalog.reports and config.title_bonus:
            words_asked = words_of(asked.wording)
            for i in raised:
                if found[i].document in catalog.reports:
                    raised[i] += config.title_bonus * title_named(words_asked, found[i].headings, found[i].text)
        ranked = _ranked(add_bonus(fused, raised), found)
        return merge_neighbours(ranked, self.chunks, config.merge_characters, wanted)

    async def _reranked(self, query: str, candidates: list[Passage], config: SearchConfig) -> list[Passage]:
        assert self.reranker is not None
        head = candidates[: config.rerank]
        scores = await self.reranker.rerank(query, [passage.text for passage in head])
        mixed = [
            replace(passage, score=(1 - config.rerank_weight) * passage.score + config.rerank_weight * float(score))
            for passage, score in zip(head, scores, strict=True)
        ]
        return sorted(mixed, key=lambda passage: -passage.score) + candidates[config.rerank :]


def check_asked(queries: Sequence[str], k: int) -> None:
    """Raises InvalidInput for an empty query, or ``k`` below 1."""
    if k < 1:
        raise InvalidInput("At least one passage must be asked for (k >= 1).")
    if any(not query.strip() for query in queries):
        raise InvalidInput("The question is empty.")


def where_of(filters: Filters) -> Where:
    """Filters as the index's tags."""
    groups = []
    for name, value in filters.items():
        values = [value] if isinstance(value, str | int) else list(value)
        groups.append(tuple(f"{name}:{item}".lower() for item in values))
    return tuple(groups)


def bonus(catalog: Catalog, document: str, named: Named, config: SearchConfig) -> float:
    """What a document gains for being of the year, quarter or kind that the question names."""
    facts = catalog.facts.get(document)
    if facts is None or not named.anything:
        return 0.0
    gained = 0.0
    if facts.year in named.years:
        # Of several years named, a report on the last of them holds the earlier ones too.
        gained += config.year_bonus if facts.year == max(named.years) else config.year_bonus / 2
        if named.quarters and facts.quarter in named.quarters:
            gained += config.kind_bonus / 2
    if facts.kind in named.kinds:
        gained += config.kind_bonus
    return gained


def _ranked(scores: Mapping[int, float], found: Mapping[int, StoredChunk]) -> list[tuple[StoredChunk, float]]:
    return without_copies([(found[i], score) for i, score in scores.items() if i in found])


def without_copies(ranked: Sequence[tuple[StoredChunk, float]]) -> list[tuple[StoredChunk, float]]:
    """Of a passage that stands in two copies of one file, only the better ranked."""
    seen: dict[tuple[str, int], str] = {}
    return [
        (chunk, score)
        for chunk, score in ranked
        if not chunk.content or seen.setdefault((chunk.content, chunk.start), chunk.document) == chunk.document
    ]


def merge_neighbours(ranked: Sequence[tuple[StoredChunk, float]], chunks: Chunks, most: int, wanted: int) -> list[Passage]:
    """Chunks that follow each other in one section of one page become one passage, with the best one's score.

    Args:
        ranked: chunks with scores, best first.
        most: characters of a merged passage.
        wanted: passages that are needed; further down nothing is merged.
    """
    by_place = {(chunk.document, chunk.index): chunk for chunk, _ in ranked[: MERGED_AMONG * wanted]}
    used: set[int] = set()
    passages: list[Passage] = []
    for chunk, score in ranked:
        if chunk.id in used:
            continue
        if len(passages) >= wanted:
            break
        group = [chunk]
        used.add(chunk.id)
        growing = True
        while growing:
            growing = False
            for neighbour in (by_place.get((chunk.document, group[-1].index + 1)), by_place.get((chunk.document, group[0].index - 1))):
                if neighbour is None or neighbour.id in used or not _together(group, neighbour, most):
                    continue
                group = sorted([*group, neighbour], key=lambda item: item.index)
                used.add(neighbour.id)
                growing = True
        passages.append(_passage(group, score, chunks))
    return passages


def _together(group: list[StoredChunk], other: StoredChunk, most: int) -> bool:
    start, end = min(group[0].start, other.start), max(group[-1].end, other.end)
    return other.page == group[0].page and other.headings == group[0].headings and end - start <= most


def _passage(group: list[StoredChunk], score: float, chunks: Chunks) -> Passage:
    first, start, end = group[0], group[0].start, max(chunk.end for chunk in group)
    text = _joined(group) or chunks.span(first.document, start, end)
    return Passage(first.document, first.title, first.page, start, end, text, score, first.headings, tuple(chunk.id for chunk in group))


def _joined(group: list[StoredChunk]) -> str | None:
    """The text from the first chunk to the last, where they meet or overlap: then the document need not be opened."""
    text, end = group[0].text, group[0].end
    for chunk in group[1:]:
        if chunk.start > end:
            return None
        text, end = text + chunk.text[max(0, end - chunk.start) :], max(end, chunk.end)
    return text
