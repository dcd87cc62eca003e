"""How often a span that shows a sign of keeping or breaking a requirement does so: the odds of :mod:`pipelines.compliance.agreements`.

    python -m tests.benchmarks.compliance_agreements

Counted over the sentences beside rules (:mod:`serving.entailment.corpora.described`), the held-back part left out; those that repeat their
rule or change it by another rule of the program, which are decided before, do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pipelines.compliance.agreements import allows_nothing_else, denies_the_act, keeps_its_numbers, permits_something
from pipelines.compliance.differences import difference, repeats
from serving.entailment.corpora.data import Data

SIGNS: dict[str, Callable[[str, str], bool]] = {
    "keeps its numbers": keeps_its_numbers,
    "denies the forbidden act": denies_the_act,
    "is turned round twice": allows_nothing_else,
    "permits something beside a ban": permits_something,
}


def main() -> None:
    known = Data(Path())  # the rules come with the program
    said = [(rule.text, label, sentence) for part in ("train", "tune") for rule in known.rules(part) for label, sentence in rule.said]
    undecided = [(rule, label, text) for rule, label, text in said if not difference(rule, text) and not repeats(rule, text)]
    print(f"{len(undecided)} of {len(said)} sentences are not decided by another rule")
    print("| a span that | keeps the rule | breaks it | says nothing of it |")
    print("|---|---|---|---|")
    for name, shows in SIGNS.items():
        found = Counter(label for rule, label, text in undecided if shows(rule, text))
        print(f"| {name} | {found['entailed']} | {found['contradicted']} | {found['not_mentioned']} |")


if __name__ == "__main__":
    main()
