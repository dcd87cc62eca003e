"""What a heading before a sentence does to how the entailment model reads it: why :attr:`knowledge.requirements.spans.Span.premise`
puts headings as it does.

    python -m tests.benchmarks.compliance_headings

Sentences beside rules (:mod:`serving.entailment.corpora.described`) that the weights were neither trained nor chosen on, below headings of
procedures that have nothing to do with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from infra.settings import load_settings
from knowledge.requirements.spans import Span
from pipelines.evaluation.answers import split_of
from serving.entailment.corpora.data import Data
from serving.local import local_roles
from serving.roles.entailment import ENTAILMENT_LABELS

HEADINGS = (
    "1 Operations > 1.3 Opening hours", "2 Purchasing > 2.1 Suppliers", "3 Staff > 3.4 Working time", "4 Safety > 4.2 Emergencies",
    "5 Records > 5.1 Archiving", "6 Customers > 6.3 Complaints", "7 Finance > 7.2 Payments", "8 Information security > 8.4 Access",
    "9 Quality > 9.1 Inspections", "10 Transport > 10.2 Vehicles", "11 Sales > 11.3 Contracts", "12 Marketing > 12.1 Advertising",
)  # fmt: skip
FORMS: dict[str, Callable[[Span], str]] = {
    "no heading": lambda span: span.text,
    "on a line above, with numbers": lambda span: replace(span, marked=False).premise,
    "as a sentence, without numbers (as analyses do)": lambda span: span.premise,
}


async def main() -> None:
    settings = load_settings()
    rules = Data(Path(), split_of(settings)).rules("held")
    said = [(rule.text, sentence, ENTAILMENT_LABELS.index(label)) for rule in rules for label, sentence in rule.said]
    spans = [Span(None, 0, len(text), text, HEADINGS[row % len(HEADINGS)], marked=True) for row, (_, text, _) in enumerate(said)]
    truth = np.array([label for _, _, label in said])
    entailment = local_roles(settings).require("entailment")
    print(f"{len(said)} sentences beside {len(rules)} rules")
    print("| heading | rightly taken |")
    print("|---|---|")
    for name, form in FORMS.items():
        pairs = [(rule, form(span)) for (rule, _, _), span in zip(said, spans, strict=True)]
        found = np.asarray((await entailment.entail(pairs)).probabilities)
        print(f"| {name} | {(found.argmax(1) == truth).mean():.3f} |")


if __name__ == "__main__":
    asyncio.run(main())
