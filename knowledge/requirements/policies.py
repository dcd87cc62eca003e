"""Whether a document is a policy: what its requirements are extracted for as soon as it is added."""

from __future__ import annotations

from collections.abc import Sequence

from knowledge.reading import Document
from knowledge.requirements.contract import Requirement

POLICY_KINDS = frozenset({"policy", "privacy policy", "regulation"})
"""Of :data:`knowledge.metadata.facts.KINDS`."""
DENSE = 5.0
"""Duties and prohibitions in a thousand words; a paper on gene regulation is called a regulation, and has fewer."""


def is_policy(kind: str | None, document: Document, requirements: Sequence[Requirement]) -> bool:
    """Its kind says so, and so do its sentences.

    Args:
        kind: as its facts name it, or a person corrected it.
        requirements: what was extracted from it.
    """
    binding = sum(one.modality != "permission" for one in requirements)
    return kind in POLICY_KINDS and binding * 1000 >= DENSE * len(document.text.split())
