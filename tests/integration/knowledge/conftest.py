"""A real OpenSearch for the session, and both kinds of index."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from knowledge.index.contract import Index
from knowledge.index.embedded import EmbeddedIndex

DIMENSIONS = 16


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """Address of a running OpenSearch 2.19.1 with k-NN."""
    from infra.deploy.opensearch.run import CannotStart, opensearch

    server = opensearch()
    try:
        url = server.__enter__()
    except CannotStart as reason:
        pytest.skip(f"OpenSearch: {reason}")
    yield url
    server.__exit__(None, None, None)


@pytest.fixture(params=["embedded", "embedded-half", "opensearch"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Index]]:
    """Opens the same index anew at every call."""
    if request.param.startswith("embedded"):
        half = request.param.endswith("half")
        yield lambda: EmbeddedIndex(tmp_path / "index", DIMENSIONS, half=half)
        return
    from knowledge.index.opensearch import OpenSearchIndex, connect_opensearch

    client = connect_opensearch(request.getfixturevalue("opensearch_url"))
    name = f"test-{uuid.uuid4().hex[:10]}"
    yield lambda: OpenSearchIndex(client, name, DIMENSIONS, engine="lucene")
    client.indices.delete(index=f"{name}-*", ignore_unavailable=True)


@pytest.fixture
def index(open_again: Callable[[], Index]) -> Index:
    return open_again()
