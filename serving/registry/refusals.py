"""Versions that the alias ``champion`` names and that do not serve: which, and why. Light: the gateway reads this."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.datafolder import DataFolder, write_private
from infra.settings import Settings


@dataclass(frozen=True)
class Refusal:
    """A version that was promoted and does not serve, with the sentence that says why; ``broken`` where a replica could
    not load it (which stands until it is promoted again), else it lacked something (which is looked at again)."""

    version: str
    reason: str
    broken: bool = False


def refusals_path(settings: Settings) -> Path:
    """Beside the snapshots of versions and champions."""
    return DataFolder(settings.home).home / "refused.json"


def read_refusals(settings: Settings) -> dict[str, Refusal]:
    """Role to what was refused."""
    try:
        return {role: Refusal(**said) for role, said in json.loads(refusals_path(settings).read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_refusals(settings: Settings, refusals: Mapping[str, Refusal]) -> None:
    if refusals or refusals_path(settings).exists():
        write_private(refusals_path(settings), json.dumps({role: asdict(refusal) for role, refusal in refusals.items()}, indent=1))


def refuse(settings: Settings, role: str, version: str, reason: str, *, instead: str) -> None:
    """Note that ``version`` cannot serve, and make ``instead`` the champion of the snapshot again (MLflow's alias stays)."""
    from serving.registry.champions import read_catalogue
    from serving.registry.versions import Catalogue, write_catalogue

    write_refusals(settings, {**read_refusals(settings), role: Refusal(version, reason, broken=True)})
    catalogue = read_catalogue(settings)
    write_catalogue(settings, Catalogue(catalogue.versions, {**catalogue.champions, role: instead}))
