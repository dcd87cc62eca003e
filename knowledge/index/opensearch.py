"""The index in OpenSearch: BM25 and k-NN in one index behind an alias."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, helpers
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import ConnectionTimeout, NotFoundError, TransportError

from infra.errors import InvalidInput, Unavailable
from knowledge.index.contract import Entry, Hit, Index, Where, check_vectors
from knowledge.index.lexical import FIELDS, STEMMERS, field_of, plain_words

# OpenSearch's own names of the Snowball stemmers that Tantivy uses.
_STEMMER_NAMES = {"english": "porter2", "german": "german2"}
BULK = 500
WALK = 128  # least neighbours that a walk of the graph gathers: with as few as are asked for it misses near ones
CLAUSES = 1000  # OpenSearch refuses queries of more than 1,024
FIELDS_SECONDS = 5.0


def connect_opensearch(url: str, *, timeout: float = 30.0, **options: Any) -> OpenSearch:
    """A client for ``url``; ``options`` go to it (credentials, certificates)."""
    return OpenSearch(hosts=[url], timeout=timeout, max_retries=2, retry_on_timeout=True, **options)


class OpenSearchIndex(Index):
    """One alias an index. What is staged is sent by bulk when saved.

    A save becomes visible at its refresh, which comes after the bulk; a refresh that OpenSearch makes by itself in between
    is switched off (``refresh_interval`` -1). ``reindex`` fills a new index and points the alias there in one step.

    Args:
        client: see :func:`connect_opensearch`.
        name: of the alias.
        engine: of k-NN: ``lucene``, or ``faiss`` where the server has its native library.
        exact: score all allowed vectors instead of walking a graph; right for filters that leave few.
    """

    def __init__(self, client: OpenSearch, name: str, dimensions: int = 384, *, engine: str = "lucene", exact: bool = False) -> None:
        self.client, self.name, self.dimensions, self.engine, self.exact = client, name, dimensions, engine, exact
        self._staged: dict[int, tuple[Entry, np.ndarray]] = {}
        self._removed: set[int] = set()
        self._fields: list[str] = []
        self._fields_until = 0.0
        with _plain_errors():
            if not client.indices.exists_alias(name=name):
                target = self._create()
                client.indices.put_alias(index=target, name=name)
            else:
                self._check_dimensions()

    def add(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        vectors = check_vectors(entries, vectors, self.dimensions)
        for entry, vector in zip(entries, vectors, strict=True):
            self._staged[entry.id] = (entry, vector)

    def remove(self, ids: Iterable[int]) -> None:
        for identifier in map(int, ids):
            self._staged.pop(identifier, None)
            self._removed.add(identifier)

    def save(self) -> None:
        if not self._staged and not self._removed:
            return
        with _plain_errors():
            self._send(self.name, self._staged.values(), self._removed - set(self._staged))
            self.client.indices.refresh(index=self.name)
        self._staged, self._removed, self._fields = {}, set(), []

    def reindex(self, entries: Iterable[tuple[Entry, np.ndarray]]) -> None:
        """Fill a new index with ``entries`` alone while the old one answers, then swap; the old one is deleted."""
        with _plain_errors():
            old = list(self.client.indices.get_alias(name=self.name))
            target = self._create()
            try:
                self._send(target, entries, ())
                self.client.indices.refresh(index=target)
            except BaseException:
                self.client.indices.delete(index=target, ignore_unavailable=True)  # pyright: ignore[reportCallIssue]
                raise
            actions: list[dict[str, Any]] = [{"remove_index": {"index": index}} for index in old]
            self.client.indices.update_aliases(body={"actions": [*actions, {"add": {"index": target, "alias": self.name}}]})
        self._staged, self._removed, self._fields = {}, set(), []

    def dense(self, vector: np.ndarray, k: int, where: Where = ()) -> list[Hit]:
        query = check_vectors([Entry(0, "")], np.asarray(vector, np.float32).reshape(1, -1), self.dimensions)[0]
        if self.exact:
            script = {
                "source": "knn_score",
                "lang": "knn",
                "params": {"field": "vector", "query_value": query.tolist(), "space_type": "innerproduct"},
            }
            body: dict[str, Any] = {"script_score": {"query": _filter(where), "script": script}}
        else:
            nearest: dict[str, Any] = {"vector": query.tolist(), "k": max(k, WALK)}
            if where:
                nearest["filter"] = _filter(where)
            body = {"knn": {"vector": nearest}}
        # OpenSearch gives positive scores only: 1 + s for an inner product above 0, 1 / (1 - s) below.
        return [Hit(hit.id, hit.score - 1 if hit.score >= 1 else 1 - 1 / hit.score) for hit in self._search(body, k)]

    def lexical(self, query: str, k: int, where: Where = ()) -> list[Hit]:
        words = plain_words(query)
        if not words:
            return []
        fields = self._used_fields()
        most = CLAUSES // max(1, len(fields))
        # A text is in one field only: the fields' scores are added, as Tantivy does. A pair of characters is a clause.
        text = {name: words[: most // 2] if name == "body_pairs" else " ".join(words.split()[:most]) for name in fields}
        matches = [{"match": {name: {"query": value}}} for name, value in text.items()]
        if not matches:
            return []
        body: dict[str, Any] = {"bool": {"should": matches, "minimum_should_match": 1}}
        if where:
            body["bool"]["filter"] = [_filter(where)]
        return self._search(body, k)

    def _used_fields(self) -> list[str]:
        """Fields that hold something, looked up every few seconds."""
        if not self._fields or time.monotonic() > self._fields_until:
            body = {"size": 0, "aggs": {"fields": {"terms": {"field": "field", "size": len(FIELDS)}}}}
            with _plain_errors():
                buckets = self.client.search(index=self.name, body=body)["aggregations"]["fields"]["buckets"]
            self._fields, self._fields_until = [bucket["key"] for bucket in buckets], time.monotonic() + FIELDS_SECONDS
        return self._fields

    def ids(self) -> set[int]:
        with _plain_errors():
            return {
                int(hit["_id"]) for hit in helpers.scan(self.client, index=self.name, query={"query": {"match_all": {}}}, _source=False)
            }

    def clear(self) -> None:
        self.reindex(())

    def close(self) -> None:
        self._staged, self._removed = {}, set()

    def delete(self) -> None:
        """Remove the index with all it holds, and its alias."""
        with _plain_errors():
            for index in list(self.client.indices.get_alias(name=self.name)):
                self.client.indices.delete(index=index, ignore_unavailable=True)  # pyright: ignore[reportCallIssue]

    def _search(self, query: dict[str, Any], k: int) -> list[Hit]:
        body = {"query": query, "size": min(k, 10_000), "_source": False, "track_total_hits": False}
        with _plain_errors():
            hits = self.client.search(index=self.name, body=body)["hits"]["hits"]
        return sorted((Hit(int(hit["_id"]), float(hit["_score"])) for hit in hits), key=lambda hit: (-hit.score, hit.id))

    def _send(self, target: str, added: Iterable[tuple[Entry, np.ndarray]], removed: Iterable[int]) -> None:
        def actions() -> Iterator[dict[str, Any]]:
            for identifier in removed:
                yield {"_op_type": "delete", "_index": target, "_id": str(identifier)}
            for entry, vector in added:
                name = field_of(entry.language)
                source = {name: entry.text, "field": name, "tags": list(entry.tags), "vector": np.asarray(vector, np.float32).tolist()}
                yield {"_op_type": "index", "_index": target, "_id": str(entry.id), "_source": source}

        for done, answer in helpers.streaming_bulk(self.client, actions(), chunk_size=BULK, raise_on_error=False, max_retries=3):
            ((operation, result),) = answer.items()
            if not done and not (operation == "delete" and result.get("status") == 404):
                raise Unavailable(f"OpenSearch did not take entry {result.get('_id')}: {str(result.get('error'))[:300]}")

    def _create(self) -> str:
        target = f"{self.name}-{secrets.token_hex(4)}"
        analyzers, filters = _analyzers()
        method = {"name": "hnsw", "engine": self.engine, "space_type": "innerproduct", "parameters": {"ef_construction": 128, "m": 16}}
        body = {
            "settings": {
                "index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
                "analysis": {"analyzer": analyzers, "filter": filters, "tokenizer": _TOKENIZERS},
            },
            "mappings": {
                "dynamic": "strict",
                "properties": {
                    "tags": {"type": "keyword"},
                    "field": {"type": "keyword"},
                    "vector": {"type": "knn_vector", "dimension": self.dimensions, "method": method},
                    **{name: {"type": "text", "analyzer": name} for name in FIELDS},
                },
            },
        }
        self.client.indices.create(index=target, body=body)
        return target

    def _check_dimensions(self) -> None:
        for mapping in self.client.indices.get_mapping(index=self.name).values():
            found = mapping["mappings"]["properties"]["vector"]["dimension"]
            if found != self.dimensions:
                raise InvalidInput(f"The index {self.name} holds vectors of {found} dimensions, not {self.dimensions}.")


_TOKENIZERS = {
    # Letters and digits, as Tantivy's simple tokenizer cuts.
    "words": {"type": "pattern", "pattern": r"[^\p{L}\p{N}]+"},
    "pairs": {"type": "ngram", "min_gram": 1, "max_gram": 2},
}


def _analyzers() -> tuple[dict[str, Any], dict[str, Any]]:
    filters = {f"stem_{name}": {"type": "stemmer", "language": _STEMMER_NAMES.get(name, name)} for name in set(STEMMERS.values())}
    analyzers: dict[str, Any] = {
        f"body_{name}": {"type": "custom", "tokenizer": "words", "filter": ["lowercase", f"stem_{name}"]} for name in set(STEMMERS.values())
    }
    analyzers["body_plain"] = {"type": "custom", "tokenizer": "words", "filter": ["lowercase"]}
    analyzers["body_pairs"] = {"type": "custom", "tokenizer": "pairs", "filter": ["lowercase"]}
    return analyzers, filters


def _filter(where: Where) -> dict[str, Any]:
    return {"bool": {"filter": [{"terms": {"tags": list(group)}} for group in where]}} if where else {"match_all": {}}


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (NoConnection, ConnectionTimeout) as error:
        raise Unavailable("OpenSearch does not answer. Try again in a moment.") from error
    except NotFoundError as error:
        raise Unavailable("The index is not in OpenSearch; rebuild it (workbench kb rebuild).") from error
    except TransportError as error:
        if isinstance(error.status_code, int) and error.status_code in (429, 502, 503, 504):
            raise Unavailable("OpenSearch is overloaded. Try again in a moment.") from error
        raise
