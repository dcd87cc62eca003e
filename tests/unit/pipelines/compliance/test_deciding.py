import numpy as np
import pytest

from knowledge.reading.records import record_document
from knowledge.requirements import Requirement
from knowledge.requirements.spans import spans_of
from pipelines.compliance.calibration import shipped
from pipelines.compliance.deciding import by_search, decide, evidence_scores, with_leads

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


HALF = (0.3, 0.3, 0.4)


def test_what_the_search_found_well_says_more_and_what_it_hardly_found_less():
    told = said((0.2, 0.4, 0.4), (0.2, 0.4, 0.4), (0.2, 0.4, 0.4))
    found = by_search(told, ["", "", ""], np.array([0.9, 0.5, 0.1]))
    assert found.sum(1) == pytest.approx(1)
    assert found[0, 2] < told[0, 2] < found[2, 2]
    assert found[1] == pytest.approx(told[1], abs=1e-6)  # found as well as the mean
    assert found[:, 1] / found[:, 0] == pytest.approx(2, abs=1e-4)  # for and against stay in proportion


def test_what_was_told_by_rule_is_not_weighed_by_the_search():
    told = said((0.1, 0.8, 0.1), HALF)
    found = by_search(told, ["60 days where 30 are asked for", ""], np.array([0.0, 1.0]))
    assert found[0] == pytest.approx(told[0])
    assert found[1, 2] < told[1, 2]


@pytest.mark.parametrize("row", [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
def test_what_is_certain_stays_a_probability(row):
    found = by_search(said(row, row), ["", ""], np.array([1.0, 0.0]))
    assert np.all((found >= 0) & (found <= 1)) and found.sum(1) == pytest.approx(1)


def test_no_span_at_all_is_weighed_to_none():
    assert by_search(np.empty((0, 3)), [], np.empty(0)).shape == (0, 3)


def test_sentences_that_half_speak_of_it_count_for_little_where_the_search_prefers_one_that_breaks_it():
    rows = said((0.2, 0.7, 0.1), (0.5, 0.1, 0.4), (0.5, 0.1, 0.4), (0.5, 0.1, 0.4))
    plain = decide(REQUIREMENT, spans(), rows, alike(4), shipped())
    found = decide(REQUIREMENT, spans(), rows, np.array([1.0, 0.1, 0.1, 0.1]), shipped())
    assert found.probabilities.violated > plain.probabilities.violated
    assert [one.contradicted for one in found.evidence if one.start == spans()[0].start] == pytest.approx([0.7])  # as the model said it
