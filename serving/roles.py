"""The roles a caller has at hand, wherever the models run: in this process, on Ray Serve, or behind a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.errors import ModelMissing
from serving.contracts import (
    ROLES,
    EmbeddingRole,
    EntailmentRole,
    LanguageRole,
    SegmentationRole,
    VisionLanguageRole,
    missing_sentence,
)


@dataclass(frozen=True)
class Roles:
    """One object a role, or None where no model fulfils it."""

    segmentation: SegmentationRole | None = None
    vlm: VisionLanguageRole | None = None
    llm: LanguageRole | None = None
    embedding: EmbeddingRole | None = None
    entailment: EntailmentRole | None = None

    def require(self, role: str) -> Any:
        """The role's object.

        Raises:
            ModelMissing: no model fulfils it.
        """
        found = getattr(self, role)
        if found is None:
            raise ModelMissing(f"{missing_sentence(role)} Register one with `workbench models register PATH --role {role}`.", role=role)
        return found

    def missing(self) -> list[str]:
        """Names of the roles that no model fulfils."""
        return [role for role in ROLES if getattr(self, role) is None]
