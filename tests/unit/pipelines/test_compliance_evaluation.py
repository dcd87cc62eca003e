import asyncio
import json

import numpy as np
import pytest

from infra.errors import NotFound
from knowledge.requirements.spans import Span
from pipelines.compliance.contract import Probabilities, RequirementVerdict
from pipelines.compliance.samples import SAMPLES, PolicyClause
from pipelines.evaluation.compliance import (
    Read,
    calibrate,
    crossed,
    evaluate_compliance,
    evidence_precision,
    left_out_rows,
    probabilities,
    verdict_rows,
)
from pipelines.evaluation.compliance_samples import GOOD, breaches, negated_duty, of_clause, starter_requirements, worse_number
from pipelines.evaluation.table import Row, as_table
from serving.entailment.corpora import described
from serving.entailment.corpora.described import Rule
from serving.entailment.corpora.examples import Split
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.entailers import WordsEntailment

KEEPS, BREAKS, SILENT = [[0.95, 0.02, 0.03]], [[0.02, 0.95, 0.03]], [[0.02, 0.01, 0.97]]


def reads(count: int = 12) -> list[Read]:
    """Contracts that say clearly what they say, of three requirements."""
    return [
        Read(f"c{number}", f"r{row}", np.array(told + SILENT * 3), ("",) * 4, row, 1.0 if row < 2 else None)
        for number in range(count)
        for row, told in enumerate((KEEPS, BREAKS, SILENT))
    ]


def test_what_is_clear_is_decided_rightly_by_contracts_that_were_not_fitted_on():
    found = reads()
    rows = {row.measure: row for row in verdict_rows(found, crossed(found, lambda read: read.contract))}
    assert rows["verdict accuracy"].value == 1.0
    assert rows["F1 contradicted, pooled"].value == 1.0
    assert rows["evidence mAP"].value == 1.0
    assert all(row.passed for row in rows.values() if "calibration" not in row.measure)


def test_a_change_that_was_found_by_rule_decides_as_in_an_analysis():
    kept = np.array([[0.9, 0.05, 0.05], *SILENT * 3])
    told = np.array([[0.9, 0.05, 0.05], [0.05, 0.93, 0.02], *SILENT * 2])
    calibration = calibrate(reads())
    (plain,) = probabilities(calibration, [Read("c", "r", told, ("",) * 4, 1, None)])
    (changed,) = probabilities(calibration, [Read("c", "r", told, ("", "30 days, not 60", "", ""), 1, None)])
    (same,) = probabilities(calibration, [Read("c", "r", kept, ("",) * 4, 0, None)])
    assert changed[1] > plain[1] > same[1]


def test_what_is_wrong_is_seen_to_be():
    found = reads()
    wrong = np.roll(crossed(found, lambda read: read.contract), 1, axis=1)
    rows = {row.measure: row for row in verdict_rows(found, wrong)}
    assert rows["verdict accuracy"].value == 0.0
    assert rows["verdict accuracy"].passed is False
    assert rows["calibration error of the verdict"].passed is False
    assert "(missed)" in as_table(list(rows.values()))


def test_requirements_left_out_are_compared_with_the_most_frequent_verdict_of_the_others():
    accuracy, base = left_out_rows(reads(), ["r0"])
    assert (accuracy.of, base.value) == (12, 0.0)  # the others are violated or silent, r0 is always kept
    assert accuracy.must == pytest.approx(0.05)


def test_evidence_counts_where_it_covers_what_people_marked():
    spans = [Span(None, 0, 10, "0123456789"), Span(None, 10, 30, "x" * 20), Span(None, 30, 40, "y" * 10)]
    marked = [(0, 10), (10, 20), (20, 30), (30, 40)]
    assert evidence_precision(spans, np.array([0.1, 0.9, 0.2]), marked, [1, 2]) == 1.0
    assert evidence_precision(spans, np.array([0.9, 0.1, 0.2]), marked, [0]) == 1.0
    assert evidence_precision(spans, np.array([0.9, 0.1, 0.2]), marked, [3]) == 0.5


class Strict(WordsEntailment):
    """Takes a passage to speak of a claim only where it has most of its words."""

    @staticmethod
    def _one(claim: str, passage: str) -> tuple[float, float, float]:
        entailed, contradicted, other = WordsEntailment._one(claim, passage)
        return (entailed, contradicted, other) if other < 0.5 else (0.005, 0.005, 0.99)


