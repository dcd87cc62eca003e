"""Backends by role and name; imported when they are first used, so a replica loads only its own."""

from __future__ import annotations

import importlib

from infra.backends import find_backend
from infra.errors import ConfigurationError
from infra.settings import Settings
from serving.backends.backend import Backend, Place
from serving.registry.versions import ModelVersion
from serving.roles import known_roles


def backend_class(role: str, name: str) -> type[Backend]:
    """The class of a backend.

    Raises:
        ConfigurationError: the role has none of this name, or the name leads to something else.
    """
    module, _, attribute = find_backend(role, name).partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"The backend '{name}' of the role {role} cannot be imported: {error}.") from error
    base = known_roles()[role].backend
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigurationError(
            f"{module}:{attribute} is no backend of the role {role}: derive it from {base.__module__}.{base.__name__}."
        )
    return found


def make_backend(settings: Settings, model: ModelVersion) -> Backend:
    """The (not yet loaded) backend of a version, placed as the settings say."""
    role = model.ref.role
    place = Place(model.ref.device, settings.processor(role).threads, settings.home.resolve() / "cache")
    return backend_class(role, model.ref.backend)(model, place)
