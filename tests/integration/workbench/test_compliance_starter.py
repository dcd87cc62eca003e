"""The starter set from nothing to a reviewed analysis and its files: real tables, store, index service and pipeline; models of words."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, User
from infra.datafolder import DataFolder
from infra.errors import InvalidInput, NotFound, UnsupportedFormat
from infra.objectstore import make_object_store
from infra.settings import load_settings
from pipelines.compliance.files import FILES
from pipelines.compliance.samples import COLLECTION, find_sample, policy_clause
from tests.e2e.harness.papers import add_index_service
from tests.e2e.harness.policies import checks_documents
from tests.e2e.harness.world import SimulatedJobs
from workbench.accounts import Accounts
from workbench.api.compliance_files import compliance_file_routes
from workbench.api.identity import Guard
from workbench.api.problems import install_problems
from workbench.services import compliance
from workbench.services.compliance_files import analysis_file
from workbench.services.compliance_places import evidence_picture, evidence_place
from workbench.services.compliance_sending import policy_choices, send_document
from workbench.services.compliance_starter import start_sample
from workbench.services.context import Services


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[Services, User]]:
    """Services of an empty data folder, whose jobs run in this process, and their owner."""
    settings = load_settings(home=tmp_path / "home")
    folder = DataFolder(settings.home).make()
    database = Database(settings.database_url)
    migrate(database)
    accounts = Accounts(settings, database, folder)
    jobs = SimulatedJobs(settings, database, {}, 0.0)
    services = Services(settings, folder, database, make_object_store(settings), accounts, jobs)
    jobs.runs["ingestion"] = add_index_service(services, jobs.job_store, 0.0)
    jobs.runs["compliance"] = checks_documents(services, jobs.job_store)
    yield services, accounts.ensure_owner()
    await asyncio.gather(*jobs.tasks, return_exceptions=True)
    assert services.index_client is not None
    await services.index_client.close()  # type: ignore[attr-defined]
    services.close()


async def ended(services: Services, user: User, job: AnalysisJob) -> AnalysisJob:
    for _ in range(1200):
        found = await services.jobs.get(job.id, user.id)
        if found.state in ("done", "failed"):
            assert found.state == "done", found.error
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("the analysis did not end")


async def test_a_first_visit_has_an_analysis_that_can_be_read_reviewed_and_taken_away(place: tuple[Services, User]) -> None:
    services, user = place
    assert await policy_choices(services, user) == []
    job = await start_sample(services, user, "pellworth", idempotency_key="first")
    assert (await start_sample(services, user, "pellworth", idempotency_key="first")).id == job.id
    await ended(services, user, job)
    (choice,) = await policy_choices(services, user)
    assert (choice.name, choice.documents) == (COLLECTION, 5)
    view = await compliance.load_analysis(services, user, job.id)
    assert len(view.matches) == choice.requirements
    asked = [match.verdict.requirement.text for match in view.matches]
    for breach in find_sample("pellworth").planted.breaches:  # what is planted can be found: its clause is a requirement
        clause = policy_clause(breach.policy, breach.clause)
        assert any(clause.startswith(text) for text in asked), clause

    # evidence stands where it says, and its page is shown
    match = next(match for match in view.matches if match.verdict.evidence)
    evidence = match.verdict.evidence[0]
    shown = await evidence_place(services, user, view, evidence)
    assert shown.quote == evidence.text and shown.pdf and not shown.changed
    assert evidence.page is not None
    picture = await evidence_picture(services, user, job.id, evidence.page, evidence.start, evidence.end)
    assert picture.startswith(b"\x89PNG")
    with pytest.raises(InvalidInput):
        await evidence_picture(services, user, job.id, 1, 5, 10**9)

    # a review is in every file at once
    other = "satisfied" if match.verdict.verdict != "satisfied" else "violated"
    await compliance.review_verdict(services, user, match.id, other, "The annex says so.")
    files = {name: await analysis_file(services, user, job.id, name) for name in FILES}
    said = json.loads(files["report.json"][0])
    assert said["requirements"][match.position]["reviewed"] == other
    rows = list(csv.DictReader(io.StringIO(files["requirements.csv"][0].decode("utf-8-sig"))))
    assert rows[match.position]["reviewed"] == other and len(rows) == len(view.matches)
    assert files["report.pdf"][0].startswith(b"%PDF") and files["report.docx"][0].startswith(b"PK")
    assert files["report.docx"][1] == "pellworth-operating-procedures-compliance.docx"
    with pytest.raises(NotFound, match=r"It has: report\.pdf"):
        await analysis_file(services, user, job.id, "report.exe")
    stranger = User(id="someone-else", name="eve")
    for asking in (analysis_file(services, stranger, job.id, "report.pdf"), evidence_picture(services, stranger, job.id, 1, 0, 5)):
        with pytest.raises(NotFound):
            await asking


async def test_the_sample_and_its_files_over_http(place: tuple[Services, User]) -> None:
    services, user = place
    app = FastAPI()
    install_problems(app)
    app.include_router(compliance_file_routes(services))
    app.add_middleware(Guard, accounts=services.accounts)
    headers = {"authorization": f"Bearer {services.accounts.make_token(user, 'test')}", "idempotency-key": "k"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers=headers, timeout=120) as client:
        begun = await client.post("/mlops/samples/calder-wren/analyze")
        assert begun.status_code == 202 and begun.json()["pipeline"] == "compliance"
        assert begun.json()["address"].endswith(f"/compliance?job={begun.json()['id']}")
        assert (await client.post("/mlops/samples/calder-wren/analyze")).json()["id"] == begun.json()["id"]
        job = await ended(services, user, await services.jobs.get(begun.json()["id"], user.id))
        found = await client.get(f"/mlops/analysis/{job.id}/files/requirements.csv")
        assert found.headers["content-type"].startswith("text/csv")
        assert "calder-wren-compliance-manual-compliance.csv" in found.headers["content-disposition"]
        unknown = await client.post("/mlops/samples/acme/analyze", headers={"idempotency-key": "other"})
        assert unknown.status_code == 404 and "Available: pellworth, calder-wren" in unknown.json()["detail"]
        stranger = await client.get(f"/mlops/analysis/{job.id}/files/report.json", headers={"authorization": "Bearer nobody"})
        assert stranger.status_code == 401


async def test_a_file_of_requirements_stands_in_and_rubbish_is_refused(place: tuple[Services, User], tmp_path: Path) -> None:
    services, user = place

    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content)
        return path

    with pytest.raises(InvalidInput, match="Choose at least one"):
        await send_document(services, user, write("terms.txt", "Contracts are in writing. Nothing else is agreed.\n"))
    with pytest.raises(UnsupportedFormat):
        await send_document(services, user, write("terms.pdf", "MZ a program"), policies=[COLLECTION])
    assert not (tmp_path / "terms.pdf").exists()  # what was dropped does not stay behind
    document = write("terms.txt", "Contracts are in writing. Nothing else is agreed.\n")
    own = write("own.csv", "id,text\nA,Contracts must be in writing.\nB,Visitors must sign the book.\n")
    job = await send_document(services, user, document, requirements=own)
    await ended(services, user, job)
    view = await compliance.load_analysis(services, user, job.id)
    assert [match.verdict.requirement.id for match in view.matches] == ["A", "B"]
    assert view.report.policies[0]["name"] == "own.csv"
