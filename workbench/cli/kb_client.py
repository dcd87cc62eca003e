"""The knowledge base as the command line sees it: through the running workbench, or in the data folder where none runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.database.identifiers import find_by_id_or_name
from infra.errors import Conflict, InvalidInput, NotFound
from infra.settings import Settings
from workbench.cli.running import Client

QUERIES_AT_ONCE = 256


class LocalKnowledge:
    """In this process, as the owner. A context manager."""

    def __init__(self, settings: Settings) -> None:
        from infra.telemetry import configure_logging
        from pipelines.ingestion import open_knowledge

        configure_logging(level="error")
        self._knowledge = open_knowledge(settings)

    def add(self, paths: Sequence[Path], collection: str, progress: Any) -> dict[str, Any]:
        return self._knowledge.add(paths, collection, progress=progress)

    def search(self, queries: Sequence[str], collection: str, k: int, filters: dict[str, list[str]], config: str) -> list[list[Any]]:
        found = self._knowledge.search_many(queries, collection, k, filters, config)
        return [[passage.as_dict() for passage in passages] for passages in found]

    def collections(self) -> list[dict[str, Any]]:
        return self._knowledge.collections()

    def documents(self, collection: str) -> list[dict[str, Any]]:
        return self._knowledge.documents(collection)

    def remove(self, identifier: str, collection: str | None) -> dict[str, Any]:
        if collection is not None:
            self._knowledge.remove(identifier, collection)
            return {"what": "document", "name": identifier, "collection": collection}
        mine = self._knowledge.collections()
        matches = [
            {**document, "collection_id": one["id"], "collection": one["name"]}
            for one in mine
            for document in self._knowledge.documents(one["id"])
        ]
        what = the_one(identifier, matches, mine)
        if what["what"] == "collection":
            self._knowledge.delete(what["id"])
        else:
            self._knowledge.remove(what["id"], what["collection_id"])
        return {name: what[name] for name in ("what", "name", "collection")}

    def rebuild(self, collection: str | None) -> list[dict[str, Any]]:
        names = [collection] if collection is not None else [one.id for one in self._knowledge.writable()]
        known = {one["id"]: one["name"] for one in self._knowledge.collections()}
        return [{"name": known.get(name, name), "chunks": self._knowledge.rebuild(name)} for name in names]

    def __enter__(self) -> LocalKnowledge:
        return self

    def __exit__(self, *_: object) -> None:
        self._knowledge.close()


class RunningKnowledge:
    """Over HTTP."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def add(self, paths: Sequence[Path], collection: str, progress: Any) -> dict[str, Any]:
        """Send the files, begin one job for all of them, and wait for its end."""
        from pipelines.ingestion.sources import find_files
        from workbench.cli.analyze import finish

        files, sent = find_files(paths), []
        for number, file in enumerate(files):
            progress(0.0, f"Sending {file.name} ({number + 1} of {len(files)})")
            upload = self._client.send_file("/uploads", file.path, fields={})
            sent.append({"upload": upload["id"], "name": file.name})
        job = self._client.post("/mlops/kb/documents", {"collection": collection, "files": sent})["job"]
        job = finish(self._client, job, progress)
        return self._client.get(f"/mlops/kb/jobs/{job['id']}")

    def search(self, queries: Sequence[str], collection: str, k: int, filters: dict[str, list[str]], config: str) -> list[list[Any]]:
        body = {"queries": list(queries), "k": k, "filters": filters, "config": config}
        return self._client.post(f"/mlops/kb/{quote(collection, safe='')}/search", body)["answers"]

    def collections(self) -> list[dict[str, Any]]:
        return self._client.get("/mlops/kb")["collections"]

    def documents(self, collection: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = None
        while True:
            said = self._client.get(f"/mlops/kb/{quote(collection, safe='')}/documents", after=after, limit=1000)
            found += said["documents"]
            after = said["next"]
            if after is None:
                return found

    def remove(self, identifier: str, collection: str | None) -> dict[str, Any]:
        mine = self.collections()
        matches = self._client.get("/mlops/kb/documents", named=identifier)["documents"]
        if collection is not None:
            matches = find_by_id_or_name(collection, matches, lambda one: (one["collection_id"], one["collection"]))
            mine = []
        what = the_one(identifier, matches, mine)
        place = f"/mlops/kb/{what['collection_id']}"
        self._client.delete(place if what["what"] == "collection" else f"{place}/documents/{what['id']}")
        return {name: what[name] for name in ("what", "name", "collection")}

    def rebuild(self, collection: str | None) -> list[dict[str, Any]]:
        known = self.collections()
        chosen = find_by_id_or_name(collection, known, _collection) if collection else [one for one in known if one["may_write"]]
        if not chosen and collection:
            raise NotFound(f"There is no collection '{collection}'.")
        return [{"name": one["name"], "chunks": self._client.post(f"/mlops/kb/{one['id']}/rebuild")["chunks"]} for one in chosen]

    def __enter__(self) -> RunningKnowledge:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def the_one(identifier: str, documents: Sequence[dict[str, Any]], collections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The one document or collection that an id means, else a name (:mod:`infra.database.identifiers`).

    Raises:
        NotFound: none.
        Conflict: several; the message says what to add.
    """
    known = [{**one, "what": "document", "name": one["document"]} for one in documents]
    known += [{**one, "what": "collection", "collection": one["name"], "collection_id": one["id"]} for one in collections]
    found = find_by_id_or_name(identifier, known, lambda one: (one["id"], one["name"]), any_name=True)
    if not found:
        raise NotFound(f"There is no document or collection '{identifier}'. See `workbench kb list`.")
    if len(found) > 1:
        where = ", ".join(f"the {one['what']} {one['id']} ({one['collection']})" for one in found)
        raise Conflict(f"'{identifier}' means several things: {where}. Give the id, or the collection with --collection.")
    return found[0]


def _collection(card: dict[str, Any]) -> tuple[str, str]:
    return card["id"], card["name"]


def read_queries(path: Path) -> list[tuple[str, str]]:
    """``(id, text)`` of each line of a file of queries. Raises InvalidInput, naming the line."""
    found: list[tuple[str, str]] = []
    # Lines of the file, not splitlines(): a text may hold what that takes for the end of a line.
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            identifier, text = said["id"], said["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f'Line {number} of {path.name} is no query: {{"id", "text"}} a line is expected.') from error
        if not isinstance(text, str) or not text.strip():
            raise InvalidInput(f"The query of line {number} of {path.name} is empty.")
        found.append((identifier, text))
    return found
