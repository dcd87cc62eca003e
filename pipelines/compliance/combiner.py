"""How the features of one requirement become the probabilities of its verdict: two logistic regressions, fitted for each reader.

Fitted by ``python -m pipelines.evaluation.compliance_fit``, which also writes the card (``combiners/README.md``).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.compliance.contract import Probabilities
from pipelines.questions.logistic import Logistic

FOLDER = Path(__file__).with_name("combiners")
DEFAULT = "small"
"""The combiner of the embedded small reader; it serves for readers that none was fitted for, too."""


@dataclass(frozen=True)
class Combiner:
    """Two questions, asked one after the other.

    Attributes:
        addressed: whether the document says anything of the requirement.
        satisfied: whether what it says satisfies it.
        reader: sha256 of the weights of the deciding reader that it was fitted for.
        about: what it was fitted on, and what was measured.
    """

    addressed: Logistic
    satisfied: Logistic
    reader: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, features: Mapping[str, float]) -> Probabilities:
        said, kept = (
            float(question(np.array([features[name] for name in question.names]))[0]) for question in (self.addressed, self.satisfied)
        )
        return Probabilities(satisfied=said * kept, violated=said * (1 - kept), not_addressed=1 - said)

    def as_dict(self) -> dict[str, Any]:
        return {
            "reader_sha256": self.reader,
            "addressed": self.addressed.as_dict(),
            "satisfied": self.satisfied.as_dict(),
            "about": dict(self.about),
        }

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Combiner:
        addressed, satisfied = Logistic.from_dict(said["addressed"]), Logistic.from_dict(said["satisfied"])
        return cls(addressed, satisfied, said["reader_sha256"], said.get("about", {}))


def combiner_for(reader: str) -> Combiner:
    """The combiner that was fitted for the reader with these weights (sha256), else the default one."""
    known = shipped()
    return next((one for one in known.values() if one.reader == reader), known[DEFAULT])


@functools.cache
def shipped() -> Mapping[str, Combiner]:
    """Those that are part of the program, by the name of their file."""
    return {path.stem: Combiner.from_dict(json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))}


def write_combiner(name: str, combiner: Combiner) -> None:
    """Put it among those that are shipped."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(combiner.as_dict(), indent=1) + "\n")
    shipped.cache_clear()
