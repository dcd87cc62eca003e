"""Which backends there are, by role and name, and which class each is. None is imported here: settings check names by this.

A package of one's own adds to them by entry points of the group ``workbench.backends``, named ROLE.NAME.
"""

from __future__ import annotations

import difflib
import functools
from importlib.metadata import entry_points

from infra.errors import ConfigurationError

GROUP = "workbench.backends"

OWN = {
    "embedding.openvino": "serving.embedding.openvino_backend:OpenVinoEmbedding",
    "embedding.torch": "serving.embedding.torch_backend:TorchEmbedding",
    "entailment.openvino": "serving.entailment.openvino_backend:OpenVinoEntailment",
    "entailment.torch": "serving.entailment.torch_backend:TorchEntailment",
    "llm.genai": "serving.llm.genai_backend:GenaiLanguage",
    "segmentation.bundle-openvino": "serving.segmentation.bundle_backend:OpenVinoBundle",
    "segmentation.bundle-torch": "serving.segmentation.bundle_backend:TorchBundle",
    "segmentation.openvino": "serving.segmentation.backend:OpenVinoSegmentation",
    "segmentation.torch": "serving.segmentation.backend:TorchSegmentation",
}


@functools.cache
def known_backends() -> dict[str, str]:
    """``ROLE.NAME`` to ``MODULE:CLASS``. What the workbench brings itself is not replaced by another package's."""
    return {**{point.name: point.value for point in entry_points(group=GROUP)}, **OWN}


def find_backend(role: str, name: str) -> str:
    """``MODULE:CLASS`` of a backend.

    Raises:
        ConfigurationError: the role has no such backend; the message names those it has.
    """
    target = OWN.get(f"{role}.{name}") or known_backends().get(f"{role}.{name}")
    if target is None:
        names = sorted(known.partition(".")[2] for known in known_backends() if known.startswith(f"{role}."))
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        known = f"Known: {', '.join(names)}." if names else f"Install the package that brings one (entry point group {GROUP})."
        raise ConfigurationError(f"The role '{role}' has no backend '{name}'.{hint} {known}")
    return target
