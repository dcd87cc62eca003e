import asyncio
import json
from collections import Counter

import numpy as np

from pipelines.compliance.samples import POLICIES
from pipelines.evaluation.compliance_claims import ClaimRead, read_cases
from pipelines.evaluation.compliance_rules import KINDS, PROHIBITIONS, among_others, called_violated, prohibitions
from serving.entailment.corpora import described
from serving.entailment.corpora.described import Rule
from serving.roles import Roles
from tests.embedders import WordsEmbedding
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


def written() -> list[dict[str, str]]:
    return [json.loads(line) for line in PROHIBITIONS.read_text().splitlines()]


def test_every_ban_comes_with_each_kind_of_sentence_and_no_sentence_twice():
    found = written()
    assert [set(one) for one in found] == [{"ban", *KINDS}] * 60
    assert len({text for one in found for text in one.values()}) == 60 * (1 + len(KINDS))
    assert all(" must not " in one["ban"] for one in found)


def test_nothing_is_trained_on_a_ban_that_is_measured_or_a_sentence_of_the_starter_policies():
    trained = {text for rule in described.load() for text in (rule.text, *(sentence for _, sentence in rule.said))}
    assert not trained & {text for one in written() for text in one.values()}
    policies = " ".join(path.read_text() for path in POLICIES.glob("*.md"))
    assert not [text for text in trained if text in policies]


def test_bans_are_read_among_sentences_that_say_nothing_of_them():
    bans, cases = written(), prohibitions()
    assert Counter(one.name for one in cases) == dict.fromkeys(KINDS, 60)
    for row, case in enumerate(cases):
        own, elsewhere = bans[row // len(KINDS)], {one["near"] for one in bans}
        assert case.claim == own["ban"]
        assert set(case.sentences) - {own[case.name]} <= elsewhere - {own["near"]}
    found = asyncio.run(read_cases(cases[:10], Roles(embedding=WordsEmbedding(), entailment=WordsEntailment())))
    assert {read.told.shape for read in found} == {(10, 3)}
    assert [read.name for read in found] == [case.name for case in cases[:10]]


def test_the_share_that_is_called_violated_is_told_by_kind():
    reads = [ClaimRead(kind, np.zeros((1, 3)), ("",), 0) for kind in ("breach_allowed", "breach_allowed", "near", "near", "near")]
    said = np.zeros((5, 3))
    said[range(5), [1, 0, 0, 1, 1]] = 1.0
    assert called_violated(reads, said) == {"breach_allowed": (0.5, 2), "near": (2 / 3, 3)}
