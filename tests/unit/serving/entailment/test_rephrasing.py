"""A sentence in other words means the same: periods keep their length, negations stay, and what cannot be said otherwise stays."""

from __future__ import annotations

import random

import pytest

from serving.entailment.corpora.mechanical import Texts
from serving.entailment.corpora.rephrasing import rephrased, said_with_only


def ways(text: str) -> set[str]:
    return {rephrased(text, random.Random(seed), share=1.0) for seed in range(40)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kept for 24 months.", {"Kept for two years.", "Held for two years.", "Retained for two years."}),
        ("Told in 72 hours.", {"Told in three days."}),
        ("Told in 5 business days.", {"Told in five business days."}),
        ("Told in two weeks.", {"Told in 14 days."}),
        ("Told in 30 days.", {"Told in 30 days."}),
        ("Nothing to change here.", {"Nothing to change here."}),
    ],
)
def test_periods_keep_their_length(text: str, expected: set[str]) -> None:
    found = ways(text)
    assert found <= expected and found


def test_a_prohibition_stays_one_and_a_duty_stays_one() -> None:
    for said in ways("Staff must not disclose it."):
        assert " not " in said or " never " in said
    for said in ways("Staff must disclose it."):
        assert " not " not in said and " never " not in said


@pytest.mark.parametrize(
    ("text", "verbs", "end"),
    [
        ("Staff must not copy it without leave.", {"may", "can"}, " copy it only with leave."),
        ("Staff may copy it only if the client agrees.", {"must not", "may not", "shall not"}, " copy it unless the client agrees."),
    ],
)
def test_a_condition_is_said_the_other_way_about(text: str, verbs: set[str], end: str) -> None:
    """Of a ban with a condition and a leave with the same one, each can stand for the other."""
    found = {said_with_only(text, random.Random(seed)) for seed in range(40)}
    assert found == {f"Staff {verb}{end}" for verb in verbs}
    assert said_with_only("It may not be a waiver, without prejudice to law.", random.Random(0)).endswith("without prejudice to law.")


def test_the_first_letter_keeps_its_case() -> None:
    assert all(said[0].isupper() for said in ways("Where it rains, stay."))


def test_a_negation_tells_nothing_by_itself() -> None:
    """As many entailed as contradicted pairs, about, have a claim that was turned round."""
    sentences = [
        f"The supplier shall {verb} the goods of client {n} within {n + 3} days."
        for n, verb in enumerate(["keep", "send", "sell", "count", "show", "store"])
    ]
    drawn = Texts([[("text", sentences)]], 3000).draw(random.Random(0))
    negated = {label: sum(" not " in f" {pair.claim} " for pair in drawn if pair.label == label) for label in ("entailed", "contradicted")}
    assert 0.5 < negated["entailed"] / negated["contradicted"] < 2
    assert {pair.label for pair in drawn} == {"entailed", "contradicted", "not_mentioned"}


def test_every_set_of_texts_gives_as_many_pairs() -> None:
    few = [("few", [f"This short text says {n} and nothing else." for n in range(5)])]
    many = [(f"many {k}", [f"Text number {k} says {n} and nothing else." for n in range(5)]) for k in range(50)]
    drawn = Texts([few, many, []], 600).draw(random.Random(0))
    assert 0.3 < sum(pair.group == "few" for pair in drawn) / 600 < 0.7
