import asyncio
import json
from collections import Counter

import numpy as np
import pytest

from infra.errors import NotFound
from knowledge.requirements.spans import Span
from pipelines.compliance.combiner import DEFAULT, shipped
from pipelines.compliance.contract import Probabilities, RequirementVerdict
from pipelines.compliance.features import ADDRESSED, SATISFIED
from pipelines.compliance.samples import POLICIES, SAMPLES, PolicyClause
from pipelines.evaluation import compliance_fit
from pipelines.evaluation.compliance import ban_rows, contract_rows, evaluate_compliance, pair_rows, size_rows, unit_rows
from pipelines.evaluation.compliance_cases import (
    BANS,
    OTHERS,
    PROHIBITIONS,
    Case,
    Measured,
    ban_cases,
    evidence_precision,
    read_cases,
    read_or_load,
    written_cases,
)
from pipelines.evaluation.compliance_fit import balanced, card, crossed, fit_all, said_by
from pipelines.evaluation.compliance_samples import of_clause, starter_requirements
from pipelines.evaluation.table import Row, as_table
from serving.entailment.corpora import described, written
from serving.entailment.corpora.data import Data
from serving.entailment.corpora.examples import Split
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.entailers import WordsEntailment


@pytest.fixture(autouse=True)
def few_strengths(monkeypatch):
    monkeypatch.setattr(compliance_fit, "STRENGTHS", (0.1, 1.0))
    monkeypatch.setattr(compliance_fit, "OUTER", 3)
    monkeypatch.setattr(compliance_fit, "INNER", 2)


ROLES = Roles(embedding=WordsEmbedding(), entailment=WordsEntailment())


