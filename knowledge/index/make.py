"""Which index a collection has."""

from __future__ import annotations

from pathlib import Path

from knowledge.index.contract import Index


def open_index(where: Path | str, name: str, dimensions: int = 384, *, half: bool = True, engine: str = "lucene") -> Index:
    """The index ``name``: below a folder (embedded), or on an OpenSearch server (an http address).

    Raises:
        IntegrityError: an embedded index that is damaged: delete it and rebuild.
        Unavailable: the server does not answer.
    """
    if isinstance(where, str) and where.startswith(("http://", "https://")):
        from knowledge.index.opensearch import OpenSearchIndex, connect_opensearch

        return OpenSearchIndex(connect_opensearch(where), f"workbench-{name}", dimensions, engine=engine)
    from knowledge.index.embedded import EmbeddedIndex

    return EmbeddedIndex(Path(where) / name, dimensions, half=half)
