"""The starter set is whole, frozen, and says truly what was planted where."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from infra.errors import NotFound
from knowledge.reading import read_document
from pipelines.compliance.samples import POLICIES, SAMPLES, STARTER, find_sample, policy_clause, write_sample


def test_nothing_was_changed_since_it_was_frozen() -> None:
    frozen = json.loads((STARTER / "frozen.json").read_text())["sha256"]
    found = {
        path.relative_to(STARTER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in STARTER.rglob("*")
        if path.is_file() and path.name != "frozen.json"
    }
    assert found == frozen


def test_five_policies_have_about_sixty_clauses_that_bind() -> None:
    clauses = [clause for path in POLICIES.glob("*.md") for clause in re.findall(r"(?m)^[2-9]\.\d (.+)$", path.read_text())]
    assert len(list(POLICIES.glob("*.md"))) == 5
    assert 55 <= len(clauses) <= 70
    assert all(re.search(r"\b(must|may)\b", clause) for clause in clauses)
    assert sum("must not" in clause for clause in clauses) >= 10
    assert sum(" may " in clause and "must" not in clause for clause in clauses) >= 5


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_planted_stands_where_the_list_says(name: str) -> None:
    sample = find_sample(name)
    for breach in sample.planted.breaches:
        assert policy_clause(breach.policy, breach.clause)
        if breach.quote is None:
            assert breach.kind == "missing"
            continue
        heading = f"### {breach.section}"
        section = sample.markdown.partition(heading)[2].partition("\n#")[0]
        assert breach.quote in section
    for clause in sample.planted.unmentioned_prohibitions:
        assert "must not" in policy_clause(clause.policy, clause.clause)


def test_one_sample_is_good_and_one_has_a_dozen_breaches_of_every_kind() -> None:
    planted = find_sample("pellworth").planted.breaches
    assert len(planted) >= 12
    assert {breach.kind for breach in planted} == {"period", "number", "negated duty", "prohibited act", "missing"}
    assert not find_sample("calder-wren").planted.breaches


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_a_pdf_of_several_pages_with_every_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    path = write_sample(name, tmp_path)
    assert path.read_bytes() == write_sample(name, tmp_path / "again").read_bytes()
    document = read_document(path)
    assert 3 <= len(document.pages) <= 6
    read = " ".join(document.text.split())
    for breach in find_sample(name).planted.breaches:
        if breach.quote:
            assert breach.quote in read


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(NotFound, match="Available: pellworth, calder-wren"):
        find_sample("acme")
    with pytest.raises(NotFound, match=re.escape("no clause 9.9")):
        policy_clause("outsourcing.md", "9.9")
