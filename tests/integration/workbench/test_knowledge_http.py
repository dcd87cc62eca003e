"""The knowledge base over HTTP: documents in by upload, states, rights, search, chunks; deleted means gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from pipelines.index_service.local import LocalIndexService
from pipelines.ingestion.pipeline import PIPELINE
from pipelines.jobs.inline import run_inline
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.integration.workbench.conftest import Running
from workbench.services.cited_pages import cited

HEART = "# Hearts\n\nThe heart pumps blood. Aspirin thins the blood and prevents clots in the arteries.\n"
BRAIN = "# Brains\n\nThe brain has two hemispheres. The hippocampus stores memories.\n"


@dataclass
class House:
    """A gateway whose index service works in its process; jobs are worked off by hand, as the runner would."""

    running: Running
    client: httpx.Client
    roles: Roles

    def as_person(self, name: str) -> httpx.Client:
        accounts = self.running.services.accounts
        token = accounts.make_token(accounts.add_user(name), "test")
        return httpx.Client(base_url=self.running.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60)

    def work_off(self, job_id: str) -> None:
        """Run the job's stages and close its row."""
        services = self.running.services

        async def work() -> None:
            index = LocalIndexService(services.settings, services.database, services.store, self.roles)
            try:
                job = await services.jobs.get(job_id)
                state = await run_inline(
                    PIPELINE, input=job.input, settings=services.settings, store=services.store, roles=self.roles, title=job.title,
                    owner_id=job.owner_id, job_id=job.id, index_service=index,
                )  # fmt: skip
            finally:
                await index.close()
            from pipelines.jobs.job_store import JobStore

            await JobStore(services.database).begin_stage(job_id, "notify")
            await JobStore(services.database).done(job_id, state)

        asyncio.run(work())

    def add(self, collection: str, files: dict[str, str]) -> dict:
        sent = []
        for name, text in files.items():
            upload = self.client.post("/uploads", files={"file": (name.rpartition("/")[2], text.encode())}).json()
            sent.append({"upload": upload["id"], "name": name})
        answer = self.client.post("/mlops/kb/documents", json={"collection": collection, "files": sent})
        assert answer.status_code == 202, answer.text
        job = answer.json()["job"]
        assert self.client.get(f"/mlops/kb/jobs/{job['id']}").status_code == 202
        self.work_off(job["id"])
        return self.client.get(f"/mlops/kb/jobs/{job['id']}").json()

    def objects(self) -> list[str]:
        services, buckets = self.running.services, self.running.services.settings.storage.buckets
        return [info.key for bucket in (buckets.kb_raw, buckets.kb_vectors, buckets.uploads_raw) for info in services.store.list(bucket)]


@pytest.fixture
def house(running: Running) -> Iterator[House]:
    roles = Roles(embedding=WordsEmbedding())
    services = running.services
    services.index_client = LocalIndexService(services.settings, services.database, services.store, roles)
    with running.client() as client:
        yield House(running, client, roles)


def test_documents_go_in_and_are_found(house: House):
    added = house.add("papers", {"heart.md": HEART, "deep/brain.md": BRAIN, "bad.pdf": "%PDF-1.4 no"})
    assert added["collection"] == "papers"
    assert {said["document"]: said["state"] for said in added["documents"]} == {
        "heart.md": "ready", "deep/brain.md": "ready", "bad.pdf": "failed",
    }  # fmt: skip
    assert not [key for key in house.objects() if key.startswith("uploads")]
    (card,) = house.client.get("/mlops/kb").json()["collections"]
    assert (card["name"], card["documents"], card["failed"], card["chunks"], card["mine"]) == ("papers", 3, 1, 2, True)
    answer = house.client.post("/mlops/kb/papers/search", json={"query": "hippocampus memories", "k": 1}).json()
    passage = answer["passages"][0]
    assert set(passage) == {"document", "title", "page", "start", "end", "text", "score"}
    assert passage["document"] == "deep/brain.md" and BRAIN[passage["start"] : passage["end"]] == passage["text"]
    many = house.client.post("/mlops/kb/papers/search", json={"queries": ["aspirin", "hippocampus"], "k": 1}).json()["answers"]
    assert [passages[0]["document"] for passages in many] == ["heart.md", "deep/brain.md"]
    several = house.client.post("/mlops/kb/search", json={"collections": ["papers"], "query": "aspirin", "k": 1}).json()["passages"]
    assert several[0]["collection"] == "papers" and several[0]["document"] == "heart.md"