def measured(count: int = 15) -> list[Measured]:
    """Groups that say clearly what they say, with a little noise."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        for truth, side in ((0, 3.0), (1, -3.0), (2, 0.0)):
            mentioned = 3.0 if truth < 2 else -3.0
            said = {name: mentioned + rng.normal(0, 0.3) for name in ADDRESSED}
            said |= {name: side + rng.normal(0, 0.3) for name in SATISFIED if name not in said}
            said |= {"best passage: side": side, "quantities: kept": 0.0, "quantities: broken": 0.0, "quantities: cannot be compared": 0.0}
            found.append(Measured(f"{number} {truth}", f"g{number}", f"r{truth}", truth, said, 1.0 if truth < 2 else None, 1.0))
    return found


def test_what_is_clear_is_decided_rightly_by_what_was_fitted_on_other_groups():
    said, strengths = crossed({"a": measured()})
    assert (said.argmax(1) == [one.truth for one in measured()]).all()
    assert len(strengths) == 3
    combiner = fit_all({"a": measured(), "b": measured(8)}, "ab" * 32)
    assert combiner.about["crossed"]["b"]["accuracy"] == 1.0
    assert "| best passage: side |" in card("test", combiner)
    rows = contract_rows(measured(), combiner)
    assert all(row.passed for row in rows if "calibration" not in row.measure), as_table(rows)
    assert all(row.passed for row in unit_rows(measured(9), combiner))


def test_sets_count_alike_whatever_their_size():
    rows, share = balanced({"a": measured(20), "b": measured(2), "c": [Measured("x", "x", "x", 2)]})
    assert len(rows) == 66  # a document without spans is not fitted on
    assert share[:60].sum() == pytest.approx(share[60:].sum())


def test_what_is_wrong_is_seen_to_be():
    combiner = fit_all({"a": measured()}, "")
    wrong = [Measured(one.name, one.group, one.kind, (one.truth + 1) % 3, one.features) for one in measured()]
    rows = {row.measure: row for row in (*pair_rows(wrong, combiner), *contract_rows(wrong, combiner))}
    assert rows["pairs: accuracy"].value == 0.0
    assert rows["pairs: violated taken for satisfied"].value == 15
    assert rows["contracts: accuracy"].passed is False
    assert rows["contracts: calibration error"].passed is False
    assert "(missed)" in as_table(list(rows.values()))


def test_a_document_without_spans_addresses_nothing():
    assert said_by(shipped()[DEFAULT], [Measured("x", "x", "x", 2)]).tolist() == [[0.0, 0.0, 1.0]]


def test_evidence_counts_where_it_covers_what_people_marked():
    spans = [Span(None, 0, 10, "0123456789"), Span(None, 10, 30, "x" * 20), Span(None, 30, 40, "y" * 10)]
    marked = [(0, 10), (10, 20), (20, 30), (30, 40)]
    assert evidence_precision(spans, np.array([0.1, 0.9, 0.2]), marked, [1, 2]) == 1.0
    assert evidence_precision(spans, np.array([0.9, 0.1, 0.2]), marked, [0]) == 1.0
    assert evidence_precision(spans, np.array([0.9, 0.1, 0.2]), marked, [3]) == 0.5


def test_what_was_read_is_kept_and_not_read_again(tmp_path):
    model = WordsEntailment()
    roles = Roles(embedding=WordsEmbedding(), entailment=model)
    cases = [
        Case("a", "a", "k", "Doors must be locked.", "Doors are locked.\n\nTea is hot.\n", 0),
        Case("b", "b", "k", "Doors must be locked.", "Doors are not locked.\n", 1),
        Case("c", "c", "k", "Doors must be locked.", "\n", 2),
    ]
    first = asyncio.run(read_or_load("set", lambda: cases, roles, tmp_path))
    assert [one.name for one in first] == ["a", "b", "c"]
    assert set(first[0].features) == {*ADDRESSED, *SATISFIED} and first[2].features == {}
    assert first[0].features["best passage: side"] > 0 > first[1].features["best passage: side"]
    asked = len(model.asked)
    assert asyncio.run(read_or_load("set", lambda: cases, roles, tmp_path)) == first
    assert len(model.asked) == asked


def contracts(folder, count: int = 40) -> None:
    keeps, breaks, other = "The party shall keep the data secret.", "The party shall not keep the data secret.", "Lunch is at noon."
    documents = []
    for number in range(count):
        first = (keeps, breaks, other)[number % 3]
        text = f"{first}\n{other}\nThe end of all things number {number}.\n"
        choice = ("Entailment", "Contradiction", "NotMentioned")[number % 3]
        annotation = {"choice": choice, "spans": [] if number % 3 == 2 else [0]}
        spans = [[0, len(first)], [len(first) + 1, len(first) + 1 + len(other)]]
        documents.append({"file_name": f"c{number}", "text": text, "spans": spans, "annotation_sets": [{"annotations": {"r": annotation}}]})
    labels = {"r": {"hypothesis": "The party shall keep the data secret."}}
    (folder / "rag" / "contractnli").mkdir(parents=True)
    (folder / "rag" / "contractnli" / "dev.json").write_text(json.dumps({"documents": documents, "labels": labels}))


def test_the_table_over_the_sets_that_are_there(tmp_path):
    contracts(tmp_path)
    (tmp_path / "compliance").mkdir()
    pair = {"id": "p-1a", "kind": "numbers", "domain": "d", "requirement": "Doors must be locked.", "passage": "Doors are locked."}
    (tmp_path / "compliance" / "pairs_dev.jsonl").write_text(json.dumps({**pair, "verdict": "satisfied"}) + "\n")
    rows = asyncio.run(evaluate_compliance(tmp_path, ROLES, Split(0, 2), sets=("pairs", "units", "contracts")))
    found = {row.measure: row for row in rows}
    assert found["pairs: accuracy"].of == 1
    assert 0 < found["contracts: accuracy"].of < 40
    assert found["contracts: evidence mAP"].value > 0.9
    assert found["seconds a contract, all requirements, median"].value > 0
    assert "units: right" not in found
    with pytest.raises(NotFound):
        asyncio.run(evaluate_compliance(tmp_path / "nowhere", ROLES, Split(), sets=("pairs", "contracts")))


def test_lines_of_the_rooms_are_counted(tmp_path):
    (tmp_path / "pipelines" / "compliance").mkdir(parents=True)
    (tmp_path / "pipelines" / "compliance" / "a.py").write_text("one\ntwo\n")
    assert [row.value for row in size_rows(tmp_path, memory=False)] == [2.0]


def written_bans() -> list[dict[str, str]]:
    return [json.loads(line) for line in PROHIBITIONS.read_text().splitlines()]


def test_every_ban_comes_with_each_kind_of_sentence_and_no_sentence_twice():
    found = written_bans()
    assert [set(one) for one in found] == [{"ban", *BANS}] * 60
    assert len({text for one in found for text in one.values()}) == 60 * (1 + len(BANS))
    assert all(" must not " in one["ban"] for one in found)


def test_nothing_is_trained_on_a_ban_that_is_measured_or_a_sentence_of_the_starter_policies():
    trained = {text for rule in described.load() for text in (rule.text, *(sentence for _, sentence in rule.said))}
    trained |= {text for pair in written.load() for text in (pair.requirement, pair.passage)}
    assert not trained & {text for one in written_bans() for text in one.values()}
    policies = " ".join(path.read_text() for path in POLICIES.glob("*.md"))
    assert not [text for text in trained if text in policies]


def test_bans_are_read_among_sentences_that_say_nothing_of_them():
    bans, cases = written_bans(), ban_cases()
    assert Counter(one.kind for one in cases) == dict.fromkeys(BANS, 60)
    for row, case in enumerate(cases):
        own, elsewhere = bans[row // len(BANS)], {one["near"] for one in bans}
        sentences = case.text.split("\n\n")
        assert case.requirement == own["ban"] and len(sentences) == OTHERS + 1
        assert set(sentences) - {own[case.kind]} <= elsewhere - {own["near"]}
    found = asyncio.run(read_cases(cases[:10], ROLES))
    assert [read.kind for read in found] == [case.kind for case in cases[:10]]
    shares = {row.measure: row for row in ban_rows(found, shipped()[DEFAULT])}
    assert shares["bans: breaches noticed"].of == 4 and shares["  allowed: called violated"].of == 2


def test_written_pairs_are_read_alone_and_among_others_of_their_domain():
    known = Data(PROHIBITIONS.parent, Split())  # the pairs come with the program
    alone, among = written_cases(known), written_cases(known, among=True)
    assert {case.group for case in alone} <= {pair.domain for pair in known.written("tune") + known.written("held")}
    texts = {pair.passage: pair.domain for pair in written.load()}
    for case in among[:50]:
        passages = case.text.split("\n\n")
        assert len(passages) > 1 and {texts.get(passage, case.group) for passage in passages} == {case.group}


def test_every_planted_breach_is_of_a_requirement_that_is_extracted():
    verdicts = [RequirementVerdict(one, "violated", Probabilities.of("violated"), False, ()) for one in starter_requirements()]
    for sample in SAMPLES.values():
        for breach in sample.planted.breaches:
            assert of_clause(verdicts, PolicyClause(policy=breach.policy, clause=breach.clause)), breach


def test_a_low_measure_is_missed_above_its_limit():
    assert Row("error", 0.1, 0.08, low=True).passed is False
    assert Row("error", 0.1).passed is None
