"""Which versions there are and which serves, read from the snapshot in the data folder (no MLflow imported)."""

from __future__ import annotations

import json
from dataclasses import replace

from infra.datafolder import DataFolder
from infra.errors import ModelMissing
from infra.settings import Settings
from serving.registry.embedded import EMBEDDED, deciding_version, embedded_roles, embedded_version, resolve
from serving.registry.versions import Catalogue, ModelRef, ModelVersion, versions_path
from serving.roles import role_names


def read_champions(settings: Settings) -> dict[str, ModelRef]:
    """Role to the model that serves it; roles that no model on this machine fulfils are absent."""
    catalogue = read_catalogue(settings)
    return {role: found.ref for role in catalogue.champions if (found := catalogue.champion(role))}


def read_catalogue(settings: Settings) -> Catalogue:
    """Every version that the registry knew last and whose weights are here, and the champions.

    Embedded weights that the registry does not know yet (the first start, or a newer package) stand here under the
    version number that it will give them, so serving does not wait for MLflow.
    """
    versions = _known_versions(settings)
    champions = _known_champions(settings)
    for role in embedded_roles(settings):
        found, ours = versions.setdefault(role, {}), embedded_version(settings, role)
        same = [number for number, v in found.items() if v.source == ours.source and v.ref.digest == ours.ref.digest]
        number = same[0] if same else next_number(found)
        # A version whose weights were replaced by a newer package cannot be loaded any more: its number says so by being gone.
        gone = [n for n, v in found.items() if v.source == ours.source and v.ref.digest != ours.ref.digest]
        found[number] = replace(ours, ref=replace(ours.ref, version=number))
        if champions.get(role) in (None, *gone):
            champions[role] = number
        for old in gone:
            del found[old]
    serving = {role: n for role, n in champions.items() if settings.model(role).backend != "none"}
    champion = versions.get("entailment", {}).get(serving.get("entailment", ""))
    # A champion that somebody chose decides itself.
    reader = deciding_version(settings) if champion is not None and champion.source == EMBEDDED["entailment"].source else None
    return Catalogue(versions, serving, {"entailment": reader} if reader is not None else {})


def next_number(versions: dict[str, ModelVersion]) -> str:
    """The number that MLflow gives to the next version."""
    return str(max((int(n) for n in versions if n.isdigit()), default=0) + 1)


def _known_versions(settings: Settings) -> dict[str, dict[str, ModelVersion]]:
    try:
        data = json.loads(versions_path(settings).read_text())
        found = {
            role: {n: ModelVersion.from_dict(v) for n, v in by_number.items()} for role, by_number in data.items() if role in role_names()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {
        role: {n: replace(v, ref=replace(v.ref, device=settings.model(role).device)) for n, v in by_number.items() if _is_here(v)}
        for role, by_number in found.items()
    }


def _known_champions(settings: Settings) -> dict[str, str]:
    try:
        data = json.loads(DataFolder(settings.home).champions.read_text())
        return {role: ModelRef(**fields).version for role, fields in data.items() if role in role_names()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _is_here(version: ModelVersion) -> bool:
    try:
        resolve(version.source, role=version.ref.role)
    except ModelMissing:
        return False
    return True
