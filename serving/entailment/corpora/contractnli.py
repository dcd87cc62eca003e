"""ContractNLI (Koreeda and Manning, 2021; CC BY 4.0): seventeen requirements against the spans of non-disclosure agreements.

Held back by contract. The shortened training sample (other contracts) is trained on whole.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from serving.entailment.corpora.examples import Example, Label
from serving.entailment.overlap import Overlap

SOURCE = "contractnli"
LABELS: dict[str, Label] = {"Entailment": "entailed", "Contradiction": "contradicted", "NotMentioned": "not_mentioned"}

LEAD_WORDS = 30
"""Most words that are put before a span that cannot be understood alone."""

_ITEM = re.compile(r"^\W*(?:\(?[a-z0-9]{1,4}[.)]\s|[a-z])")
_HEADING = re.compile(r"^(?:(?:Section|Article|Clause)\s+)?(?:\(?[\dIVX][\dIVX.]*[.)]?\s+)?[A-Z][^.;:]{2,60}[.:]?$")


@dataclass(frozen=True)
class Finding:
    """What a contract says of a requirement, and the spans (numbers from 0) that say it."""

    label: Label
    evidence: tuple[int, ...]


@dataclass(frozen=True)
class Contract:
    """spans: the contract's pieces as they stand; findings: by requirement's id; shortened: of the training sample."""

    name: str
    spans: tuple[str, ...]
    findings: dict[str, Finding]
    shortened: bool

    def premise(self, n: int) -> str:
        """Span ``n`` with what it needs to be understood: the sentence that a list item goes on, or its heading."""
        text = self.spans[n]
        item = bool(_ITEM.match(text))
        for before in range(n - 1, max(-1, n - 9), -1):
            candidate = self.spans[before]
            if item and candidate.endswith((":", "—", "-")):
                return " ".join(candidate.split()[-LEAD_WORDS:]) + "\n" + text
            if not item and _HEADING.match(candidate) and len(candidate.split()) <= 8:
                return f"{candidate}\n{text}"
        return text


@dataclass(frozen=True)
class ContractNli:
    """requirements: id to text."""

    contracts: tuple[Contract, ...]
    requirements: dict[str, str]


def load(folder: Path) -> ContractNli:
    """Read ``folder/contractnli``: the development contracts and, where it is there, the shortened training sample."""
    contracts: list[Contract] = []
    requirements: dict[str, str] = {}
    for file, shortened in (("dev.json", False), ("train_truncated.json", True)):
        path = folder / SOURCE / file
        if not path.exists():
            continue
        data = json.loads(path.read_text())
        requirements |= {key: label["hypothesis"] for key, label in data["labels"].items()}
        contracts += [_contract(document, shortened) for document in data["documents"]]
    return ContractNli(tuple(contracts), requirements)


def _contract(document: dict, shortened: bool) -> Contract:
    spans = tuple(" ".join(document["text"][start:end].split()) for start, end in document["spans"])
    annotations = document["annotation_sets"][0]["annotations"]
    findings = {key: Finding(LABELS[a["choice"]], tuple(a["spans"])) for key, a in annotations.items()}
    return Contract(document["file_name"], spans, findings, shortened)


class Pairs:
    """Training pairs of some contracts; each draw takes other negatives.

    Args:
        without: ids of requirements to leave out (to measure what the model makes of policies never seen).
        evidence, others: most spans a contract and requirement that decide it, and that do not (one more where none decides).
    """

    def __init__(
        self, data: ContractNli, contracts: list[Contract], *, without: Collection[str] = (), evidence: int = 2, others: int = 2
    ) -> None:
        self._data, self._contracts, self._evidence, self._others = data, contracts, evidence, others
        self._requirements = {key: text for key, text in data.requirements.items() if key not in without}
        self._hard = {contract.name: self._hard_spans(contract) for contract in contracts}

    def _hard_spans(self, contract: Contract) -> dict[str, list[int]]:
        """By requirement: spans that share its words, and those that decide other requirements."""
        index = Overlap(contract.spans)
        deciding = {n for finding in contract.findings.values() for n in finding.evidence}
        found = {}
        for key, text in self._requirements.items():
            evidence = set(contract.findings[key].evidence) if key in contract.findings else set()
            near = index.nearest(text, 12)
            found[key] = [n for n in dict.fromkeys([*near, *sorted(deciding)]) if n not in evidence and contract.spans[n]]
        return found

    def draw(self, rng: random.Random) -> list[Example]:
        """Per contract and requirement: spans that decide, and hard ones that do not."""
        return [pair for contract in self._contracts for pair in self._of(contract, rng)]

    def _of(self, contract: Contract, rng: random.Random) -> Iterator[Example]:
        for key, requirement in self._requirements.items():
            finding = contract.findings.get(key)
            if finding is None:
                continue
            for n in rng.sample(finding.evidence, min(self._evidence, len(finding.evidence))):
                yield self._pair(contract, requirement, n, finding.label, rng)
            hard = self._hard[contract.name][key]
            for n in rng.sample(hard, min(self._others + (not finding.evidence), len(hard))):
                yield self._pair(contract, requirement, n, "not_mentioned", rng)

    def _pair(self, contract: Contract, requirement: str, n: int, label: Label, rng: random.Random) -> Example:
        passage = contract.premise(n) if rng.random() < 0.75 else contract.spans[n]
        return Example(requirement, passage, label, SOURCE, contract.name)
