"""What the model learns from: labelled pairs, and which of them are held back."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.errors import InvalidInput

Label = Literal["entailed", "contradicted", "not_mentioned"]
Part = Literal["train", "tune", "held"]


@dataclass(frozen=True)
class Example:
    """One labelled pair.

    Attributes:
        claim: a sentence that is true, false or open; for a contract, the requirement.
        passage: what is read to decide.
        label: what the passage says of the claim.
        source: data set it is from.
        group: what must not be torn apart between training and testing (a question, a contract, a set of abstracts).
    """

    claim: str
    passage: str
    label: Label
    source: str
    group: str


@dataclass(frozen=True)
class Split:
    """Which groups are trained on.

    A group's place in [0, 1) is the sha256 of its name, so it is the same on every machine and stays when data is
    added. The circle is cut into ``folds`` arcs: arc ``fold`` is ``held`` (never trained on, never tuned on; what is
    reported), the arc of ``TUNE`` after it is ``tune`` (temperature, thresholds, choices), the rest is ``train``.
    Cross-validation by three is ``Split(0, 3)``, ``Split(1, 3)``, ``Split(2, 3)``; the shipped weights are ``Split()``.
    """

    fold: int = 0
    folds: int = 5

    def part(self, source: str, group: str) -> Part:
        at = int(hashlib.sha256(f"{source}\n{group}".encode()).hexdigest()[:12], 16) / 16**12
        past = (at - self.fold / self.folds) % 1.0
        return "held" if past < 1 / self.folds else "tune" if past < 1 / self.folds + TUNE else "train"


TUNE = 0.1
"""Share of the groups that calibrate the model."""


def data_folder(given: Path | None = None) -> Path:
    """The folder ``rag`` of the development data: ``given``, else ``WORKBENCH_DATA``, else ``../shared/data``.

    Either level may be named: the data folder itself, or its ``rag``.

    Raises:
        InvalidInput: there is no such folder.
    """
    place = Path(given or os.environ.get("WORKBENCH_DATA") or "../shared/data").expanduser()
    for folder in (place / "rag", place):
        if (folder / "scifact").is_dir() or (folder / "attributionbench").is_dir() or (folder / "contractnli").is_dir():
            return folder
    raise InvalidInput(f"{place} holds no scifact, attributionbench or contractnli. Name the data's folder with --data or WORKBENCH_DATA.")
