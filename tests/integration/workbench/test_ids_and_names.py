"""Nobody receives what is another's by naming something of theirs after its id: every route, every service."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from infra.database.tables import AnalysisJob, ApiToken, Upload, User, new_id
from infra.database.tables_cohorts import Cohort
from infra.database.tables_compliance import AnalysisRequest, ComplianceAnalysis, PolicyMatch, RequirementRow
from infra.database.tables_knowledge import Collection, CollectionMember, KbChunk, KbDocument
from infra.database.tables_questions import Conversation, RagQuery, RagResponse
from infra.errors import InvalidInput, NotFound
from pipelines.index_service.local import LocalIndexService
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.integration.workbench.conftest import Running
from workbench.services import cited_pages, cohorts, compliance, compliance_places, knowledge, questions, results
from workbench.services.knowledge import chunks, collections, documents, ingestion, searching, versions

FILE = ("file", ("a.md", b"# A\n\nText that is long enough."))
# Bodies that are valid, so that what is refused is refused for the id in the address. A route that is not here has none.
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/imaging/cohorts/{cohort_id}/scans"): {"files": [FILE]},
    ("POST", "/jobs/{job_id}/retry"): {"json": {}},
    ("PATCH", "/auth/users/{user_id}"): {"json": {"role": "owner"}},
    ("PATCH", "/mlops/kb/{collection}"): {"json": {"description": "mine now"}},
    ("PUT", "/mlops/kb/{collection}/members/{person}"): {"json": {"right": "write"}},
    ("POST", "/mlops/kb/{collection}/search"): {"json": {"query": "heart"}},
    ("POST", "/mlops/kb/{collection}/documents"): {"files": [FILE]},
    ("PATCH", "/mlops/kb/{collection}/documents/{document}"): {"json": {"title": "Mine"}},
    ("PATCH", "/mlops/kb/{collection}/chunks/{chunk}"): {"json": {"enabled": False}},
    ("POST", "/mlops/query/{answer}/feedback"): {"json": {"value": 1}},
    ("PATCH", "/mlops/history/{conversation}"): {"json": {"title": "Mine"}},
    ("POST", "/mlops/matches/{match_id}/review"): {"json": {"verdict": "satisfied", "reason": "because"}},
}
# Path parameters that are no ids of anything of a person's.
FREE = {"name": "report.json", "person": "mallory", "version": "1", "token": "x", "method": "embed"}


@dataclass
class Scene:
    """The owner's things, and Mallory, who named hers after their ids (as rows from before the rule may be named)."""

    running: Running
    ids: dict[str, str]
    mallory: User
    writer: User

    def client(self, user: User) -> httpx.Client:
        token = self.running.services.accounts.make_token(user, "test")
        return httpx.Client(base_url=self.running.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60)


@pytest.fixture
def scene(running: Running) -> Iterator[Scene]:
    services = running.services
    services.index_client = LocalIndexService(services.settings, services.database, services.store, Roles(embedding=WordsEmbedding()))
    accounts = services.accounts
    owner, mallory, writer = accounts.ensure_owner(), accounts.add_user("mallory"), accounts.add_user("writer")
    with services.database.session() as session:
        place = Collection(owner_id=owner.id, name="secrets")
        session.add(place)
        session.flush()
        document = KbDocument(collection_id=place.id, name="heart.md", state="ready")
        session.add(document)
        session.add(CollectionMember(collection_id=place.id, user_id=writer.id, right="write"))
        session.flush()
        chunk = KbChunk(collection_id=place.id, document_id=document.id, position=0, start=0, end=5, text="heart")
        requirement = RequirementRow(collection_id=place.id, text="Doors are kept closed.", since=1)
        job = AnalysisJob(owner_id=owner.id, pipeline="ingestion", title="Secret", plan=["read"], state="failed")
        upload = Upload(owner_id=owner.id, name="a.md", media_type="text/markdown", size=1, sha256="0" * 64, key="0" * 64)
        cohort = Cohort(owner_id=owner.id, title="Secret")
        conversation = Conversation(owner_id=owner.id, title="Secret")
        session.add_all([chunk, requirement, job, upload, cohort, conversation])
        session.flush()
        query = RagQuery(conversation_id=conversation.id, owner_id=owner.id, question="?", asked="?")
        request = AnalysisRequest(owner_id=owner.id, job_id=job.id, document="a.md")
        session.add_all([query, request])
        session.flush()
        answer = RagResponse(query_id=query.id, answer="!")
        fields = {"score": 1.0, "risk": "low", "first_score": 1.0, "text_key": "x"}
        session.add_all([answer, ComplianceAnalysis(id=request.id, owner_id=owner.id, document="a.md", **fields)])
        session.flush()
        probabilities = {"satisfied": 1.0, "violated": 0.0, "not_addressed": 0.0}
        match = PolicyMatch(analysis_id=request.id, position=0, requirement_id="r", verdict="satisfied", **probabilities)
        session.add(match)
        session.flush()
        token = session.exec(select(ApiToken.id).where(ApiToken.user_id == owner.id)).one()
        ids = {
            "collection": place.id, "document": document.id, "chunk": str(chunk.id), "requirement_id": requirement.requirement_id,
            "job_id": job.id, "upload_id": upload.id, "cohort_id": cohort.id, "conversation": conversation.id,
            "user_id": owner.id, "token_id": token, "answer": answer.id, "analysis_id": request.id, "match_id": match.id,
        }  # fmt: skip
        # Mallory's own, named after the owner's, and open to everybody.
        trap = Collection(owner_id=mallory.id, name=place.id, shared=True)
        session.add(trap)
        session.flush()
        session.add(KbDocument(collection_id=trap.id, name=document.id, state="ready"))
        session.add(KbDocument(collection_id=place.id, name=document.id, state="ready"))  # what a member who may write can add
        session.add(AnalysisJob(owner_id=mallory.id, pipeline="ingestion", title=job.id, plan=["read"], idempotency_key=job.id))
        session.add(Cohort(owner_id=mallory.id, title=cohort.id))
        session.add(Conversation(owner_id=mallory.id, title=conversation.id))
        session.add(Upload(owner_id=mallory.id, name=upload.id, media_type="", size=1, sha256="1" * 64, key="1" * 64))
        ids["trap"] = trap.id
    yield Scene(running, ids, mallory, writer)


