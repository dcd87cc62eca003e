"""Questions to cited passages."""

from knowledge.search.passages import Chunks, Embedder, Passage, Reranker, StoredChunk
from knowledge.search.searcher import ACCURATE, CONFIGS, FAST, SearchConfig, Searcher, check_asked, config_named

__all__ = [
    "ACCURATE",
    "CONFIGS",
    "FAST",
    "Chunks",
    "Embedder",
    "Passage",
    "Reranker",
    "SearchConfig",
    "Searcher",
    "StoredChunk",
    "check_asked",
    "config_named",
]