def test_the_whole_table_over_contracts_that_were_not_trained_on(tmp_path, monkeypatch):
    said = (("entailed", "Lock{0} door{0} key{0}."), ("contradicted", "Not lock{0} door{0} key{0}."), ("not_mentioned", "Tea is hot."))
    rules = [Rule(said[0][1].format(one), tuple((label, text.format(one)) for label, text in said)) for one in range(40)]
    monkeypatch.setattr(described, "load", lambda: rules)  # what the words' fake can read
    folder = tmp_path / "contractnli"
    folder.mkdir()
    keeps, breaks, other = "The party shall keep the data secret.", "The party shall not keep the data secret.", "Lunch is at noon."
    documents = []
    for number in range(40):
        first = (keeps, breaks, other)[number % 3]
        text = f"{first}\n{other}\nThe end of all things number {number}.\n"
        choice = ("Entailment", "Contradiction", "NotMentioned")[number % 3]
        annotation = {"choice": choice, "spans": [] if number % 3 == 2 else [0]}
        spans = [[0, len(first)], [len(first) + 1, len(first) + 1 + len(other)]]
        documents.append({"file_name": f"c{number}", "text": text, "spans": spans, "annotation_sets": [{"annotations": {"r": annotation}}]})
    labels = {"r": {"hypothesis": "The party shall keep the data secret."}}
    (folder / "dev.json").write_text(json.dumps({"documents": documents, "labels": labels}))
    roles = Roles(embedding=WordsEmbedding(), entailment=Strict())
    rows, calibration, found = asyncio.run(evaluate_compliance(tmp_path, roles, Split(0, 2)))
    values = {row.measure: row.value for row in rows}
    assert 0 < len(found) < 40
    assert values["verdict accuracy"] > 0.9
    assert values["evidence mAP"] > 0.9
    assert values["Rules beside procedures not fitted on: accuracy"] > 0.6
    assert values["bans: nothing said of it: called violated"] < 0.5
    # Who goes by words finds breaches in the ban's own words rather than in others.
    assert values["bans: broken as a matter of course: called violated"] < values["bans: allowed: called violated"]
    assert values["bans: kept in other words: called violated"] < 0.5
    assert calibration.about["decisions"] == len(found)
    with pytest.raises(NotFound):
        asyncio.run(evaluate_compliance(tmp_path / "nowhere", roles, Split()))


def test_mechanical_breaches_change_one_place_and_are_the_same_every_time():
    requirements, text = starter_requirements(), SAMPLES[GOOD].markdown
    found = breaches(text, requirements, 12)
    assert [one.text for one in found] == [one.text for one in breaches(text, requirements, 12)]
    assert {one.kind for one in found} == {"another number", "negated", "struck out"}
    assert all(one.text != text for one in found)
    assert all(len(one.text) < len(text) for one in found if one.kind == "struck out")


@pytest.mark.parametrize(
    ("sentence", "requirement", "negated"),
    [
        ("Clerks verify it; the head verifies the form.", "Forms must be verified.", None),
        ("The head verifies the form.", "Forms must be verified.", "The head does not verify the form."),
        ("Forms no longer used are burnt.", "Forms no longer used must be burnt.", "Forms no longer used are not burnt."),
        ("The keeps of the castle.", "Forms must be kept.", None),
        ("Forms are kept.", "Forms must not be kept.", None),
    ],
)
def test_a_duty_is_negated_at_its_own_verb(sentence, requirement, negated):
    assert negated_duty(sentence, requirement) == negated


def test_a_number_is_made_worse_only_where_it_kept_the_requirement():
    assert worse_number("Told within 24 hours.", "They must be told within 72 hours.") == "Told within 240 hours."
    assert worse_number("The pass is valid for 2 days.", "Shares must be held for at least 30 days.") is None


def test_every_planted_breach_is_of_a_requirement_that_is_extracted():
    verdicts = [RequirementVerdict(one, "violated", Probabilities.of("violated"), False, ()) for one in starter_requirements()]
    for sample in SAMPLES.values():
        for breach in sample.planted.breaches:
            assert of_clause(verdicts, PolicyClause(policy=breach.policy, clause=breach.clause)), breach


def test_a_low_measure_is_missed_above_its_limit():
    assert Row("error", 0.1, 0.08, low=True).passed is False
    assert Row("error", 0.1).passed is None
