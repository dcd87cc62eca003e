"""A document against policies, through the whole pipeline in this process: real files, tables and objects; models of words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlmodel import select

from infra.database.tables_compliance import RequirementRow
from infra.errors import InvalidInput, ModelMissing, NotFound
from infra.settings import Settings
from knowledge.library import StoredChunks, find_collection
from knowledge.reading import Document
from pipelines import requirement_rows as rows
from pipelines.compliance import comply
from pipelines.compliance.files import FILES
from pipelines.ingestion import KnowledgeClient, open_knowledge
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.entailers import WordsEntailment

POLICY = """# Supplier policy

## Incidents

The supplier must notify the bank of security incidents within 24 hours.

## Data

The supplier must not sell client data. The supplier may use cloud services.

## Exit

The supplier must keep an exit plan for every service.
"""
CONTRACT = """# Contract

## Incidents

The supplier shall notify the bank of security incidents no sooner than within ten days.

## Data

The supplier shall not sell client data.

## Parking

Visitors must park their bicycles behind the house.
"""


@pytest.fixture
def model() -> WordsEntailment:
    return WordsEntailment()


@pytest.fixture
def knowledge(settings: Settings, model: WordsEntailment, tmp_path: Path) -> Iterator[KnowledgeClient]:
    (tmp_path / "policy.md").write_text(POLICY)
    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding(), entailment=model)) as opened:
        opened.add(tmp_path / "policy.md", "policies")
        yield opened


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.md"
    path.write_text(CONTRACT)
    return path


def test_every_requirement_has_its_verdict_with_evidence(knowledge: KnowledgeClient, contract: Path, tmp_path: Path):
    told: list[str] = []
    report = comply(
        contract, policies="policies", knowledge=knowledge, out=tmp_path / "out", progress=lambda _, message: told.append(message)
    )
    verdicts = {one.requirement.text: one for one in report.requirements}
    incidents = verdicts["The supplier must notify the bank of security incidents within 24 hours."]
    assert incidents.verdict == "violated"
    assert incidents.evidence[0].difference == "10 days, not 24 hours"
    assert CONTRACT[incidents.evidence[0].start : incidents.evidence[0].end] == incidents.evidence[0].text
    assert incidents.requirement.source is not None
    assert POLICY[incidents.requirement.source.start : incidents.requirement.source.end] == incidents.requirement.source.text
    assert verdicts["The supplier must not sell client data."].verdict == "satisfied"
    assert verdicts["The supplier must keep an exit plan for every service."].verdict == "not_addressed"
    assert [one.text for one in report.own] == ["Visitors must park their bicycles behind the house."]
    assert report.policies[0]["name"] == "policies"
    assert report.policies[0]["version"] == 1
    assert {model.role for model in report.models} == {"embedding", "entailment"}
    assert report.seconds["total"] > 0
    assert any("requirement 1 of 4" in message for message in told)
    kept = json.loads((tmp_path / "out" / "report.json").read_text())
    assert kept["score"] == report.grade.score < 70
    assert {"document", "policies", "score", "risk", "models", "requirements"} <= set(kept)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF")
    leftovers = [info.key for info in knowledge.store.list(knowledge.settings.storage.buckets.analysis_reports, "compliance/")]
    assert not [key for key in leftovers if "document" in key or "text.zip" in key]


def test_after_an_edit_only_what_changed_is_read(knowledge: KnowledgeClient, contract: Path, model: WordsEntailment):
    comply(contract, policies="policies", knowledge=knowledge)
    first = len(model.asked)
    again = comply(contract, policies="policies", knowledge=knowledge)
    assert len(model.asked) == first > 0
    contract.write_text(CONTRACT.replace("no sooner than within ten days", "within twelve hours"))
    model.asked.clear()
    edited = comply(contract, policies="policies", knowledge=knowledge)
    assert {passage for _, passage in model.asked} == {
        "Contract, Incidents. The supplier shall notify the bank of security incidents within twelve hours."
    }
    assert edited.requirements[0].verdict == "satisfied" != again.requirements[0].verdict
    with knowledge.database.session() as session:
        place = find_collection(session, knowledge.user_id, "policies")
        row = next(row for row in rows.current_rows(session, place.id) if "exit plan" in row.text)
        rows.revise(session, row, {"text": "The supplier must keep a price list."}, user_id=knowledge.user_id)
    model.asked.clear()
    after = comply(contract, policies="policies", knowledge=knowledge)
    assert {claim for claim, _ in model.asked} == {"The supplier must keep a price list."}
    assert after.policies[0]["version"] == 2


def test_a_new_version_of_a_policy_keeps_what_a_person_edited(knowledge: KnowledgeClient, tmp_path: Path, contract: Path):
    comply(contract, policies="policies", knowledge=knowledge)
    with knowledge.database.session() as session:
        place = find_collection(session, knowledge.user_id, "policies")
        row = next(row for row in rows.current_rows(session, place.id) if "sell" in row.text)
        rows.revise(session, row, {"severity": "critical"}, user_id=knowledge.user_id)
    (tmp_path / "policy.md").write_text(POLICY.replace("24 hours", "48 hours").replace("## Exit", "## Way out"))
    knowledge.add(tmp_path / "policy.md", "policies")
    report = comply(contract, policies="policies", knowledge=knowledge)
    severities = {one.requirement.text: one.requirement.severity for one in report.requirements}
    assert severities["The supplier must not sell client data."] == "critical"
    assert "The supplier must notify the bank of security incidents within 48 hours." in severities
    assert not any("24 hours" in text for text in severities)
    with knowledge.database.session() as session:
        old = [row for row in session.exec(select(RequirementRow)) if "24 hours" in row.text]
    assert [row.until for row in old] == [3]


def test_requirements_of_policies_are_there_when_they_are_added(settings: Settings, tmp_path: Path):
    paper = (
        "# Gene regulation\n\nA regulation of genes may be slow. It must be said that little is known. " + "Cells divide and grow. " * 200
    )
    (tmp_path / "policy.md").write_text(POLICY)
    (tmp_path / "paper.md").write_text(paper)
    (tmp_path / "contract.md").write_text(CONTRACT)

    def stand(knowledge: KnowledgeClient) -> tuple[dict[str, RequirementRow], int]:
        with knowledge.database.session() as session:
            place = find_collection(session, knowledge.user_id, "mixed")
            return {row.text: row for row in rows.current_rows(session, place.id)}, rows.policy_version(session, place.id)

    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding())) as knowledge:
        knowledge.add([tmp_path / "paper.md", tmp_path / "contract.md"], "mixed")
        assert stand(knowledge) == ({}, 0)  # neither a paper nor a contract is a policy
        knowledge.add(tmp_path / "policy.md", "mixed")
        before, version = stand(knowledge)
        assert version == 1 and len(before) == 4
        assert {row.source["document"] for row in before.values() if row.source} == {"policy.md"}
        knowledge.add(tmp_path / "policy.md", "mixed")  # again is the same as once
        assert stand(knowledge)[1] == 1
        # A new version: what it still says stays, at its new place, and what was edited stays edited.
        with knowledge.database.session() as session:
            row = rows.find_current(session, before["The supplier must not sell client data."].requirement_id)
            rows.revise(session, row, {"severity": "critical"}, user_id=knowledge.user_id)
        policy = POLICY.replace("## Incidents", "## On incidents of every kind").replace(
            "every service.", "every service. Failures are rated high."
        )
        (tmp_path / "policy.md").write_text(policy)
        knowledge.add(tmp_path / "policy.md", "mixed")
        after, version = stand(knowledge)
        assert version == 3 and after.keys() == before.keys()
        for text, row in after.items():
            assert row.requirement_id == before[text].requirement_id
            assert row.source and policy[row.source["start"] : row.source["end"]] == row.source["text"]
        severities = {text.split()[-2]: row.severity for text, row in after.items()}
        assert (severities["client"], severities["every"]) == ("critical", "high")
        # The collection keeps requirements by now, so everything that is added to it is asked for some; and a list fills in the rest.
        (tmp_path / "terms.md").write_text("# Terms\n\nPrices must be paid in advance.\n")
        knowledge.add(tmp_path / "terms.md", "mixed")
        assert {row.source["document"] for row in stand(knowledge)[0].values() if row.source} == {"policy.md", "terms.md"}
        with knowledge.database.session() as session:
            place = find_collection(session, knowledge.user_id, "mixed").id
        chunks = StoredChunks(knowledge.database, knowledge.store, place, raw=knowledge.settings.storage.buckets.kb_raw)
        assert rows.extract_new(knowledge.database, place, chunks.document) > 0
        assert "contract.md" in {row.source["document"] for row in stand(knowledge)[0].values() if row.source}


def test_two_who_ask_at_once_extract_once(knowledge: KnowledgeClient, contract: Path):
    knowledge.add(contract, "contracts")  # no policy: its duties are extracted when they are asked for
    with knowledge.database.session() as session:
        place = find_collection(session, knowledge.user_id, "contracts").id
    together = threading.Barrier(2, timeout=20)

    def read(name: str) -> Document:
        text = StoredChunks(knowledge.database, knowledge.store, place, raw=knowledge.settings.storage.buckets.kb_raw).document(name)
        together.wait()
        return text

    with ThreadPoolExecutor(2) as pool:
        came = list(pool.map(lambda _: rows.extract_new(knowledge.database, place, read), range(2)))
    with knowledge.database.session() as session:
        assert sorted(came) == [0, len(rows.current_rows(session, place))] and max(came) == 3
        assert rows.policy_version(session, place) == 1


def test_requirements_from_a_file(knowledge: KnowledgeClient, contract: Path, tmp_path: Path):
    file = tmp_path / "asked.csv"
    file.write_text('id,text,severity\nR1,"The supplier must not sell client data.",critical\n')
    report = comply(contract, requirements=file, knowledge=knowledge)
    assert [(one.requirement.id, one.verdict, one.requirement.source) for one in report.requirements] == [("R1", "satisfied", None)]
    assert report.policies[0] == {"name": "asked.csv", "collection": "", "version": 0, "requirements": 1}


def test_what_is_refused(knowledge: KnowledgeClient, contract: Path, tmp_path: Path, model: WordsEntailment):
    with pytest.raises(InvalidInput, match="policies to check against"):
        comply(contract, knowledge=knowledge)
    with pytest.raises(NotFound):
        comply(tmp_path / "nothing.pdf", policies="policies", knowledge=knowledge)
    with pytest.raises(NotFound):
        comply(contract, policies="nobody's", knowledge=knowledge)
    (tmp_path / "blank.md").write_text("\n \n")
    with pytest.raises(InvalidInput, match="empty"):
        comply(tmp_path / "blank.md", policies="policies", knowledge=knowledge)
    model.failing = ModelMissing("There is no such model.")
    with pytest.raises(ModelMissing) as failed:
        comply(contract, policies="policies", knowledge=knowledge)
    assert failed.value.details["stage"] == "check"
