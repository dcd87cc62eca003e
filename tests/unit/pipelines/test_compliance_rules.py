import asyncio
from collections import Counter

import numpy as np

from pipelines.compliance.samples import POLICIES
from pipelines.evaluation.compliance_rules import BREACHES, KINDS, among_others, called_violated, load_prohibitions, read_prohibitions
from serving.entailment import described
from serving.entailment.described import Rule
from serving.roles import Roles
from tests.entailers import WordsEntailment

RULES = [
    Rule("Doors must not be propped open.", (("entailed", "Doors fall shut."), ("contradicted", "A wedge holds the door."))),
    Rule("Lamps must be checked.", (("not_mentioned", "Lamps are white."),)),
]


def test_every_sentence_is_read_among_sentences_of_other_rules_only():
    found = among_others(RULES)
    assert [(one.claim, one.label) for one in found] == [(rule.text, label) for rule in RULES for label, _ in rule.said]
    assert set(found[0].sentences) == {"Doors fall shut.", "Lamps are white."}
    assert set(found[2].sentences) == {"Lamps are white.", "Doors fall shut.", "A wedge holds the door."}


def test_every_ban_comes_with_each_kind_of_sentence_and_no_sentence_twice():
    known = load_prohibitions()
    assert Counter(kind for kind, _ in known) == dict.fromkeys(KINDS, 60)
    assert len({rule.said for _, rule in known}) == len(known)
    assert all(rule.ban for _, rule in known)


def test_nothing_is_trained_on_a_ban_that_is_measured_or_a_sentence_of_the_starter_policies():
    trained = {text for rule in described.load() for text in (rule.text, *(sentence for _, sentence in rule.said))}
    assert not trained & {text for _, rule in load_prohibitions() for text in (rule.text, rule.said[0][1])}
    policies = " ".join(path.read_text() for path in POLICIES.glob("*.md"))
    assert not [text for text in trained if text in policies]


def test_bans_are_read_among_sentences_that_say_nothing_of_them():
    kinds, found = asyncio.run(read_prohibitions(Roles(entailment=WordsEntailment())))
    assert len(found) == len(kinds) == 300
    assert {read.told.shape for read in found} == {(10, 3)}


def test_the_share_that_is_called_violated_is_told_by_kind():
    said = np.zeros((4, 3))
    said[[0, 1, 2, 3], [1, 0, 0, 1]] = 1.0
    found = called_violated(["breach_allowed", "breach_allowed", "near", "near"], said)
    assert found == {"breach_allowed": (0.5, 2), "near": (0.5, 2)}
    assert set(BREACHES) < set(KINDS)
