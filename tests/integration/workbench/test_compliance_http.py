"""The compliance programme over HTTP and through its services: requirements, analyses, reviews, the dashboard."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session, select

from infra.database.tables import Upload, User
from infra.database.tables_compliance import PolicyMatch
from infra.errors import InvalidInput, NotAllowed, NotFound
from knowledge.library import find_collection
from knowledge.reading.picture_cache import picture_path
from pipelines.compliance.pipeline import PIPELINE
from pipelines.compliance.scoring import CAPS
from pipelines.jobs.inline import run_inline
from pipelines.jobs.job_store import JobStore
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.entailers import WordsEntailment
from tests.integration.workbench.conftest import Running
from workbench.services import compliance
from workbench.services.knowledge import new_collection

CONTRACT = "# Contract\n\nThe supplier shall not sell client data.\n\nThe supplier shall not encrypt its backups.\n"
FILE = (
    "id,text,severity\nR1,The supplier must not sell client data.,high\nR2,The supplier must encrypt its backups.,critical\n"
    "R3,The supplier must keep a price list.,low\n"
)


@dataclass
class Office:
    """A gateway whose jobs are worked off by hand, as the runner would; the owner has a collection with three requirements."""

    running: Running
    client: httpx.Client
    owner: User
    roles: Roles

    def work_off(self, job_id: str) -> None:
        services = self.running.services

        async def work() -> None:
            job = await services.jobs.get(job_id)
            state = await run_inline(
                PIPELINE, input=job.input, settings=services.settings, store=services.store, roles=self.roles, title=job.title,
                owner_id=job.owner_id, job_id=job.id,
            )  # fmt: skip
            await JobStore(services.database).begin_stage(job_id, "report")
            await JobStore(services.database).done(job_id, state)

        asyncio.run(work())

    def analysed(self, **asked: Any) -> dict:
        upload = self.client.post("/uploads", files={"file": ("contract.md", CONTRACT.encode())}).json()
        answer = self.client.post("/mlops/analyze", json={"upload": upload["id"], **asked})
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert job["address"].endswith(f"/compliance?job={job['id']}")
        assert self.client.get(f"/mlops/analysis/{job['id']}").status_code == 202
        self.work_off(job["id"])
        return self.client.get(f"/mlops/analysis/{job['id']}").json()

    def objects(self) -> list[str]:
        return [info.key for info in self.running.services.store.list(self.running.services.settings.storage.buckets.analysis_reports)]


@pytest.fixture
def office(running: Running, tmp_path: Path) -> Iterator[Office]:
    services = running.services
    owner = services.accounts.ensure_owner()
    (tmp_path / "file.csv").write_text(FILE)

    async def prepare() -> None:
        await new_collection(services, owner, "policies")
        await compliance.import_requirements(services, owner, "policies", tmp_path / "file.csv")

    asyncio.run(prepare())
    with running.client() as client:
        yield Office(running, client, owner, Roles(embedding=WordsEmbedding(), entailment=WordsEntailment()))


def test_an_analysis_its_reviews_and_what_the_dashboard_makes_of_them(office: Office):
    services, owner = office.running.services, office.owner
    report = office.analysed(policies=["policies"])
    by_text = {one["text"]: one for one in report["requirements"]}
    assert {text.split()[-1]: one["verdict"] for text, one in by_text.items()} == {
        "data.": "satisfied",
        "backups.": "violated",
        "list.": "not_addressed",
    }
    assert (report["score"], report["risk"]) == (min(CAPS["critical"], report["score"]), "critical")
    backups = by_text["The supplier must encrypt its backups."]
    assert CONTRACT[backups["evidence"][0]["start"] : backups["evidence"][0]["end"]] == backups["evidence"][0]["text"]
    assert backups["evidence"][0]["decided"]

    refused = office.client.post(f"/mlops/matches/{backups['match']}/review", json={"verdict": "satisfied"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    reviewed = office.client.post(
        f"/mlops/matches/{backups['match']}/review", json={"verdict": "satisfied", "reason": "A side letter says so."}
    ).json()
    assert reviewed["score"] > report["score"]
    after = office.client.get(f"/mlops/analysis/{report['job']}").json()
    assert (after["score"], after["risk"]) == (reviewed["score"], reviewed["risk"]) != (report["score"], report["risk"])

    async def look() -> tuple[compliance.AnalysisView, compliance.Dashboard, list[compliance.AnalysisCard]]:
        view = await compliance.load_analysis(services, owner, report["job"])
        text = await compliance.document_text(services, owner, report["job"])
        assert text.text == CONTRACT
        return view, await compliance.dashboard(services, owner), await compliance.list_analyses(services, owner)

    view, board, cards = asyncio.run(look())
    (match,) = [match for match in view.matches if match.reviews]
    assert (match.reviews[0].reason, match.reviews[0].agreed, match.verdict.effective) == ("A side letter says so.", False, "satisfied")
    assert view.first_score == report["score"]
    assert (board.agreement, board.violated) == (0.0, [])
    assert [(card.name, card.requirements) for card in board.policies] == [("policies", 3)]
    assert cards[0].counts == {"satisfied": 2, "violated": 0, "not_addressed": 1, "conflicts": 0}
    assert sum(sum(row.values()) for row in board.matrix.values()) == 3

    assert office.client.delete(f"/mlops/analysis/{report['job']}").status_code == 204
    assert office.client.get(f"/mlops/analysis/{report['job']}").status_code == 404
    assert not [key for key in office.objects() if report["job"] in key or "readings" in key]


def test_a_deleted_analysis_leaves_no_file_that_nothing_else_needs(office: Office):
    services = office.running.services
    bucket = services.settings.storage.buckets.uploads_raw

    def send() -> str:
        return office.client.post("/uploads", files={"file": ("contract.md", CONTRACT.encode())}).json()["id"]

    def check(upload: str) -> str:
        job = office.client.post("/mlops/analyze", json={"upload": upload, "policies": ["policies"]}).json()["id"]
        office.work_off(job)
        return job

    def delete(job: str) -> None:
        assert office.client.delete(f"/mlops/analysis/{job}").status_code == 204

    def left() -> tuple[set[str], int, int]:
        with services.database.session() as session:
            rows = set(session.exec(select(Upload.id)))
        return rows, len(list(services.store.list(bucket))), len(list((services.folder.cache / "pages").glob("*.png")))

    one, other = send(), send()  # the same bytes, kept once
    first, again, second = check(one), check(one), check(other)
    picture = picture_path(services.folder.cache, f"{hashlib.sha256(CONTRACT.encode()).hexdigest()} 1 0 9")
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a page")
    waiting = office.client.post("/mlops/analyze", json={"upload": one, "policies": ["policies"]}).json()["id"]
    delete(first)
    assert left() == ({one, other}, 1, 0)  # the pictures are drawn again when they are asked for
    delete(again)
    assert left()[0] == {one, other}  # a job has yet to read it
    office.work_off(waiting)
    delete(waiting)
    assert left() == ({other}, 1, 0)
    delete(second)
    assert left() == (set(), 0, 0)


def test_requirements_are_edited_merged_and_switched_off_in_versions(office: Office):
    services, owner = office.running.services, office.owner

    async def work() -> None:
        first, second, third = await compliance.list_requirements(services, owner, "policies")
        assert await compliance.policy_version(services, owner, "policies") == 1
        edited = await compliance.edit_requirement(services, owner, first.requirement.id, severity="low")
        assert (edited.requirement.version, edited.requirement.severity, edited.since) == (2, "low", 2)
        assert [card.requirement.severity for card in await compliance.requirement_history(services, owner, first.requirement.id)] == [
            "low",
            "high",
        ]
        merged = await compliance.merge_requirements(services, owner, [first.requirement.id, second.requirement.id])
        assert (merged.requirement.text, merged.requirement.severity) == (first.requirement.text, "critical")
        await compliance.switch_requirement(services, owner, third.requirement.id, False)
        written = await compliance.write_requirement(services, owner, "policies", "Staff must not smoke.", topic="House")
        assert (written.requirement.modality, written.requirement.topic) == ("prohibition", "House")
        active = await compliance.list_requirements(services, owner, "policies", switched_off=False)
        assert {card.requirement.id for card in active} == {merged.requirement.id, written.requirement.id}
        gone = {card.requirement.id: card.merged_into for card in await compliance.list_requirements(services, owner, "policies")}
        assert gone[first.requirement.id] == merged.requirement.id
        with pytest.raises(InvalidInput):
            await compliance.edit_requirement(services, owner, written.requirement.id, severity="huge")
        with pytest.raises(InvalidInput):
            await compliance.merge_requirements(services, owner, [written.requirement.id])

    asyncio.run(work())


def test_what_waits_for_a_person_is_scored_and_of_the_latest_analysis(office: Office):
    services, owner = office.running.services, office.owner
    asked = [
        {"id": "duty", "text": "The supplier must keep an exit plan.", "modality": "obligation"},
        {"id": "ban", "text": "The supplier must not lend client data.", "modality": "prohibition"},
        {"id": "leave", "text": "The supplier may use cloud services.", "modality": "permission"},
    ]
    first, second = (office.analysed(requirements=asked, name="asked.csv")["job"] for _ in range(2))
    other = office.analysed(policies=["policies"])["job"]

    def make_uncertain(session: Session) -> None:
        for match in session.exec(select(PolicyMatch)):
            match.uncertainty = 0.9 if match.requirement["id"] != "ban" else 0.1
            session.add(match)

    async def look() -> tuple[set[tuple[str, str]], int, dict[str, int]]:
        await services.database.run(make_uncertain)
        waiting = {(one.analysis_id, one.text) for one in await compliance.open_reviews(services, owner)}
        cards = {card.id: card.open_reviews for card in await compliance.list_analyses(services, owner)}
        return waiting, (await compliance.dashboard(services, owner)).open_reviews, cards

    waiting, on_the_dashboard, cards = asyncio.run(look())
    assert {text for analysis, text in waiting if analysis == second} == {"The supplier must keep an exit plan."}
    assert {analysis for analysis, _ in waiting} == {second, other}  # against other policies it is another analysis
    assert cards == {first: 0, second: 1, other: 3}
    assert on_the_dashboard == len(waiting) == 4
    office.client.delete(f"/mlops/analysis/{second}")
    assert asyncio.run(look())[2] == {first: 1, other: 3}


def test_what_others_may_not(office: Office):
    services = office.running.services
    stranger = services.accounts.add_user("guest")
    report = office.analysed(policies=["policies"])

    async def work() -> None:
        with pytest.raises(NotFound):
            await compliance.load_analysis(services, stranger, report["job"])
        with pytest.raises(NotFound):
            await compliance.review_verdict(services, stranger, report["requirements"][0]["match"], "violated", "No.")
        with pytest.raises(NotFound):
            await compliance.edit_requirement(services, stranger, report["requirements"][0]["id"], severity="low")
        with services.database.session() as session:
            place = find_collection(session, office.owner.id, "policies")
            place.shared = True
            session.add(place)
        assert len(await compliance.list_requirements(services, stranger, "policies")) == 3
        with pytest.raises(NotAllowed):
            await compliance.edit_requirement(services, stranger, report["requirements"][0]["id"], severity="low")
        assert (await compliance.dashboard(services, stranger)).analyses == []

    asyncio.run(work())


def test_requirements_in_the_request_and_what_is_refused(office: Office):
    report = office.analysed(requirements=[{"id": "X", "text": "The supplier must not sell client data."}], name="asked.csv")
    assert [(one["id"], one["verdict"]) for one in report["requirements"]] == [("X", "satisfied")]
    assert report["policies"] == [{"name": "asked.csv", "collection": "", "version": 0, "requirements": 1}]
    upload = office.client.post("/uploads", files={"file": ("contract.md", CONTRACT.encode())}).json()["id"]
    for asked, status in (
        ({"upload": upload}, 422),
        ({"upload": upload, "policies": ["policies"], "requirements": [{"id": "X", "text": "Be kind."}]}, 422),
        ({"upload": upload, "policies": ["nobody's"]}, 404),
        ({"upload": "none", "policies": ["policies"]}, 404),
        ({"upload": upload, "requirements": [{"id": "X", "text": "Be kind."}, {"id": "X", "text": "Be quick."}]}, 422),
    ):
        assert office.client.post("/mlops/analyze", json=asked).status_code == status, asked