def _operations(scene: Scene) -> list[tuple[str, str]]:
    """Every operation whose address has an id of something that belongs to a person."""
    with scene.running.stranger() as client:
        paths = client.get("/openapi.json").json()["paths"]
    found = []
    for path, operations in paths.items():
        names = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        assert names <= set(scene.ids) | set(FREE), f"{path} has a path parameter that this test does not know"
        if names & set(scene.ids):
            found += [(method.upper(), path) for method in operations]
    return found


def test_every_id_in_an_address_is_refused_to_another_member_and_a_stranger(scene: Scene):
    operations = _operations(scene)
    assert len(operations) > 40 and set(BODIES) <= set(operations)
    let_in: list[str] = []
    with scene.client(scene.mallory) as mallory, scene.running.stranger() as stranger:
        for method, path in operations:
            address = path.format(**scene.ids, **FREE)
            if path.endswith("page.png"):
                address += "?page=1&start=0&end=3"
            for who, client, allowed in (
                ("member", mallory, (403,) if path.startswith("/auth/users/") else (404,)),
                ("stranger", stranger, (401,)),
            ):
                answer = client.request(method, address, **BODIES.get((method, path), {}))
                if answer.status_code not in allowed:
                    let_in.append(f"{who} {method} {path}: {answer.status_code} {answer.text[:100]}")
    assert not let_in


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/mlops/kb/documents", {"collection": "@", "files": [{"upload": "%"}]}),
        ("/mlops/kb/search", {"collections": ["@"], "query": "heart"}),
        ("/mlops/query", {"question": "What is a heart?", "collections": ["@"]}),
        ("/mlops/analyze", {"upload": "%", "policies": ["@"]}),
    ],
)
def test_an_id_in_a_body_is_refused_to_another_member_and_a_stranger(scene: Scene, address: str, body: dict):
    with scene.client(scene.mallory) as mallory, scene.running.stranger() as stranger:
        upload = mallory.post("/uploads", files=[FILE]).json()["id"]
        sent = json.loads(json.dumps(body).replace("@", scene.ids["collection"]).replace("%", upload))
        answer = mallory.post(address, json=sent)
        assert (answer.status_code, answer.json()["detail"]) == (404, f"No collection has the ID '{scene.ids['collection']}'.")
        assert stranger.post(address, json=sent).status_code == 401


# What pages call: every service with one of these parameters.
SERVICES = (
    *(cited_pages, cohorts, compliance_places, knowledge, questions, results, compliance.requirements, compliance.analyses),
    *(compliance.reviews, chunks, collections, documents, ingestion, searching, versions),
)
ARGUMENTS: dict[str, Any] = {
    "name": "report.json",
    "text": "Windows are kept closed.",
    "files": [("a.md", Path(__file__))],
    "person": "mallory",
    "right": "write",
    "query": "heart",
    "queries": ["heart"],
    "chunk_id": 1,
    "character": 0,
    "start": 0,
    "end": 1,
    "page": 1,
    "version": 1,
    "enabled": False,
    "facts": {},
    "value": 1,
    "title": "Mine",
    "verdict": "satisfied",
    "upload": Upload(owner_id="", name="a.nii", media_type="", size=1, sha256="1" * 64, key="1" * 64),
}
LISTS = {"collections": "collection", "policies": "collection", "documents": "document", "requirement_ids": "requirement_id"}


