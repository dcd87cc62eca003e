import numpy as np
import pytest

from knowledge.reading.records import record_document
from knowledge.requirements import Requirement
from knowledge.requirements.spans import spans_of
from pipelines.compliance.combiner import DEFAULT, Combiner, combiner_for, shipped
from pipelines.compliance.deciding import decide, evidence_scores, with_leads
from pipelines.compliance.features import ADDRESSED, SATISFIED, features
from pipelines.compliance.passages import READ_CLOSELY, around, choose_passages
from pipelines.compliance.reading import Reading

REQUIREMENT = Requirement("R1", "The supplier must encrypt all backups.")
TEXT = "Copies of data lie on tapes.\n\nWe scramble every tape.\n\nTapes are plain.\n\nLunch is at noon.\n"
NOTHING = (0.02, 0.01, 0.97)


def spans(text: str = TEXT):
    return spans_of(record_document("d.txt", text))


def reading(text: str, ranked, read=None, search=None) -> Reading:
    """Every span was ranked; the passages are read as their spans were, or as ``read`` says (in the spans' order)."""
    found, said = spans(text), np.array(ranked, float)
    scores = np.full(len(found), 0.3) if search is None else np.array(search)
    chosen = choose_passages(text, found, range(len(found)), said, scores)
    close = np.array([(said if read is None else np.array(read, float))[one.row] for one in chosen]).reshape(-1, 3)
    return Reading(tuple(range(len(found))), said, scores, tuple(chosen), close)


def decided(text: str, ranked, read=None, requirement: Requirement = REQUIREMENT):
    return decide(requirement, spans(text), reading(text, ranked, read), shipped()[DEFAULT])


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ((NOTHING, (0.97, 0.01, 0.02), NOTHING, NOTHING), "satisfied"),
        ((NOTHING, NOTHING, (0.01, 0.97, 0.02), NOTHING), "violated"),
        ((NOTHING, NOTHING, NOTHING, NOTHING), "not_addressed"),
    ],
)
def test_the_verdict_follows_the_passages(rows, verdict):
    found = decided(TEXT, rows)
    assert found.verdict == verdict
    total = found.probabilities.satisfied + found.probabilities.violated + found.probabilities.not_addressed
    assert total == pytest.approx(1)
    assert not found.conflict
    assert [one.text for one in found.evidence if one.decided] == ([] if verdict == "not_addressed" else [found.evidence[0].text])


def test_the_span_that_decided_comes_first_and_evidence_is_verbatim_and_ranked():
    document = record_document("d.txt", TEXT)
    ranked = (NOTHING, (0.4, 0.35, 0.25), (0.35, 0.4, 0.25), NOTHING)
    found = decided(TEXT, ranked, read=(NOTHING, (0.02, 0.03, 0.95), (0.01, 0.97, 0.02), NOTHING))
    assert found.verdict == "violated"
    assert found.evidence[0].text == "Tapes are plain."
    assert found.evidence[0].contradicted == pytest.approx(0.97)
    assert [one.score for one in found.evidence] == sorted((one.score for one in found.evidence), reverse=True)
    assert all(document.text[one.start : one.end] == one.text for one in found.evidence)


def test_passages_that_disagree_are_a_conflict_and_wait_for_a_person():
    found = decided(TEXT, (NOTHING, (0.95, 0.01, 0.04), (0.01, 0.95, 0.04), NOTHING))
    assert found.conflict
    assert found.uncertainty >= 0.5


def test_a_quantity_that_breaks_the_limit_makes_satisfied_less_likely_but_replaces_nothing():
    requirement = Requirement("R", "Passwords must have at least 12 characters.")
    ranked = ((0.9, 0.05, 0.05), NOTHING)
    said = {
        number: decided(f"Passwords have at least {number} characters.\n\nLunch is at noon.\n", ranked, requirement=requirement)
        for number in (8, 16)
    }
    assert said[8].probabilities.satisfied < said[16].probabilities.satisfied
    assert 0 < said[8].probabilities.satisfied < 1
    broken = decided("Passwords have at least 8 characters.\n\nLunch is at noon.\n", ((0.05, 0.9, 0.05), NOTHING), requirement=requirement)
    assert broken.verdict == "violated" and broken.evidence[0].difference == "8 characters, not 12 characters"


def test_without_spans_nothing_is_addressed():
    empty = Reading((), np.empty((0, 3)), np.empty(0), (), np.empty((0, 3)))
    found = decide(REQUIREMENT, [], empty, shipped()[DEFAULT])
    assert (found.verdict, found.evidence) == ("not_addressed", ())


def test_every_shipped_combiner_asks_for_known_features_only():
    known = features(REQUIREMENT.text, reading(TEXT, [NOTHING] * 4))
    assert set(known) == {*ADDRESSED, *SATISFIED}
    for combiner in shipped().values():
        assert set(combiner.addressed.names) <= set(ADDRESSED) and set(combiner.satisfied.names) <= set(SATISFIED)
        assert combiner.about["fitted_on"]
        again = Combiner.from_dict(combiner.as_dict())
        assert again(known) == combiner(known)


def test_each_reader_has_its_own_combiner_and_strangers_the_default():
    known = shipped()
    assert all(combiner_for(one.reader) is one for one in known.values())
    assert combiner_for("f" * 64) is known[DEFAULT]


def test_a_passage_is_a_span_with_its_neighbours_of_the_same_paragraph():
    text = "Alpha is locked. Beta is open. Gamma is shut.\n\nDelta is far away.\n"
    found = spans(text)
    passage = around(text, found, 1)
    assert text[passage.start : passage.end] == "Alpha is locked. Beta is open. Gamma is shut."
    assert passage.premise.endswith("Alpha is locked. Beta is open. Gamma is shut.")
    assert text[around(text, found, 3).start :].strip() == "Delta is far away."


def test_no_passage_is_read_twice_and_only_the_best():
    text = "".join(f"Rule {number} is kept by all of us.\n\n" for number in range(12)) + "One is here. Two are here.\n"
    found = spans(text)
    said = np.full((len(found), 3), 1 / 3)
    chosen = choose_passages(text, found, range(len(found)), said, np.linspace(0, 1, len(found)))
    assert len(chosen) == READ_CLOSELY == len({(one.start, one.end) for one in chosen})
    assert text[chosen[0].start : chosen[0].end].strip() == "One is here. Two are here."
    assert choose_passages(text, found, (), np.empty((0, 3)), np.empty(0)) == []


def test_a_sentence_that_introduces_items_says_what_they_say():
    found = spans("The supplier shall:\n\n(a) encrypt all backups;\n\n(b) pay.\n\nLunch is at noon.\n")
    scores = with_leads(found, np.array([0.1, 0.9, 0.2, 0.1]))
    assert scores[0] > 0.6
    assert list(scores[1:]) == [0.9, 0.2, 0.1]


def test_of_spans_that_say_as_much_the_best_found_and_longest_come_first():
    found = spans("Notice.\n\nNotice of an incident is given to the bank without delay.\n\nLunch at noon is given to us all every day.\n")
    told = np.array([(0.4, 0.1, 0.5)] * 3)
    scores = evidence_scores(found, told, np.array([0.6, 0.6, 0.1]))
    assert scores[1] > scores[0] > scores[2]
    assert evidence_scores(found, np.array([NOTHING, NOTHING, (0.9, 0.05, 0.05)]), np.array([0.4, 0.4, 0.3])).argmax() == 2
