"""Rules, and sentences that keep, break or only touch on them, in other words or in their own: written by hand for Workbench.

The labelled sets are from contracts and abstracts, which say a thing in its own terms; a network that saw only these looks for the
words. A policy says "must not charge a fee", a procedure "the last statement comes with a deduction of ten euros"; and "a fee is never
charged" has the ban's words and keeps it. None of the rules is one of the starter policies or of the bans that are measured
(:mod:`pipelines.evaluation.compliance_cases`): what came near one of them was taken out before the training.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.entailment.corpora.breaches import lifted
from serving.entailment.corpora.examples import Example, Label
from serving.entailment.corpora.rephrasing import rephrased

SOURCE = "described"
FILE = Path(__file__).with_name("described.txt")
IN_CONTEXT = 0.5
"""Share of the sentences that are read between sentences of other rules, as a procedure's are."""
_SIGNS: dict[str, Label] = {"+": "entailed", "-": "contradicted", "=": "not_mentioned"}


@dataclass(frozen=True)
class Rule:
    """A duty or a ban, and what is said of it: label and sentence."""

    text: str
    said: tuple[tuple[Label, str], ...]

    @property
    def ban(self) -> bool:
        return " must not " in self.text


def load(file: Path = FILE) -> list[Rule]:
    """The rules of a file: blocks between blank lines, the rule, then a sentence a line after ``+`` (keeps it), ``-`` (breaks it) or
    ``=`` (same words, says nothing of it).

    Raises:
        ValueError: a line below a rule begins with none of the three, or one of them is missing.
    """
    found = []
    for block in file.read_text().strip().split("\n\n"):
        rule, *lines = block.splitlines()
        wrong = [line for line in lines if line[:1] not in _SIGNS or line[1:2] != " "]
        if wrong or {line[0] for line in lines} != set(_SIGNS):
            raise ValueError(f"{file.name}: {rule!r} has {wrong or lines}; it needs lines that begin with '+ ', '- ' and '= ', no others")
        found.append(Rule(rule, tuple((_SIGNS[line[0]], line[2:]) for line in lines)))
    return found


class Pairs:
    """Pairs of rules, in a new shape every draw."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = list(rules)
        self._sentences = [sentence for rule in rules for _, sentence in rule.said]

    def plain(self) -> list[Example]:
        """Every rule with its own sentences, as they were written."""
        return [Example(rule.text, sentence, label, SOURCE, rule.text) for rule in self._rules for label, sentence in rule.said]

    def draw(self, rng: random.Random) -> list[Example]:
        """Every rule with its own sentences, one of another rule, and itself said again; every ban once more, lifted, when its breach
        is what it allows.

        Without the rule said again, whoever uses its words would be who says nothing of it, and a network would learn just that.
        """
        if len(self._rules) < 2:
            return []
        found = []
        for rule in self._rules:
            own = {sentence for _, sentence in rule.said}
            others = rng.sample([sentence for sentence in self._sentences if sentence not in own], 3)
            said: list[tuple[Label, str]] = [*rule.said, ("not_mentioned", others[0]), ("entailed", rephrased(rule.text, rng))]
            allowed = lifted(rule.text, rng) if rule.ban else None
            if allowed:
                said.append(("contradicted", allowed))
            found += [self._pair(rule.text, sentence, label, rule, others, rng) for label, sentence in said]
            if allowed:
                found += [self._pair(allowed, sentence, _TURNED[label], rule, others, rng) for label, sentence in said]
        return found

    def _pair(self, claim: str, sentence: str, label: Label, rule: Rule, others: Sequence[str], rng: random.Random) -> Example:
        around = [sentence]
        if rng.random() < IN_CONTEXT:
            around = rng.sample(others[1:], rng.randint(1, 2))
            around.insert(rng.randint(0, len(around)), sentence)
        return Example(rephrased(claim, rng), " ".join(around), label, SOURCE, rule.text)


_TURNED: dict[Label, Label] = {"entailed": "contradicted", "contradicted": "entailed", "not_mentioned": "not_mentioned"}