def _services() -> list[tuple[str, Any]]:
    found = {}
    for module in SERVICES:
        for name, function in vars(module).items():
            if (
                inspect.iscoroutinefunction(function)
                and "user" in inspect.signature(function).parameters
                and not name.startswith("_")
                and function.__module__.startswith("workbench.services")
            ):
                found[f"{function.__module__}.{name}"] = function
    return sorted(found.items())


def _arguments(scene: Scene, function: Any, path: Path) -> dict[str, Any] | None:
    """What Mallory calls a service with to reach the owner's things; None where it takes no id of anything."""
    given: dict[str, Any] = {}
    aimed = False
    for parameter in inspect.signature(function).parameters.values():
        # A collection is called ``name`` in the services of collections.
        alias = "collection" if parameter.name == "name" and function.__module__ == collections.__name__ else parameter.name
        if alias in scene.ids:
            given[parameter.name], aimed = scene.ids[alias], True
        elif alias in LISTS:
            given[parameter.name], aimed = [scene.ids[LISTS[alias]]], True
        elif alias in ARGUMENTS and parameter.default is parameter.empty:
            given[parameter.name] = ARGUMENTS[alias]
    if "path" in inspect.signature(function).parameters:
        given["path"] = path
    if "chunk_id" in given:
        given["chunk_id"] = int(scene.ids["chunk"])
    return given if aimed else None


def test_every_service_refuses_an_id_of_anothers(scene: Scene, tmp_path: Path):
    rules = tmp_path / "rules.csv"
    rules.write_text("id,text\n1,Windows are kept closed.\n")
    asked, let_in = [], []
    for called, function in _services():
        given = _arguments(scene, function, rules)
        if given is None or called.endswith(".new_collection"):
            continue
        asked.append(called)
        try:
            asyncio.run(function(scene.running.services, scene.mallory, **given))
            let_in.append(called)
        except NotFound:
            pass
        except Exception as error:  # any other end is no refusal
            let_in.append(f"{called}: {type(error).__name__}: {error}")
    assert len(asked) > 40, asked
    assert not let_in


def test_who_may_read_gets_what_the_id_names(scene: Scene):
    with scene.client(scene.writer) as writer:
        place = f"/mlops/kb/{scene.ids['collection']}"
        assert writer.get(place).json()["name"] == "secrets"
        assert writer.get(f"{place}/documents/{scene.ids['document']}").json()["document"] == "heart.md"
        found = writer.get("/mlops/kb/documents", params={"named": scene.ids["document"]}).json()["documents"]
        assert [one["document"] for one in found] == ["heart.md"]
        writer.delete(f"{place}/documents/{scene.ids['document']}")
        assert [one["document"] for one in writer.get(place + "/documents").json()["documents"]] == [scene.ids["document"]]


def test_a_collection_that_was_named_like_an_id_is_listed_reached_by_its_own_id_and_renamed(scene: Scene):
    with scene.client(scene.mallory) as mallory:
        (card,) = mallory.get("/mlops/kb").json()["collections"]
        assert card["name"] == scene.ids["collection"] and card["documents"] == 1
        assert mallory.patch(f"/mlops/kb/{card['id']}", json={"name": "mine"}).json()["name"] == "mine"
        assert mallory.get("/mlops/kb/mine/documents").json()["documents"][0]["document"] == scene.ids["document"]


@pytest.mark.parametrize("change", [str, str.upper, "  {} ".format])
def test_nothing_is_named_like_an_id(scene: Scene, change: Any):
    name = change(new_id())
    accounts = scene.running.services.accounts
    with scene.running.client() as client:
        upload = client.post("/uploads", files=[FILE]).json()["id"]
        for answer in (
            client.post("/mlops/kb", json={"name": name}),
            client.patch("/mlops/kb/secrets", json={"name": name}),
            client.post("/mlops/kb/documents", json={"collection": name, "files": [{"upload": upload}]}),
        ):
            assert answer.status_code in (404, 422), answer.text
        assert {one["name"] for one in client.get("/mlops/kb").json()["collections"]} == {"secrets", scene.ids["collection"]}
    for make in (accounts.add_user, lambda name: accounts.make_token(scene.mallory, name)):
        with pytest.raises(InvalidInput, match="must not look like an id"):
            make(name)
