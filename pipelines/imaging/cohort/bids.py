"""Structural images of a BIDS dataset, by the names that the standard prescribes (BIDS 1.10, anatomy imaging data).

Only names are read. pybids would do it too, and bring pandas, formulaic and an index in SQL for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

SEQUENCES = ("T1w", "T2w", "FLAIR", "PDw", "T2starw", "PDT2", "inplaneT1", "inplaneT2", "UNIT1")
_NAME = re.compile(r"(?P<entities>(?:[A-Za-z0-9]+-[A-Za-z0-9+]+_)+)(?P<suffix>[A-Za-z0-9]+)\.nii(?:\.gz)?")
# A defacing mask or one part of a complex image is no picture to measure.
_NOT = ("mod", "part")


def is_bids(folder: Path) -> bool:
    """Whether the folder is the root of a dataset."""
    return (folder / "dataset_description.json").is_file() or any(_images(folder))


def bids_scans(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Every structural image below ``sub-*/[ses-*/]anat``, with ``participant``, ``session`` (where there is one),
    ``sequence`` and ``run``. What is below ``derivatives`` or ``sourcedata`` is not the dataset's own, and left out."""
    for path in _images(folder):
        match = _NAME.fullmatch(path.name)
        if match is None or match["suffix"] not in SEQUENCES:
            continue
        entities = dict(part.split("-", 1) for part in match["entities"].strip("_").split("_"))
        if entities.keys() & set(_NOT):
            continue
        facts = {"participant": f"sub-{entities['sub']}"} if "sub" in entities else {}
        facts |= {name: f"{key}-{entities[key]}" for key, name in (("ses", "session"), ("run", "run")) if key in entities}
        yield path, {**facts, "sequence": match["suffix"]}


def _images(folder: Path) -> Iterator[Path]:
    for pattern in ("sub-*/anat/*.nii*", "sub-*/ses-*/anat/*.nii*"):
        yield from sorted(folder.glob(pattern))
