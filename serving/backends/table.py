"""Which class runs which backend of which role; imported when it is first used, so a replica loads only its own."""

from __future__ import annotations

import importlib
from typing import cast

from infra.errors import ConfigurationError
from infra.settings import Settings
from serving.backends.contract import Backend, Place
from serving.versions import ModelVersion

BACKENDS: dict[tuple[str, str], str] = {
    ("embedding", "openvino"): "serving.embedding.openvino_backend:OpenVinoEmbedding",
    ("embedding", "torch"): "serving.embedding.torch_backend:TorchEmbedding",
    ("entailment", "openvino"): "serving.entailment.openvino_backend:OpenVinoEntailment",
    ("entailment", "torch"): "serving.entailment.torch_backend:TorchEntailment",
    ("llm", "genai"): "serving.llm.genai_backend:GenaiLanguage",
    ("segmentation", "bundle-openvino"): "serving.segmentation.bundle_backend:OpenVinoBundle",
    ("segmentation", "bundle-torch"): "serving.segmentation.bundle_backend:TorchBundle",
    ("segmentation", "openvino"): "serving.segmentation.backend:OpenVinoSegmentation",
    ("segmentation", "torch"): "serving.segmentation.backend:TorchSegmentation",
}


def backend_class(role: str, name: str) -> type[Backend]:
    """Raises ConfigurationError where the role has no such backend."""
    target = BACKENDS.get((role, name))
    if target is None:
        known = ", ".join(sorted(n for r, n in BACKENDS if r == role)) or "none yet"
        raise ConfigurationError(f"The role {role} has no backend '{name}'. Known: {known}.")
    module, _, attribute = target.partition(":")
    return cast(type[Backend], getattr(importlib.import_module(module), attribute))


def make_backend(settings: Settings, model: ModelVersion) -> Backend:
    """The (not yet loaded) backend of a version, placed as the settings say."""
    role = model.ref.role
    place = Place(model.ref.device, settings.processor(role).threads, settings.home.resolve() / "cache")
    return backend_class(role, model.ref.backend)(model, place)
