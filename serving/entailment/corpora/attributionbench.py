"""AttributionBench (Li et al., 2024; Apache-2.0): does the text that an answer cites support the answer's sentence?

Held back by question: sentences of one answer share their citations.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from serving.entailment.corpora.examples import Example

SOURCE = "attributionbench"


def load(folder: Path) -> list[Example]:
    """Every pair of ``folder/attributionbench/dev.jsonl.gz``; ``source`` is ``attributionbench/SET``, ``group`` the question.

    What is cited is one text: several references are joined by a line break. "Not attributable" is ``not_mentioned``:
    the set does not tell a contradiction from a gap.
    """
    found = []
    with gzip.open(folder / SOURCE / "dev.jsonl.gz", "rt") as file:
        for line in file:
            row = json.loads(line)
            label = "entailed" if row["attribution_label"] == "attributable" else "not_mentioned"
            claim = row["claim"] or row["claim_raw_string"]
            found.append(Example(claim, "\n".join(row["references"]), label, f"{SOURCE}/{row['src_dataset']}", row["question"].strip()))
    return found
