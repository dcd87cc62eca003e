"""How many spans' probabilities become one verdict's: fitted on development data by ``python -m pipelines.evaluation.compliance --fit``."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.questions.logistic import Logistic

CALIBRATION_FILE = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True)
class Calibration:
    """Two questions, asked one after the other.

    Attributes:
        addressed: whether the document says anything of the requirement.
        satisfied: whether what it says satisfies it.
        about: what it was fitted on, with which models, and what it gave.
    """

    addressed: Logistic
    satisfied: Logistic
    about: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"addressed": self.addressed.as_dict(), "satisfied": self.satisfied.as_dict(), "about": dict(self.about)}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Calibration:
        return cls(Logistic.from_dict(said["addressed"]), Logistic.from_dict(said["satisfied"]), said.get("about", {}))


@functools.cache
def shipped() -> Calibration:
    """The one that is part of the program."""
    return Calibration.from_dict(json.loads(CALIBRATION_FILE.read_text()))


def write_calibration(calibration: Calibration) -> None:
    """Put it in the shipped one's place."""
    CALIBRATION_FILE.write_text(json.dumps(calibration.as_dict(), indent=1) + "\n")
    shipped.cache_clear()
