"""The parts never meet, the labels are those of the sets, and what is made mechanically says what it is made to say."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from infra.errors import InvalidInput
from serving.entailment.corpora import contractnli, scifact
from serving.entailment.corpora.breaches import other_number, reversed_sentence
from serving.entailment.corpora.data import MIXES, Data, Rounds
from serving.entailment.corpora.examples import TUNE, Example, Split, data_folder
from serving.entailment.corpora.mechanical import altered


@pytest.mark.parametrize("fold", range(3))
def test_every_group_is_in_one_part_and_every_part_is_about_as_large_as_it_should_be(fold: int) -> None:
    split = Split(fold, 3)
    parts = [split.part("set", f"group {n}") for n in range(3000)]
    assert abs(parts.count("held") / 3000 - 1 / 3) < 0.04 and abs(parts.count("tune") / 3000 - TUNE) < 0.03
    assert parts == [split.part("set", f"group {n}") for n in range(3000)]


def test_the_folds_hold_every_group_back_once() -> None:
    for n in range(200):
        assert [Split(fold, 3).part("set", str(n)) for fold in range(3)].count("held") == 1


def test_no_question_claim_or_contract_is_in_two_parts(small_data: Path) -> None:
    data = Data(small_data)
    for groups in (
        lambda part: {pair.group for pair in data.cited(part)},
        lambda part: {document for claim in data.claims(part) for document in claim.cited},
        lambda part: {contract.name for contract in data.contracts(part)},
    ):
        train, tune, held = (groups(part) for part in ("train", "tune", "held"))
        assert train and held and not train & held and not train & tune and not tune & held


def test_what_is_drawn_for_training_has_nothing_of_the_held_parts(small_data: Path) -> None:
    data = Data(small_data)
    drawn = Rounds(data, mix=replace(MIXES["citations"], mechanical=200)).draw(random.Random(0))
    held = {p.claim for p in data.cited("held")} | {c.text for c in data.claims("held")} | {p.passage for p in data.cited("held")}
    assert not held & {text for pair in drawn for text in (pair.claim, pair.passage)}
    names = {contract.name for contract in data.contracts("held")}
    assert not names & {pair.group for pair in drawn}
    assert {pair.label for pair in drawn} == {"entailed", "contradicted", "not_mentioned"}
    assert {pair.source.split("/")[0] for pair in drawn} == {"attributionbench", "scifact", "contractnli", "described", "mechanical"}


def test_the_real_sets_are_cut_as_documented(data: Path) -> None:
    found = Data(data_folder(data))
    assert len(found.attribution) == 1198 and len(found.scifact.claims) == 807 and len(found.contractnli.contracts) == 111
    assert abs(len(found.cited("held")) / 1198 - 0.2) < 0.05
    train, held = ({p.group for p in found.cited(part)} for part in ("train", "held"))
    assert not train & held


def test_claims_that_share_an_abstract_stay_together(small_data: Path) -> None:
    claims = {claim.id: claim.group for claim in scifact.load(small_data).claims}
    assert claims["6"] == claims["7"] == claims["8"] == claims["joins"] and claims["10"] != claims["6"]


def test_a_list_item_is_read_below_its_sentence_and_a_paragraph_below_its_heading(small_data: Path) -> None:
    contract = contractnli.load(small_data).contracts[0]
    assert contract.premise(3) == "The receiving party shall not:\n(b) sell what it has learnt to any other person at all;"
    assert contract.premise(1) == "2. Duties of party 0\nThe receiving party shall not:"


def test_requirements_can_be_left_out(small_data: Path) -> None:
    drawn = Rounds(Data(small_data, without=("nda-1",)), mix=replace(MIXES["compliance"], mechanical=0)).draw(random.Random(0))
    assert not [pair for pair in drawn if pair.source == "contractnli" and "copy" in pair.claim]


@pytest.mark.parametrize(
    ("text", "among"),
    [
        ("The processor should not disclose the data.", {"The processor should disclose the data."}),
        ("Supplier cannot appeal.", {"Supplier can appeal."}),
        ("Records should be kept.", {"Records should not be kept."}),
        ("It increased survival", {"It decreased survival"}),
        ("The dog barks", {None}),
    ],
)
def test_a_sentence_is_turned_round(text: str, among: set[str | None]) -> None:
    assert {reversed_sentence(text, random.Random(seed)) for seed in range(10)} <= among


@pytest.mark.parametrize(
    ("text", "some"),
    [
        ("Records must be kept.", {"Records must not be kept.", "Records need not be kept.", "Records is not required to be kept."}),
        ("Staff must not copy it.", {"Staff must copy it.", "Staff may copy it.", "Staff is free to copy it."}),
        ("It will not act without consent.", {"It may act even without consent.", "It can act with or without consent."}),
    ],
)
def test_a_duty_is_left_open_and_a_ban_lifted(text: str, some: set[str]) -> None:
    found = {reversed_sentence(text, random.Random(seed)) for seed in range(80)}
    assert some < found
    assert text not in found


def test_a_number_is_changed_and_a_citation_is_not() -> None:
    for seed in range(30):
        changed = other_number("Notice [14] within 30 days, or thirty.", random.Random(seed))
        assert changed and "[14]" in changed and changed != "Notice [14] within 30 days, or thirty."
    assert other_number("No figure at all.", random.Random(0)) is None


def test_a_claim_turned_round_takes_the_other_label() -> None:
    for label, turned in (("entailed", "contradicted"), ("contradicted", "entailed")):
        pair = Example("It increased survival.", "Survival went up.", label, "s", "g")
        found = altered(pair, random.Random(1))
        assert found and found.label == turned and found.claim == "It decreased survival."
    assert altered(Example("It is 5.", "No.", "not_mentioned", "s", "g"), random.Random(0)) is None


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--data"):
        data_folder(tmp_path)
