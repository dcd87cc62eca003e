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
from serving.entailment.corpora.data import Data
from serving.entailment.corpora.described import Rule
from serving.entailment.corpora.examples import Label, Part
from serving.roles import Roles

PROHIBITIONS = Path(__file__).with_name("prohibitions.jsonl")
OTHERS = 9
"""Sentences of other rules among which each is read."""
KINDS: dict[str, tuple[Label, str]] = {
    "breach_allowed": ("contradicted", "allowed"),
    "breach_done": ("contradicted", "broken as a matter of course"),
    "kept": ("entailed", "kept in other words"),
    "kept_close": ("entailed", "kept in the ban's own words"),
    "near": ("not_mentioned", "nothing said of it"),
}
"""The kinds of sentences that stand beside each ban: what they say of it, as a label and for a reader."""
VIOLATED = VERDICTS.index("violated")


async def read_rules(known: Data, roles: Roles, part: Part) -> list[ClaimRead]:
    """Every sentence of the rules of a part (:mod:`serving.entailment.corpora.described`), among sentences of the part's other rules."""
    return await read_cases(among_others(known.rules(part)), roles)


def among_others(rules: Sequence[Rule]) -> list[Case]:
    """A short document for each sentence of each rule; the same ones every time."""
    rng = random.Random(0)  # noqa: S311 - the same documents every time
    found = []
    for rule in rules:
        elsewhere = [sentence for other in rules if other is not rule for _, sentence in other.said]
        found += [Case(rule.text, rule.text, _document(sentence, elsewhere, rng), label) for label, sentence in rule.said]
    return found


def _document(sentence: str, elsewhere: Sequence[str], rng: random.Random) -> list[str]:
    document = rng.sample(elsewhere, min(OTHERS, len(elsewhere)))
    document.insert(rng.randint(0, len(document)), sentence)
    return document


def prohibitions(file: Path = PROHIBITIONS) -> list[Case]:
    """Each kind of sentence (the case's name) beside each ban, among sentences that say nothing of other bans."""
    known = [json.loads(line) for line in file.read_text().splitlines()]
    rng = random.Random(0)  # noqa: S311 - the same documents every time
    found = []
    for one in known:
        quiet = [other["near"] for other in known if other is not one]
        found += [Case(kind, one["ban"], _document(one[kind], quiet, rng), label) for kind, (label, _) in KINDS.items()]
    return found


def called_violated(reads: Sequence[ClaimRead], said: np.ndarray) -> dict[str, tuple[float, int]]:
    """By kind of sentence: the share that is called violated, and of how many.

    Args:
        reads: of :func:`prohibitions`.
        said: float ``(reads, 3)``, in the order of VERDICTS.
    """
    guess, kinds = said.argmax(1), np.array([read.name for read in reads])
    return {kind: (float((guess[kinds == kind] == VIOLATED).mean()), int((kinds == kind).sum())) for kind in KINDS if kind in kinds}
