"""All training pairs, by part: what one round of training draws, and what calibrates and tests the model.

SciFact, AttributionBench and ContractNLI in the shares that their sizes and difficulty ask for, rules in other words
written by hand, and mechanical pairs made from the text of the training parts. No question, contract, claim or rule of a
held part is in any of it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from serving.entailment.corpora import attributionbench, contractnli, described, mechanical, scifact, written
from serving.entailment.corpora.examples import Example, Part, Split
from serving.entailment.corpora.rephrasing import rephrased


@dataclass(frozen=True)
class Mix:
    """How much of each set a round of training has.

    Attributes:
        attribution: how often every pair of AttributionBench comes; it is small and hard.
        claims: share of SciFact's pairs.
        contracts: share of ContractNLI's pairs, which are many and repeat themselves.
        evidence, others: most spans a contract and requirement that decide it, and that do not.
        mechanical: pairs made from bare text.
        described: how often the pairs of rules in other words come.
        written: how often the pairs written for requirements come.
    """

    attribution: float
    claims: float
    contracts: float
    evidence: int
    others: int
    mechanical: int
    described: float
    written: float = 0.0


MIXES = {
    "citations": Mix(attribution=1.5, claims=1.0, contracts=0.8, evidence=2, others=2, mechanical=1500, described=0.1),
    "rules": Mix(attribution=1.5, claims=0.3, contracts=0.2, evidence=2, others=2, mechanical=300, described=1.0),
    "compliance": Mix(attribution=3.0, claims=0.6, contracts=1.0, evidence=4, others=5, mechanical=2000, described=0.2),
    "reader": Mix(attribution=1.0, claims=0.3, contracts=0.3, evidence=2, others=2, mechanical=0, described=0.3, written=2.0),
}
"""The first teaches the checking of citations, the second who keeps a rule and who breaks it, the last goes on to verdicts on
requirements. Citations come often in the last two for a teacher's word (``train --teacher``) on them, which is not learnt by heart:
with labels instead, or seldom, macro-F1 on AttributionBench's held part fell from .743 to between .666 and .695; the
mean of two trainings with it has .723."""
ALTERED = 0.12
"""Share of the decided pairs whose claim is turned round."""
OTHER_WORDS = 0.5
"""Share of the labelled pairs whose claim, and whose passage, are said in other words: the sets are small and come many times."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“(])|\n+")


@dataclass
class Data:
    """What is there of the three data sets; the parts are cut by ``split``.

    Attributes:
        folder: laid out as ``../shared/data/rag``; a set whose folder is missing is left out.
        without: requirements of ContractNLI that are not trained on.
    """

    folder: Path
    split: Split = field(default_factory=Split)
    without: Collection[str] = ()

    def __post_init__(self) -> None:
        there = {name: (self.folder / name).is_dir() for name in (attributionbench.SOURCE, scifact.SOURCE, contractnli.SOURCE)}
        self.attribution = attributionbench.load(self.folder) if there[attributionbench.SOURCE] else []
        self.scifact = scifact.load(self.folder) if there[scifact.SOURCE] else scifact.SciFact({}, ())
        self.contractnli = contractnli.load(self.folder) if there[contractnli.SOURCE] else contractnli.ContractNli((), {})

    def cited(self, part: Part) -> list[Example]:
        """AttributionBench's pairs of a part."""
        return [pair for pair in self.attribution if self.split.part(attributionbench.SOURCE, pair.group) == part]

    def rules(self, part: Part) -> list[described.Rule]:
        """Rules in other words, of a part."""
        return [rule for rule in described.load() if self.split.part(described.SOURCE, rule.text) == part]

    def written(self, part: Part) -> list[written.Written]:
        """Pairs written for requirements, of a part; held back by domain."""
        return [pair for pair in written.load() if self.split.part(written.SOURCE, pair.domain) == part]

    def claims(self, part: Part) -> list[scifact.Claim]:
        """SciFact's claims of a part."""
        return [claim for claim in self.scifact.claims if self.split.part(scifact.SOURCE, claim.group) == part]

    def contracts(self, part: Part) -> list[contractnli.Contract]:
        """ContractNLI's contracts of a part; the shortened sample is for training only."""
        return [
            contract
            for contract in self.contractnli.contracts
            if ("train" if contract.shortened else self.split.part(contractnli.SOURCE, contract.name)) == part
        ]


class Rounds:
    """Draws rounds of training pairs: each set's share, mixed, with other negatives and alterations every time."""

    def __init__(self, data: Data, *, part: Part = "train", mix: Mix = MIXES["citations"]) -> None:
        self._mix = mix
        self._cited = data.cited(part)
        self._claims = scifact.Pairs(data.scifact, data.claims(part))
        self._contracts = contractnli.Pairs(
            data.contractnli, data.contracts(part), without=data.without, evidence=mix.evidence, others=mix.others
        )
        self._described = described.Pairs(data.rules(part))
        self._written = written.Pairs(data.written(part))
        self._texts = mechanical.Texts(_texts(data, part), mix.mechanical)

    def draw(self, rng: random.Random) -> list[Example]:
        """One round, in random order; with the development data 13,000 pairs of 1.1 million tokens (compliance: 36,000 of 2.3)."""
        pairs = [*_share(self._cited, self._mix.attribution, rng), *_share(self._claims.draw(rng), self._mix.claims, rng)]
        pairs += _share(self._contracts.draw(rng), self._mix.contracts, rng)
        pairs = [(mechanical.altered(pair, rng) if rng.random() < ALTERED else None) or pair for pair in pairs]
        pairs = [_in_other_words(pair, rng) for pair in pairs]
        pairs += _share(self._described.draw(rng), self._mix.described, rng)
        pairs += _share(self._written.draw(rng), self._mix.written, rng)
        pairs += self._texts.draw(rng)
        rng.shuffle(pairs)
        return pairs

    def plain(self, rng: random.Random) -> list[Example]:
        """One draw of the labelled sets as they are: nothing altered, nothing made, every pair of AttributionBench once."""
        return [*self._cited, *self._claims.draw(rng), *self._contracts.draw(rng)]


def _in_other_words(pair: Example, rng: random.Random) -> Example:
    claim = rephrased(pair.claim, rng) if rng.random() < OTHER_WORDS else pair.claim
    return replace(pair, claim=claim, passage=rephrased(pair.passage, rng) if rng.random() < OTHER_WORDS else pair.passage)


def _share(pairs: list[Example], share: float, rng: random.Random) -> list[Example]:
    """Every pair as often as the share's whole part says, and some once more."""
    return [*(pairs * int(share)), *rng.sample(pairs, int(len(pairs) * (share % 1)))]


def _texts(data: Data, part: Part) -> list[list[tuple[str, Sequence[str]]]]:
    """Texts of the part by set: cited passages, contracts, and the abstracts that no other part's claim cites."""
    ours = {claim.id for claim in data.claims(part)}
    others = {name for claim in data.scifact.claims if claim.id not in ours for name in (*claim.cited, *claim.evidence)}
    cited = {pair.passage: pair.group for pair in data.cited(part)}
    return [
        [(group, _SENTENCE.split(text[:20_000])) for text, group in cited.items()],
        [(contract.name, contract.spans) for contract in data.contracts(part)],
        [(name, abstract.sentences) for name, abstract in data.scifact.abstracts.items() if name not in others],
    ]
