"""Which sentence answers, and when nobody does: fitted on development data by ``workbench evaluate answers --fit``."""

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
    """How the models' numbers become probabilities.

    Attributes:
        sentence: that a sentence answers the question.
        answerable: that the documents answer it at all.
        threshold: of ``answerable``; below it the answer is "Not in these documents".
        supported: of the entailment model's "entailed"; a written sentence below it is unsupported.
        about: what it was fitted on, with which models, and what it gave.
    """

    sentence: Logistic
    answerable: Logistic
    threshold: float
    supported: float = 0.5
    about: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "sentence": self.sentence.as_dict(),
            "answerable": self.answerable.as_dict(),
            "threshold": round(self.threshold, 4),
            "supported": self.supported,
            "about": dict(self.about),
        }

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Calibration:
        return cls(
            Logistic.from_dict(said["sentence"]),
            Logistic.from_dict(said["answerable"]),
            float(said["threshold"]),
            float(said["supported"]),
            said.get("about", {}),
        )


@functools.cache
def shipped() -> Calibration:
    """The one that is part of the program."""
    return Calibration.from_dict(json.loads(CALIBRATION_FILE.read_text()))


def write_calibration(calibration: Calibration) -> None:
    """Put it in the shipped one's place."""
    CALIBRATION_FILE.write_text(json.dumps(calibration.as_dict(), indent=1) + "\n")
    shipped.cache_clear()
