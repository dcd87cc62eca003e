"""Documents into collections: as a durable job (``pipeline.PIPELINE``), or as functions that a notebook calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.ingestion.client import KnowledgeClient, add_documents, open_knowledge, search

__all__ = ["KnowledgeClient", "add_documents", "open_knowledge", "search"]


def __getattr__(name: str) -> Any:
    # When first asked for: whoever only wants to know the pipeline's plan does not wait for indexes and tables.
    if name in __all__:
        from pipelines.ingestion import client

        return getattr(client, name)
    raise AttributeError(name)
