"""The neuroradiology primer: short articles in our own words, indexed at the first start as a collection (``primer/*.md``)."""

from __future__ import annotations

import hashlib
from pathlib import Path

PRIMER = Path(__file__).parent / "primer"
COLLECTION = "neuroradiology-primer"
DESCRIPTION = (
    "Bundled primer on brain MRI, not literature: short articles on structures, lesions, atrophy, hydrocephalus, sequences, "
    "artefacts and measurement. This primer is an educational summary, not clinical guidance."
)


def article_paths() -> dict[str, Path]:
    """The articles by file name, in order; the folder's README is none."""
    return {path.name: path for path in sorted(PRIMER.glob("*.md")) if path.name != "README.md"}


def article_digests() -> dict[str, str]:
    """The sha256 of each article's bytes, by file name."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in article_paths().items()}
