import numpy as np
import pytest

from knowledge.requirements.spans import Span
from pipelines.compliance.agreements import (
    DENIED_ACT,
    KEPT_NUMBERS,
    PERMITTED,
    TURNED_TWICE,
    allows_nothing_else,
    denies_the_act,
    keeps_its_numbers,
    odds_of_keeping,
    permits_something,
)
from pipelines.compliance.deciding import told_apart

ALARMS = "Fire alarms must be tested at least every six months by the caretaker."
COPIES = "Exam papers must not be copied by teachers."


@pytest.mark.parametrize(
    ("span", "kept"),
    [
        ("A test of all fire alarms takes place every three months.", True),
        ("A test of all fire alarms takes place every six months.", True),
        ("A test of all fire alarms takes place every nine months.", False),
        ("A test of all fire alarms takes place now and then.", False),
        ("Windows are cleaned every six months.", False),
    ],
)
def test_numbers_are_kept_by_a_span_on_the_same_thing(span: str, kept: bool) -> None:
    assert keeps_its_numbers(ALARMS, span) is kept
    assert odds_of_keeping(ALARMS, span) == (KEPT_NUMBERS if kept else 1.0)


@pytest.mark.parametrize(
    ("span", "denied"),
    [
        ("Exam papers stay in the safe until the morning, and are never copied.", False),  # "until" may be a condition
        ("Exam papers stay in the safe, and are never copied.", True),
        ("No exam papers are copied, not even for colleagues.", False),
        ("No exam papers are copied.", True),
        ("Exam papers are copied for colleagues.", False),
        ("Exam papers are copied; nobody signs for it.", False),
        ("Exam papers are not copied without the head's consent.", False),
        ("Nothing here prevents that exam papers are copied.", False),
        ("Maps are not copied.", False),
    ],
)
def test_a_forbidden_act_is_denied_by_its_own_verb_and_without_a_condition(span: str, denied: bool) -> None:
    assert denies_the_act(COPIES, span) is denied
    assert odds_of_keeping(COPIES, span) == (DENIED_ACT if denied else 1.0)


def test_a_duty_has_no_forbidden_act() -> None:
    assert not denies_the_act("Exam papers must be copied by teachers.", "No exam papers are copied.")


@pytest.mark.parametrize(
    ("span", "nothing_else"),
    [
        ("No safe leaves the school without a signature of the caretaker.", True),
        ("A safe does not leave the school until the caretaker has signed for it.", True),
        ("There is no safe from the school that the caretaker has not signed for.", True),
        ("Without the caretaker's signature no safe leaves the school.", True),
        ("Safes leave the school without a signature of the caretaker.", False),
        ("The caretaker need not sign for a safe from the school until Monday.", False),
        ("The caretaker does not sign for a safe; it leaves the school without him.", False),
        ("No lunch is served without a spoon.", False),
    ],
)
def test_what_goes_no_other_way_is_kept(span: str, nothing_else: bool) -> None:
    safes = "The caretaker of the school must sign for every safe that leaves."
    assert allows_nothing_else(safes, span) is nothing_else
    assert odds_of_keeping(safes, span) == (TURNED_TWICE if nothing_else else 1.0)


@pytest.mark.parametrize(
    ("span", "permits"),
    [
        ("Teachers may take exam papers to the machine in the hall.", True),
        ("A colleague who asks for exam papers is free to keep them.", True),
        ("Teachers may take exam papers home only with the head's consent.", False),
        ("Teachers may take exam papers home unless the head objects.", False),
        ("Exam papers may be read, and are not taken home.", False),
        ("Exam papers are taken home.", False),
        ("Parents may use the car park.", False),
    ],
)
def test_what_is_allowed_on_the_matter_of_a_ban_speaks_for_a_breach(span: str, permits: bool) -> None:
    assert permits_something(COPIES, span) is permits
    assert odds_of_keeping(COPIES, span) == (1 / PERMITTED if permits else 1.0)


def test_what_is_allowed_on_the_matter_of_a_duty_says_nothing_by_itself() -> None:
    assert not permits_something("Exam papers must be copied by teachers.", "Teachers may take exam papers to the machine.")


def test_a_sign_is_weighed_with_what_the_model_says_and_leaves_alone_whether_anything_is_said() -> None:
    spans = [
        Span(None, 0, len(text), text) for text in ("A test of all fire alarms takes place every three months.", "The alarms are red.")
    ]
    said = np.array([(0.2, 0.6, 0.2), (0.2, 0.6, 0.2)])
    found, changes = told_apart(ALARMS, spans, said)
    assert changes == ["", ""]
    assert found[0] == pytest.approx((0.8 * 0.2 * KEPT_NUMBERS / (0.2 * KEPT_NUMBERS + 0.6), 0.8 * 0.6 / (0.2 * KEPT_NUMBERS + 0.6), 0.2))
    assert found[1] == pytest.approx(said[1])
    certain, _ = told_apart(ALARMS, spans[:1], np.array([(0.0, 1.0, 0.0)]))
    assert certain[0] == pytest.approx((0, 1, 0))  # no sign outweighs a model that is certain