def test_one_document_its_text_file_facts_and_chunks(house: House):
    house.add("papers", {"heart.md": HEART})
    document = house.client.get("/mlops/kb/papers/documents").json()["documents"][0]
    place = f"/mlops/kb/papers/documents/{document['id']}"
    assert document["state"] == "ready" and document["fraction"] == 1.0 and document["has_file"]
    assert house.client.get(place + "/file").text == HEART
    read = house.client.get(place + "/text").json()
    assert read["document"] == "heart.md" and read["pages"][0]["text"] == HEART
    changed = house.client.patch(place, json={"title": "Cardiology", "year": 2020}).json()
    assert changed["facts"]["title"] == "Cardiology" and changed["edited"] == ["title", "year"]
    found = house.client.post("/mlops/kb/papers/search", json={"query": "cardiology", "filters": {"year": 2020}}).json()["passages"]
    assert found[0]["title"] == "Cardiology"
    assert house.client.patch(place, json={"colour": "red"}).status_code == 422
    chunk = house.client.get(place + "/chunks").json()["chunks"][0]
    assert chunk["enabled"] and HEART[chunk["start"] : chunk["end"]] == chunk["text"]
    address = f"/mlops/kb/papers/chunks/{chunk['id']}"
    assert not house.client.patch(address, json={"enabled": False}).json()["enabled"]
    assert house.client.post("/mlops/kb/papers/search", json={"query": "aspirin"}).json()["passages"] == []
    reworded = house.client.patch(address, json={"enabled": True, "search_text": "zeppelin"}).json()
    assert reworded["search_text"] == "zeppelin" and reworded["text"] == chunk["text"]
    passage = house.client.post("/mlops/kb/papers/search", json={"query": "zeppelin"}).json()["passages"][0]
    assert passage["text"] == chunk["text"]
    assert house.client.post("/mlops/kb/papers/rebuild").json() == {"chunks": 1}
    assert house.client.post("/mlops/kb/papers/search", json={"query": "zeppelin"}).json()["passages"]
    assert house.client.patch("/mlops/kb/papers/chunks/999999", json={"enabled": True}).status_code == 404


def test_rights(house: House):
    house.add("papers", {"heart.md": HEART})
    document = house.client.get("/mlops/kb/papers/documents").json()["documents"][0]["id"]
    collection = house.client.get("/mlops/kb/papers").json()["id"]
    with house.as_person("bob") as bob:
        for method, place, body in (
            ("GET", "", None), ("GET", "/documents", None), ("GET", f"/documents/{document}", None),
            ("GET", f"/documents/{document}/file", None), ("GET", f"/documents/{document}/chunks", None),
            ("POST", "/search", {"query": "aspirin"}), ("DELETE", "", None), ("DELETE", f"/documents/{document}", None),
            ("POST", "/rebuild", None), ("GET", "/storage", None), ("GET", "/members", None),
        ):  # fmt: skip
            answer = bob.request(method, f"/mlops/kb/{collection}{place}", json=body)
            assert answer.status_code == 404 and answer.json()["code"] == "not_found", (method, place)
        assert bob.get("/mlops/kb").json()["collections"] == []
        assert bob.get("/mlops/kb/documents", params={"named": document}).json()["documents"] == []
        assert bob.post("/mlops/kb/search", json={"collections": [collection], "query": "aspirin"}).status_code == 404

        assert house.client.put("/mlops/kb/papers/members/bob", json={"right": "read"}).status_code == 204
        assert bob.post("/mlops/kb/papers/search", json={"query": "aspirin"}).json()["passages"]
        assert house.client.get("/mlops/kb/papers/members").json()["members"] == [{"name": "bob", "right": "read"}]
        for method, place, body in (
            ("DELETE", f"/documents/{document}", None), ("PATCH", f"/documents/{document}", {"title": "x"}), ("POST", "/rebuild", None),
            ("DELETE", "", None), ("PATCH", "", {"shared": True}), ("PUT", "/members/bob", {"right": "write"}),
        ):  # fmt: skip
            answer = bob.request(method, f"/mlops/kb/papers{place}", json=body)
            assert answer.status_code == 403 and answer.json()["code"] == "not_allowed", (method, place)
        upload = bob.post("/uploads", files={"file": ("x.md", b"# X\n\nWords.")}).json()["id"]
        theirs = {"collection": collection, "files": [{"upload": upload}]}
        assert bob.post("/mlops/kb/documents", json=theirs).status_code == 403
        assert house.client.post("/mlops/kb/documents", json=theirs).status_code == 404  # not the owner's upload

        house.client.put("/mlops/kb/papers/members/bob", json={"right": "write"})
        assert bob.patch(f"/mlops/kb/papers/documents/{document}", json={"title": "Bob's"}).status_code == 200
        house.client.delete("/mlops/kb/papers/members/bob")
        assert bob.get("/mlops/kb/papers").status_code == 404
        house.client.patch("/mlops/kb/papers", json={"shared": True})
        assert bob.get("/mlops/kb/papers").json()["owner"]
    assert house.running.stranger().get("/mlops/kb").status_code == 401


