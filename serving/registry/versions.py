"""A version of a role's model: what it is, and where its weights lie.

Everything here is light (no MLflow, no numpy): replicas, the gateway and notebooks read the snapshot that
:mod:`serving.registry.mlflow_registry` writes, so that serving never waits for MLflow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.datafolder import DataFolder, write_private
from infra.settings import Settings


def registered_name(role: str) -> str:
    """The one registered MLflow model of a role."""
    return f"workbench-{role}"


@dataclass(frozen=True)
class ModelRef:
    """Which model gave an answer.

    Attributes:
        role: its role.
        name: the registered MLflow model of the role.
        version: version of that registered model.
        digest: sha256 of the weights.
        backend: what ran it, for example ``openvino``.
        device: where, for example ``cpu``.
    """

    role: str
    name: str
    version: str
    digest: str
    backend: str
    device: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class ModelVersion:
    """One version of a role's model.

    Attributes:
        ref: what answers carry.
        source: where the weights lie: ``package:MODULE/FILE`` (in an installed Python package), a path, or what the
            backend takes (a Hub id, an endpoint).
        facts: small facts for people (licence, publisher's name of the model).
    """

    ref: ModelRef
    source: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"ref": self.ref.as_dict(), "source": self.source, "facts": dict(self.facts)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelVersion:
        return cls(ModelRef(**data["ref"]), str(data["source"]), dict(data.get("facts") or {}))


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Catalogue:
    """The versions that a workbench knows, and which of them serve.

    Attributes:
        versions: role -> version -> model.
        champions: role -> version.
        deciding: role -> model that decides where the champion ranks; roles whose champion does both are absent.
    """

    versions: Mapping[str, Mapping[str, ModelVersion]]
    champions: Mapping[str, str]
    deciding: Mapping[str, ModelVersion] = field(default_factory=dict)

    def champion(self, role: str) -> ModelVersion | None:
        version = self.champions.get(role)
        return self.versions.get(role, {}).get(version) if version else None


def versions_path(settings: Settings) -> Path:
    """Snapshot of every registered version, beside the snapshot of the champions."""
    return DataFolder(settings.home).home / "versions.json"


def write_catalogue(settings: Settings, catalogue: Catalogue) -> None:
    """Write both snapshots: ``versions.json`` first, so that a champion's version is always found in it."""
    data = {role: {number: version.as_dict() for number, version in found.items()} for role, found in catalogue.versions.items()}
    write_private(versions_path(settings), json.dumps(data, indent=1))
    champions = {role: found.ref.as_dict() for role in catalogue.champions if (found := catalogue.champion(role))}
    write_private(DataFolder(settings.home).champions, json.dumps(champions, indent=1))
