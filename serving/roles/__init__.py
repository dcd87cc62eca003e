"""The roles: one file a role, found here and by the entry point group ``workbench.roles``; and the roles a caller has at hand."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from infra.errors import ModelMissing
from infra.settings import DEFAULT_MODELS

if TYPE_CHECKING:
    from serving.roles.embedding import EmbeddingRole
    from serving.roles.entailment import EntailmentRole
    from serving.roles.llm import LanguageRole
    from serving.roles.role import Role
    from serving.roles.segmentation import SegmentationRole
    from serving.roles.vlm import VisionLanguageRole

GROUP = "workbench.roles"


@functools.cache
def known_roles() -> dict[str, Role]:
    """Every role by its name: those of the package in the order of the settings' table, then those of other packages."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    roles = [module.ROLE for module in modules if hasattr(module, "ROLE")] + [point.load() for point in entry_points(group=GROUP)]
    order = list(DEFAULT_MODELS)
    return {role.name: role for role in sorted(roles, key=lambda role: order.index(role.name) if role.name in order else len(order))}


def role_names() -> tuple[str, ...]:
    return tuple(known_roles())


def missing_sentence(role: str) -> str:
    """How a report names a role that no model fulfils."""
    return known_roles()[role].missing


class Roles:
    """One object a role, or None where no model fulfils it; wherever the models run."""

    segmentation: SegmentationRole | None
    vlm: VisionLanguageRole | None
    llm: LanguageRole | None
    embedding: EmbeddingRole | None
    entailment: EntailmentRole | None

    def __init__(self, **fulfilled: Any) -> None:
        if unknown := set(fulfilled) - set(known_roles()):
            raise TypeError(f"no such role: {', '.join(sorted(unknown))}")
        for role in known_roles():
            setattr(self, role, fulfilled.get(role))

    def require(self, role: str) -> Any:
        """The role's object.

        Raises:
            ModelMissing: no model fulfils it.
        """
        found = getattr(self, role)
        if found is None:
            raise ModelMissing(f"{missing_sentence(role)} Register one with `workbench models register PATH --role {role}`.", role=role)
        return found

    def replace(self, **changes: Any) -> Roles:
        """These roles with others in place of those named (None: no model fulfils it)."""
        return Roles(**{**{role: getattr(self, role) for role in known_roles()}, **changes})

    def missing(self) -> list[str]:
        """Names of the roles that no model fulfils."""
        return [role for role in known_roles() if getattr(self, role) is None]