def test_deleted_is_gone(house: House):
    house.add("papers", {"heart.md": HEART, "r.jsonl": json.dumps({"id": "r1", "text": "Walrus."})})
    document = house.client.get("/mlops/kb/papers/documents").json()["documents"][0]["id"]
    assert house.client.delete(f"/mlops/kb/papers/documents/{document}").status_code == 204
    assert house.client.delete(f"/mlops/kb/papers/documents/{document}").status_code == 404
    assert house.client.post("/mlops/kb/papers/search", json={"query": "aspirin"}).json()["passages"][0]["document"] == "r1"
    storage = house.client.get("/mlops/kb/papers/storage").json()
    assert storage["documents"] == 1 and storage["files"] == 0 and storage["vectors"] > 0
    assert house.client.delete("/mlops/kb/papers").status_code == 204
    assert house.objects() == [] and house.client.get("/mlops/kb").json()["collections"] == []
    assert house.client.post("/mlops/kb/papers/search", json={"query": "aspirin"}).status_code == 404


def test_what_was_replaced_can_still_be_opened(house: House):
    house.add("papers", {"heart.md": HEART})
    document = house.client.get("/mlops/kb/papers/documents").json()["documents"][0]["id"]
    place = f"/mlops/kb/papers/documents/{document}"
    assert house.client.get(f"{place}/versions").json()["versions"] == []
    newer = HEART.replace("prevents clots in", "is good for")
    house.add("papers", {"heart.md": newer})
    (version,) = house.client.get(f"{place}/versions").json()["versions"]
    assert version["version"] == 1 and house.client.get(place).json()["version"] == 2
    assert house.client.get(f"{place}/versions/1/file").text == HEART and house.client.get(f"{place}/file").text == newer
    assert house.client.get(f"{place}/versions/1/text").json()["pages"][0]["text"] == HEART
    assert house.client.get(f"{place}/versions/2/file").status_code == 404
    assert "prevents clots" not in house.client.post("/mlops/kb/papers/search", json={"query": "aspirin"}).text
    # what an answer cited opens in the version that it was cited from; what neither version says is said to have changed
    services = house.running.services
    owner, start = services.accounts.ensure_owner(), HEART.index("prevents")
    quote = {"page": None, "start": start, "end": start + 14}
    found = asyncio.run(cited(services, owner, "papers", document, **quote, text="prevents clots"))
    assert (found.quote, found.version, found.changed) == ("prevents clots", 1, False)
    lost = asyncio.run(cited(services, owner, "papers", document, **quote, text="something else"))
    assert (lost.version, lost.changed) == (None, True)
    with house.as_person("bob") as bob:
        collection = house.client.get("/mlops/kb/papers").json()["id"]
        for path in ("", "/1/file", "/1/text"):
            assert bob.get(f"/mlops/kb/{collection}/documents/{document}/versions{path}").status_code == 404
    assert house.client.delete(place).status_code == 204
    assert [key for key in house.objects() if "/files/" in key or "/versions/" in key] == []


def test_one_file_by_a_form_and_only_once(house: House):
    headers = {"Idempotency-Key": "k1"}
    given = {"files": {"file": ("a.md", HEART.encode())}, "data": {"name": "notes/a.md"}, "headers": headers}
    first = house.client.post("/mlops/kb/papers/documents", **given)
    assert first.status_code == 202
    again = house.client.post("/mlops/kb/papers/documents", **given)
    assert again.json()["job"]["id"] == first.json()["job"]["id"]
    house.work_off(first.json()["job"]["id"])
    assert [one["document"] for one in house.client.get("/mlops/kb/papers/documents").json()["documents"]] == ["notes/a.md"]


def test_refusals(house: House):
    house.client.post("/mlops/kb", json={"name": "p"})
    for method, path, body, code in (
        ("POST", "/mlops/kb", {"name": " "}, "invalid_input"),
        ("POST", "/mlops/kb", {"name": "a/b"}, "invalid_input"),
        ("POST", "/mlops/kb", {"nome": "x"}, "invalid_input"),
        ("POST", "/mlops/kb", {"name": "p"}, "conflict"),
        ("POST", "/mlops/kb/nothing/search", {"query": "x"}, "not_found"),
        ("POST", "/mlops/kb/p/search", {"query": "x", "queries": ["y"]}, "invalid_input"),
        ("POST", "/mlops/kb/p/search", {"query": "  "}, "invalid_input"),
        ("POST", "/mlops/kb/p/search", {"query": "x", "k": 0}, "invalid_input"),
        ("POST", "/mlops/kb/p/search", {"query": "x", "config": "slow"}, "invalid_input"),
        ("POST", "/mlops/kb/documents", {"collection": "p", "files": []}, "invalid_input"),
        ("POST", "/mlops/kb/documents", {"collection": "p", "files": [{"upload": "none"}]}, "not_found"),
        ("GET", "/mlops/kb/jobs/nothing", None, "not_found"),
    ):
        answer = house.client.request(method, path, json=body)
        assert answer.headers["content-type"].startswith("application/problem+json"), (method, path, body)
        assert answer.json()["code"] == code, (method, path, body)
