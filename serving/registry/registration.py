"""Registering a model of one's own: copied into the data folder, tried, and only then a version in MLflow."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from infra.datafolder import DataFolder
from infra.errors import InvalidInput
from infra.settings import Settings
from serving.backends.table import make_backend
from serving.registry.mlflow_registry import create_version, ensure_model, find_same, one_at_a_time, open_client, refresh
from serving.registry.sources import bring, digest_of
from serving.registry.versions import ModelRef, ModelVersion, registered_name
from serving.roles import role_names

LEFT_SECONDS = 24 * 3600
"""Age at which a folder that a killed registration left is removed."""


@dataclass(frozen=True)
class Brought:
    """A model's files in a folder of their own.

    Attributes:
        main: what the backend loads: a file, or the folder.
        backend: which backend loads it.
        key: names its folder; the same for the same model.
        facts: for people (title, licence, notes).
    """

    main: Path
    backend: str
    key: str
    facts: dict[str, str]


def register(settings: Settings, source: str | Path, role: str, *, title: str = "", backend: str = "") -> ModelVersion:
    """A new version of ``role``; the champion stays what it was. The same model again is the version that it was.

    Args:
        source: a folder (Hugging Face layout), a file of weights (safetensors, GGUF), or ``hub:ORG/NAME@REVISION``. For the
            role segmentation also a MONAI bundle (its folder), or an exported program with its ``metadata.json`` beside it.
        title: what it is called; by default what the model calls itself.
        backend: which backend loads it; by default the one that the settings name for the role.

    Raises:
        NotFound, InvalidInput: it cannot be read, would run code, or says too little of itself.
        WorkbenchError: it does not load, or fails its smoke test.
    """
    if role not in role_names():
        raise InvalidInput(f"There is no role '{role}'. Roles are {', '.join(role_names())}.")
    with _incoming(settings, role) as folder:
        brought = _bring(settings, source, role, folder, backend)
        main = brought.main.relative_to(folder)
        ref = ModelRef(role, registered_name(role), "candidate", digest_of(brought.main), brought.backend, settings.model(role).device)
        facts = {**brought.facts, **({"title": title} if title else {})}
        try_out(settings, ModelVersion(ref, str(brought.main), facts))
        with one_at_a_time(settings):
            place = folder.parent / brought.key[:16]
            if not place.exists():
                folder.rename(place)
            model = ModelVersion(replace(ref, digest=digest_of(place / main)), str(place / main), facts)
            client = open_client(settings)
            ensure_model(client, role)
            number = find_same(client, model) or create_version(client, settings, model)
    refresh(settings)
    return replace(model, ref=replace(model.ref, version=number))


def try_out(settings: Settings, model: ModelVersion) -> None:
    """Load it where it would serve, and let it pass its smoke test. Raises what the backend raises."""
    backend = make_backend(settings, model)
    try:
        backend.load()
        backend.smoke_test()
    finally:
        backend.close()


def _bring(settings: Settings, source: str | Path, role: str, folder: Path, backend: str) -> Brought:
    if role == "segmentation" and not backend:
        from serving.segmentation.bundle_registration import bring_bundle, is_bundle

        if is_bundle(source):
            return Brought(*bring_bundle(settings, Path(source).expanduser(), folder))
    backend = backend or settings.model(role).backend
    if backend == "none":
        raise InvalidInput(f"The role {role} has no backend in the settings. Name the one that loads this model with --backend.")
    facts = bring(source, folder)
    files = [file for file in folder.rglob("*") if file.is_file()]
    return Brought(files[0] if len(files) == 1 else folder, backend, digest_of(folder), facts)


@contextlib.contextmanager
def _incoming(settings: Settings, role: str) -> Iterator[Path]:
    """A folder for this registration alone, beside those of the registered models; removed where it is still there."""
    parent = DataFolder(settings.home).make().home / "models" / role
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(".incoming-*"):
        if time.time() - left.stat().st_mtime > LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".incoming-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
