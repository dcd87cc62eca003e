"""What only OpenSearch has: the alias, the reindex behind it, and exact scoring."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from infra.errors import InvalidInput, Unavailable
from knowledge.index.contract import Entry


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def client(opensearch_url: str, name: str) -> Iterator[object]:
    from knowledge.index.opensearch import connect_opensearch

    client = connect_opensearch(opensearch_url)
    yield client
    client.indices.delete(index=f"{name}-*", ignore_unavailable=True)


def test_a_reindex_swaps_behind_the_alias(client, name: str):
    from knowledge.index.opensearch import OpenSearchIndex

    index = OpenSearchIndex(client, name, 4)
    index.add([Entry(1, "old words")], np.eye(4, dtype=np.float32)[:1])
    index.save()
    before = set(client.indices.get_alias(name=name))
    index.reindex([(Entry(2, "new words"), np.eye(4, dtype=np.float32)[1])])
    after = set(client.indices.get_alias(name=name))
    assert len(after) == 1 and not before & after
    assert index.ids() == {2} and index.lexical("old", 3) == [] and index.dense(np.eye(4)[1], 1)[0].id == 2
    assert not client.indices.exists(index=before.pop())


def test_exact_scoring_agrees_with_the_graph(client, name: str):
    from knowledge.index.opensearch import OpenSearchIndex

    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    walked = OpenSearchIndex(client, name, 8)
    walked.add([Entry(i + 1, "x", tags=(f"part:{i % 3}",)) for i in range(300)], vectors)
    walked.save()
    exact = OpenSearchIndex(client, name, 8, exact=True)
    for query in vectors[:10]:
        expected = [int(i) + 1 for i in np.argsort(-vectors @ query)[:10]]
        assert [hit.id for hit in exact.dense(query, 10)] == expected
        assert len(set(expected) & {hit.id for hit in walked.dense(query, 10)}) >= 9
        assert all(hit.id % 3 == 1 for hit in exact.dense(query, 10, (("part:0",),)))


def test_other_dimensions_are_refused(client, name: str):
    from knowledge.index.opensearch import OpenSearchIndex

    OpenSearchIndex(client, name, 8)
    with pytest.raises(InvalidInput, match="8 dimensions"):
        OpenSearchIndex(client, name, 16)


def test_a_server_that_is_not_there_is_unavailable():
    from knowledge.index.opensearch import OpenSearchIndex, connect_opensearch

    with pytest.raises(Unavailable):
        OpenSearchIndex(connect_opensearch("http://127.0.0.1:9", timeout=1), "nothing", 4)
