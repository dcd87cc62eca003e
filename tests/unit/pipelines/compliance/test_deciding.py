import numpy as np
import pytest

from knowledge.reading.records import record_document
from knowledge.requirements import Requirement
from knowledge.requirements.spans import spans_of
from pipelines.compliance.calibration import shipped
from pipelines.compliance.deciding import decide, evidence_scores, with_leads

REQUIREMENT = Requirement("R1", "The supplier must encrypt all backups.")
TEXT = "Copies of data lie on tapes.\n\nWe scramble every tape.\n\nTapes are plain.\n\nLunch is at noon.\n"


def spans(text: str = TEXT):
    return spans_of(record_document("d.txt", text))


def said(*rows):
    return np.array(rows, np.float32)


NOTHING = (0.02, 0.01, 0.97)


def alike(count: int):
    """Every span found as well as any other."""
    return np.full(count, 0.3)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ((NOTHING, (0.97, 0.01, 0.02), NOTHING, NOTHING), "satisfied"),
        ((NOTHING, NOTHING, (0.01, 0.97, 0.02), NOTHING), "violated"),
        ((NOTHING, NOTHING, NOTHING, NOTHING), "not_addressed"),
    ],
)
def test_the_verdict_follows_the_spans(rows, verdict):
    found = decide(REQUIREMENT, spans(), said(*rows), alike(len(rows)), shipped())
    assert found.verdict == verdict
    total = found.probabilities.satisfied + found.probabilities.violated + found.probabilities.not_addressed
    assert total == pytest.approx(1)
    assert not found.conflict
    decided = [one.text for one in found.evidence if one.decided]
    assert decided == ([] if verdict == "not_addressed" else [found.evidence[0].text])


def test_evidence_is_verbatim_and_ranked():
    document = record_document("d.txt", TEXT)
    found = decide(REQUIREMENT, spans_of(document), said(NOTHING, (0.6, 0.1, 0.3), (0.8, 0.1, 0.1), NOTHING), alike(4), shipped())
    assert [one.score for one in found.evidence] == sorted((one.score for one in found.evidence), reverse=True)
    assert all(document.text[one.start : one.end] == one.text for one in found.evidence)


def test_spans_that_disagree_are_a_conflict_and_wait_for_a_person():
    found = decide(REQUIREMENT, spans(), said(NOTHING, (0.95, 0.01, 0.04), (0.01, 0.95, 0.04), NOTHING), alike(4), shipped())
    assert found.conflict
    assert found.uncertainty >= 0.5


def test_another_period_is_told_by_rule_whatever_the_model_says():
    requirement = Requirement("R", "The supplier must notify the bank of incidents within 72 hours.")
    text = "The supplier shall notify the bank of incidents within ten days.\n\nLunch is at noon.\n"
    found = decide(requirement, spans(text), said((0.9, 0.05, 0.05), NOTHING), alike(2), shipped())
    assert found.verdict == "violated"
    assert found.evidence[0].difference == "ten days, not 72 hours"


def test_a_prohibition_in_its_own_words_is_kept():
    requirement = Requirement("R", "The supplier must not disclose client data.", "prohibition")
    found = decide(requirement, spans("The supplier shall not disclose any client data.\n"), said((0.1, 0.85, 0.05)), alike(1), shipped())
    assert found.verdict == "satisfied"


def test_without_spans_nothing_is_addressed():
    found = decide(REQUIREMENT, [], np.empty((0, 3)), alike(0), shipped())
    assert (found.verdict, found.evidence) == ("not_addressed", ())


def test_a_sentence_that_introduces_items_says_what_they_say():
    found = spans("The supplier shall:\n\n(a) encrypt all backups;\n\n(b) pay.\n\nLunch is at noon.\n")
    scores = with_leads(found, np.array([0.1, 0.9, 0.2, 0.1]))
    assert scores[0] > 0.6
    assert list(scores[1:]) == [0.9, 0.2, 0.1]


def test_of_spans_that_say_as_much_the_best_found_and_longest_come_first():
    found = spans("Notice.\n\nNotice of an incident is given to the bank without delay.\n\nLunch at noon is given to us all every day.\n")
    told = said(*[(0.4, 0.1, 0.5)] * 3)
    scores = evidence_scores(found, told, np.array([0.6, 0.6, 0.1]))
    assert scores[1] > scores[0] > scores[2]
    assert evidence_scores(found, said(NOTHING, NOTHING, (0.9, 0.05, 0.05)), np.array([0.4, 0.4, 0.3])).argmax() == 2
