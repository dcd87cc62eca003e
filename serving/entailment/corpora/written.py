"""Requirements with passages that keep, break or do not address them, written for Workbench in minimal pairs.

``written.jsonl`` holds one JSON object a line: ``id`` (group and letter), ``kind``, ``domain``, ``requirement``, ``passage``,
``verdict``. No domain, requirement or passage is taken from ``compliance/pairs_dev.jsonl`` or the starter documents, which measure.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.entailment.corpora.examples import Example, Label

SOURCE = "written"
FILE = Path(__file__).with_name("written.jsonl")
LABELS: dict[str, Label] = {"satisfied": "entailed", "violated": "contradicted", "not_addressed": "not_mentioned"}
IN_CONTEXT = 0.25
"""Share of the passages that are read with a passage on another requirement of their domain before or after them."""


@dataclass(frozen=True)
class Written:
    """One pair; ``domain`` is what is held back together."""

    requirement: str
    passage: str
    label: Label
    kind: str
    domain: str

    def example(self, passage: str | None = None) -> Example:
        return Example(self.requirement, passage or self.passage, self.label, SOURCE, self.domain)


def load(file: Path = FILE) -> list[Written]:
    """The pairs of a file; none where there is no such file.

    Raises:
        ValueError, KeyError: a line is not a pair.
    """
    if not file.is_file():
        return []
    rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return [Written(row["requirement"], row["passage"], LABELS[row["verdict"]], row["kind"], row["domain"]) for row in rows]


class Pairs:
    """Training pairs; each draw puts some passages beside others of their domain."""

    def __init__(self, written: Sequence[Written]) -> None:
        self._written = list(written)
        self._domains: dict[str, list[Written]] = {}
        for pair in written:
            self._domains.setdefault(pair.domain, []).append(pair)

    def plain(self) -> list[Example]:
        """Every pair as it was written."""
        return [pair.example() for pair in self._written]

    def draw(self, rng: random.Random) -> list[Example]:
        """Every pair once."""
        return [pair.example(self._in_context(pair, rng)) for pair in self._written]

    def _in_context(self, pair: Written, rng: random.Random) -> str:
        other = rng.choice(self._domains[pair.domain])
        if rng.random() >= IN_CONTEXT or other.requirement == pair.requirement:
            return pair.passage
        return "\n".join(rng.sample([pair.passage, other.passage], 2))
