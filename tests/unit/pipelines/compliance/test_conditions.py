"""A ban with a condition: what says the same the other way about, and what drops the condition."""

from __future__ import annotations

import pytest

from pipelines.compliance.conditions import forbidden_act
from pipelines.compliance.differences import difference, repeats

KEYS = "Keys of the archive must not be handed to visitors without the written consent of the archivist."
EXPORT = "Samples must not be sent abroad unless a customs form has been signed by the laboratory."
DROPPED = "allowed without the condition"


@pytest.mark.parametrize(
    ("requirement", "span"),
    [
        (KEYS, "Keys of the archive are handed to visitors only with the written consent of the archivist."),
        (KEYS, "No keys of the archive are handed to visitors without written consent of the archivist."),
        (EXPORT, "Samples are sent abroad only after a customs form has been signed by the laboratory."),
        (EXPORT, "If samples have to be sent abroad, the laboratory has signed a customs form before they leave."),
    ],
)
def test_the_same_condition_the_other_way_about_repeats_the_requirement(requirement: str, span: str) -> None:
    assert repeats(requirement, span)
    assert difference(requirement, span) == ""


@pytest.mark.parametrize(
    ("requirement", "span"),
    [
        (KEYS, "Keys of the archive may be handed to visitors at the front desk."),
        (KEYS, "Keys of the archive may be handed to visitors without the consent of the archivist."),
        (KEYS, "Guards are free to hand keys of the archive to handed-over visitors, with or without consent of the archivist."),
        (EXPORT, "Samples may be sent abroad even if no customs form has been signed by the laboratory."),
    ],
)
def test_what_is_allowed_without_the_condition_is_told(requirement: str, span: str) -> None:
    assert difference(requirement, span) == DROPPED
    assert not repeats(requirement, span)


@pytest.mark.parametrize(
    "span",
    [
        "Keys of the archive may be handed to visitors with the consent of the archivist.",
        "Keys of the archive may be handed to visitors who have signed the book, if the archivist agrees.",
        "Keys of the archive may not be handed to visitors.",
        "Visitors may leave coats at the front desk.",
    ],
)
def test_a_condition_of_any_kind_is_left_to_the_model(span: str) -> None:
    assert difference(KEYS, span) != DROPPED


@pytest.mark.parametrize(
    "span",
    [
        "Samples are sent abroad before a customs form has been signed by the laboratory.",
        "Samples are sent abroad unless a customs form has been signed by the laboratory.",
        "Samples are sent abroad until a customs form has been signed by the laboratory.",
    ],
)
def test_the_condition_turned_round_does_not_repeat_the_requirement(span: str) -> None:
    assert not repeats(EXPORT, span)


def test_a_duty_and_a_plain_ban_have_no_condition() -> None:
    assert forbidden_act("Keys must be handed back before the evening.") is None
    assert forbidden_act("Keys must not be lent.") is None
    assert forbidden_act("Keys must not be lent unless a form is signed.") == (" be lent ", " a form is signed.")
