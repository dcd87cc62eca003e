"""SciFact (Wadden et al., 2020; claims CC BY 4.0, abstracts ODC-By 1.0): claims, and the sentences that support or refute them.

Claims that share an abstract are one group (pairs of a claim and its negation are common), named by their first abstract.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serving.entailment.corpora.examples import Example, Label
from serving.entailment.overlap import Overlap

SOURCE = "scifact"
LABELS: dict[str, Label] = {"SUPPORT": "entailed", "CONTRADICT": "contradicted"}


@dataclass(frozen=True)
class Abstract:
    """Title and sentences."""

    title: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.title}\n" + " ".join(self.sentences)


@dataclass(frozen=True)
class Claim:
    """evidence: abstract's id to its label and its rationale sentences (numbers from 0), one tuple a rationale."""

    id: str
    text: str
    cited: tuple[str, ...]
    evidence: dict[str, tuple[Label, tuple[tuple[int, ...], ...]]]
    group: str


@dataclass(frozen=True)
class SciFact:
    """The claims of the development half, and the abstracts they are checked against."""

    abstracts: dict[str, Abstract]
    claims: tuple[Claim, ...]


def load(folder: Path) -> SciFact:
    """Read ``folder/scifact``."""
    with gzip.open(folder / SOURCE / "corpus.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    abstracts = {str(row["id"]): Abstract(row["title"], tuple(s.strip() for s in row["sentences"])) for row in rows}
    claims = [json.loads(line) for line in (folder / SOURCE / "claims.jsonl").read_text().splitlines()]
    groups = _groups([[*c["cited"], *(e["doc"] for e in c["evidence"])] for c in claims])
    return SciFact(abstracts, tuple(_claim(row, group) for row, group in zip(claims, groups, strict=True)))


def _claim(row: dict, group: str) -> Claim:
    evidence: dict[str, tuple[Label, tuple[tuple[int, ...], ...]]] = {}
    for one in row["evidence"]:
        label, rationales = evidence.get(one["doc"], (LABELS[one["label"]], ()))
        evidence[one["doc"]] = (label, (*rationales, tuple(one["sentences"])))
    return Claim(row["id"], row["claim"], tuple(row["cited"]), evidence, group)


def _groups(documents: list[list[str]]) -> list[str]:
    """A name for each claim's group: claims joined by a document, directly or through others, have the same."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for names in documents:
        roots = sorted({root(name) for name in names})
        for other in roots[1:]:
            parent[other] = roots[0]
    return [root(names[0]) for names in documents]


class Pairs:
    """Training pairs of some claims; each draw takes other negatives."""

    def __init__(self, data: SciFact, claims: list[Claim]) -> None:
        self._data, self._claims = data, claims
        names = list(data.abstracts)
        index = Overlap([abstract.text for abstract in data.abstracts.values()])
        # Abstracts about the same matter that no one cited: the negatives a search would bring.
        self._near = {c.id: [names[row] for row in index.nearest(c.text, 12) if names[row] not in (*c.cited, *c.evidence)] for c in claims}

    def draw(self, rng: random.Random) -> list[Example]:
        """Every rationale, and per claim about four other sentences of the abstract, two of near abstracts, and some whole abstracts."""
        return [pair for claim in self._claims for pair in self._of(claim, rng)]

    def _of(self, claim: Claim, rng: random.Random) -> Iterator[Example]:
        for document, (label, rationales) in claim.evidence.items():
            abstract = self._data.abstracts[document]
            told = {n for rationale in rationales for n in rationale}
            for n in sorted(told):
                yield self._pair(claim, self._sentence(abstract, n, rng), label)
            for rationale in rationales:
                if len(rationale) > 1:
                    yield self._pair(claim, " ".join(abstract.sentences[n] for n in rationale), label)
            others = [n for n in range(len(abstract.sentences)) if n not in told]
            for n in rng.sample(others, min(4, len(others))):
                yield self._pair(claim, self._sentence(abstract, n, rng), "not_mentioned")
            if rng.random() < 0.3:
                yield self._pair(claim, abstract.text, label)
        for document in claim.cited:
            if document not in claim.evidence and (abstract := self._data.abstracts.get(document)):
                for n in rng.sample(range(len(abstract.sentences)), min(2, len(abstract.sentences))):
                    yield self._pair(claim, self._sentence(abstract, n, rng), "not_mentioned")
                if rng.random() < 0.3:
                    yield self._pair(claim, abstract.text, "not_mentioned")
        for document in rng.sample(self._near[claim.id], min(2, len(self._near[claim.id]))):
            abstract = self._data.abstracts[document]
            best = Overlap(abstract.sentences).nearest(claim.text, 2)
            yield self._pair(claim, self._sentence(abstract, rng.choice(best), rng), "not_mentioned")

    def _sentence(self, abstract: Abstract, n: int, rng: random.Random) -> str:
        """A sentence, now and then below its title: premises come with and without their headings."""
        return f"{abstract.title}\n{abstract.sentences[n]}" if rng.random() < 0.25 else abstract.sentences[n]

    def _pair(self, claim: Claim, passage: str, label: Label) -> Example:
        return Example(claim.text, passage, label, SOURCE, claim.group)
