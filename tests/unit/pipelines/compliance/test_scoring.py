import pytest

from knowledge.requirements import Requirement
from pipelines.compliance.contract import Probabilities, RequirementVerdict
from pipelines.compliance.scoring import CAPS, FORMULA, GAP, WEIGHTS, grade, likelihood_of


def verdict(said, sure=1.0, *, modality="obligation", severity="medium", reviewed=None, name="R"):
    rest = (1 - sure) / 2
    named = {one: sure if one == said else rest for one in ("satisfied", "violated", "not_addressed")}
    return RequirementVerdict(Requirement(name, "Text.", modality, severity), said, Probabilities(**named), False, (), reviewed)


def test_everything_kept_is_a_hundred_and_low():
    found = grade([verdict("satisfied"), verdict("satisfied", severity="critical")])
    assert (found.score, found.risk, found.cap) == (100.0, "low", None)


def test_the_score_is_the_share_of_weight_that_is_not_lost():
    found = grade([verdict("satisfied", severity="high"), verdict("not_addressed", severity="low")])
    assert found.score == pytest.approx(100 * (1 - GAP * 1 / 5))


def test_a_violated_critical_requirement_never_averages_out():
    found = grade([*(verdict("satisfied", name=str(n)) for n in range(500)), verdict("violated", 0.6, severity="critical", name="bad")])
    assert found.score == CAPS["critical"]
    assert found.risk == "critical"
    assert found.cap == (CAPS["critical"], "bad")
    assert any("bad" in sentence for sentence in found.explanation)


def test_a_violated_high_requirement_caps_less():
    found = grade([*(verdict("satisfied", name=str(n)) for n in range(500)), verdict("violated", severity="high")])
    assert (found.score, found.risk) == (CAPS["high"], "high")


def test_permissions_are_not_scored_and_a_silent_document_breaks_no_prohibition():
    found = grade([verdict("violated", modality="permission", severity="critical"), verdict("not_addressed", modality="prohibition")])
    assert (found.score, found.risk) == (100.0, "low")
    assert grade([]).score == 100.0


def test_a_review_counts_in_place_of_the_models():
    doubted = verdict("violated", 0.9, severity="critical", reviewed="satisfied")
    assert grade([doubted]).score == 100.0
    assert grade([verdict("satisfied", 0.9, severity="critical", reviewed="violated")]).risk == "critical"


def test_the_matrix_counts_every_scored_requirement_once():
    verdicts = [
        verdict("satisfied"),
        verdict("violated"),
        verdict("not_addressed", severity="high"),
        verdict("satisfied", modality="permission"),
    ]
    found = grade(verdicts)
    assert sum(sum(row.values()) for row in found.matrix.values()) == 3
    assert likelihood_of(verdicts[1]) == "almost certain"
    assert found.matrix["likely"]["high"] == 1


def test_the_formula_says_its_numbers():
    assert all(f"{severity} {weight:g}" in FORMULA for severity, weight in WEIGHTS.items())
    assert all(f"at {cap:g}" in FORMULA for cap in CAPS.values())
