"""Rules beside sentences as procedures have them: a third kind of text to measure on, and 60 bans to be measured on alone.

The bans (``prohibitions.jsonl``) were written by somebody who knew neither the program nor the starter set; nothing is trained,
fitted or chosen on them. Each comes with a sentence that allows what it forbids, one that tells of doing it, one that keeps it in
other words, one that keeps it in its own, and one that says nothing of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.compliance.contract import VERDICTS
from pipelines.evaluation.compliance_claims import Case, ClaimRead, read_cases
from serving.entailment.data import Data
from serving.entailment.described import Rule
from serving.entailment.examples import Label, Part, Split
from serving.roles import Roles

PROHIBITIONS = Path(__file__).with_name("prohibitions.jsonl")
OTHERS = 9
"""Sentences of other rules among which each is read."""
LABELLED: dict[str, Label] = {
    "breach_allowed": "contradicted",
    "breach_done": "contradicted",
    "kept": "entailed",
    "kept_close": "entailed",
    "near": "not_mentioned",
}
KINDS = {
    "breach_allowed": "allowed",
    "breach_done": "broken as a matter of course",
    "kept": "kept in other words",
    "kept_close": "kept in the ban's own words",
    "near": "nothing said of it",
}
BREACHES = ("breach_allowed", "breach_done")
VIOLATED = VERDICTS.index("violated")


async def read_rules(data: Path, roles: Roles, split: Split, part: Part) -> list[ClaimRead]:
    """Every sentence of the rules of a part (:mod:`serving.entailment.described`), among sentences of the part's other rules."""
    return await read_cases(among_others([*Data(data, split).rules(part)]), roles)


def among_others(rules: Sequence[Rule]) -> list[Case]:
    """A short document for each sentence of each rule; the same ones every time."""
    rng = random.Random(0)  # noqa: S311 - the same documents every time
    found = []
    for rule in rules:
        elsewhere = [sentence for other in rules if other is not rule for _, sentence in other.said]
        for label, sentence in rule.said:
            document = rng.sample(elsewhere, min(OTHERS, len(elsewhere)))
            document.insert(rng.randint(0, len(document)), sentence)
            found.append(Case(rule.text, rule.text, document, label))
    return found


def load_prohibitions(file: Path = PROHIBITIONS) -> list[tuple[str, Rule]]:
    """Each kind of sentence with the ban that it is about, ban by ban."""
    said = [json.loads(line) for line in file.read_text().splitlines()]
    return [(kind, Rule(one["ban"], ((label, one[kind]),))) for one in said for kind, label in LABELLED.items()]


async def read_prohibitions(roles: Roles) -> tuple[list[str], list[ClaimRead]]:
    """The kinds, and the bans as an analysis reads them: each sentence among ones that say nothing of other bans."""
    known = load_prohibitions()
    quiet = [rule for kind, rule in known if kind == "near"]
    rng = random.Random(0)  # noqa: S311 - the same documents every time
    cases = []
    for _, rule in known:
        ((label, sentence),) = rule.said
        document = [other.said[0][1] for other in rng.sample([other for other in quiet if other.text != rule.text], OTHERS)]
        document.insert(rng.randint(0, OTHERS), sentence)
        cases.append(Case(rule.text, rule.text, document, label))
    return [kind for kind, _ in known], await read_cases(cases, roles)


def called_violated(kinds: Sequence[str], said: np.ndarray) -> dict[str, tuple[float, int]]:
    """By kind: the share that is called violated, and of how many.

    Args:
        said: float ``(bans, 3)``, in the order of VERDICTS.
    """
    guess, names = said.argmax(1), np.array(kinds)
    return {kind: (float((guess[names == kind] == VIOLATED).mean()), int((names == kind).sum())) for kind in KINDS if kind in kinds}
