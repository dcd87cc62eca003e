"""Rules in other words: what is written is read as written, and what is drawn from it says what its label says."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from serving.entailment.corpora import described
from serving.entailment.corpora.described import Pairs, Rule, load
from serving.entailment.evaluation.evaluate import other_words
from serving.entailment.overlap import stems

BAN = Rule(
    "Dogs must not bark.", (("entailed", "The hound is quiet."), ("contradicted", "The hound is loud."), ("not_mentioned", "Dogs eat."))
)
DUTY = Rule("Cats must sleep.", (("entailed", "Tom dozes."), ("contradicted", "Tom is awake."), ("not_mentioned", "Cats purr.")))
THIRD = Rule(
    "Birds must not sing.", (("entailed", "No tweet is heard."), ("contradicted", "The wren tweets."), ("not_mentioned", "Birds fly."))
)


def test_every_rule_written_has_a_sentence_of_each_kind_and_none_comes_twice() -> None:
    rules = load()
    assert len(rules) > 200 and len({rule.text for rule in rules}) == len(rules)
    assert all({label for label, _ in rule.said} == {"entailed", "contradicted", "not_mentioned"} for rule in rules)


def test_sentences_that_share_many_of_a_rules_words_and_few_are_found_among_those_that_keep_it_and_break_it_alike() -> None:
    def shares(label: str) -> list[float]:
        told = [(stems(rule.text), stems(sentence)) for rule in load() for kind, sentence in rule.said if kind == label]
        return [len(rule & sentence) / len(rule) for rule, sentence in told]

    kept, broken = shares("entailed"), shares("contradicted")
    assert abs(mean(kept) - mean(broken)) < 0.04
    more = np.sign(np.subtract.outer(kept, broken))
    assert 0.4 < (more.mean() + 1) / 2 < 0.6  # area under the curve of words in common, as a sign of keeping
    assert max(mean(kept), mean(broken)) < mean(shares("not_mentioned"))  # sharing words alone does not make a sentence say something
    for found in (kept, broken):
        assert mean(share < 0.2 for share in found) > 0.5
        assert mean(share > 0.6 for share in found) > 0.1


def test_a_line_without_a_sign_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_text("Dogs must not bark.\n+ The hound is quiet.\nThe hound is loud.\n")
    with pytest.raises(ValueError, match="The hound is loud"):
        load(file)


def test_a_rule_that_nothing_breaks_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_text("Dogs must not bark.\n+ The hound is quiet.\n= Dogs eat.\n")
    with pytest.raises(ValueError, match="Dogs must not bark"):
        load(file)


def test_a_ban_that_is_lifted_allows_what_broke_it_and_a_duty_is_not_lifted() -> None:
    drawn = [pair for n in range(20) for pair in Pairs([BAN, DUTY, THIRD]).draw(random.Random(n))]
    lifted = [pair for pair in drawn if pair.group == BAN.text and pair.claim in ("Dogs may bark.", "Dogs can bark.")]
    assert {pair.label for pair in lifted if "loud" in pair.passage} == {"entailed"}
    assert {pair.label for pair in lifted if "quiet" in pair.passage} == {"contradicted"}
    assert {pair.label for pair in drawn if pair.group == DUTY.text and "Tom dozes" in pair.passage} == {"entailed"}


def test_a_rule_said_again_keeps_it_and_said_the_other_way_round_breaks_it() -> None:
    drawn = [pair for n in range(20) for pair in Pairs([BAN, DUTY, THIRD]).draw(random.Random(n)) if pair.claim == BAN.text]
    said_again = [pair for pair in drawn if "bark." in pair.passage]
    lifted = {pair.label for pair in said_again if "Dogs may bark." in pair.passage or "Dogs can bark." in pair.passage}
    assert lifted == {"contradicted"}
    assert {pair.label for pair in said_again if "must not" in pair.passage or "shall not" in pair.passage} == {"entailed"}


def test_what_stands_around_a_sentence_says_nothing_of_its_rule() -> None:
    for n in range(20):
        for pair in Pairs([BAN, DUTY, THIRD]).draw(random.Random(n)):
            rule = next(one for one in (BAN, DUTY, THIRD) if one.text == pair.group)
            own = [label for label, sentence in rule.said if sentence in pair.passage]
            again = rule.text.split()[-1] in pair.passage  # "bark.": the rule itself, kept or lifted
            assert len(own) + again <= 1, pair
            assert (pair.label == "not_mentioned") == (not again and own in ([], ["not_mentioned"])), pair


def test_one_rule_alone_gives_nothing_since_there_is_no_other_to_stand_beside_it() -> None:
    assert Pairs([BAN]).draw(random.Random(0)) == [] and len(Pairs([BAN]).plain()) == 3


def test_the_measure_is_full_for_who_knows_and_a_third_for_who_always_says_the_same() -> None:
    import numpy as np

    pairs = Pairs([BAN, DUTY, THIRD]).plain()
    truth = {pair.passage: ("entailed", "contradicted", "not_mentioned").index(pair.label) for pair in pairs}
    knows = other_words(pairs, lambda asked: np.eye(3)[[truth[passage] for _, passage in asked]])
    same = other_words(pairs, lambda asked: np.tile([0.2, 0.2, 0.6], (len(asked), 1)))
    assert [row.value for row in knows] == [1.0, 1.0] and same[0].value == pytest.approx(1 / 3) and same[1].value == 0.0
    assert pairs[0].source == described.SOURCE
