"""The weights: half-precision safetensors with a JSON beside them that says what they are. Reading imports no torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import ModelMissing
from serving.registry.embedded import EMBEDDED, check_digest, resolve
from serving.registry.versions import sha256_of
from serving.roles.entailment import ENTAILMENT_LABELS

if TYPE_CHECKING:
    from serving.entailment.network import CrossEncoder

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
DEFAULT_WEIGHTS = WEIGHTS_FOLDER / "entailment.safetensors"
FORMAT = "workbench.entailment/1"
READER_FORMAT = "workbench.entailment-reader/1"
"""Of adapters for a base model (:mod:`serving.entailment.reader_network`, which imports torch)."""
TOKENIZER = EMBEDDED["embedding"].source.replace("model.safetensors", "tokenizer.json")


@dataclass(frozen=True)
class WeightsInfo:
    """The sidecar.

    Attributes:
        digest: sha256 of the weights.
        shape: the encoder's sizes, as BERT's ``config.json`` names them.
        temperature: what the logits are divided by.
        max_tokens: of a pair.
        tokenizer: path of its file.
        extra: what else the sidecar says (steps, data, measures).
    """

    digest: str
    shape: dict[str, Any]
    temperature: float
    max_tokens: int
    tokenizer: Path
    extra: dict[str, Any]


def read_info(path: Path) -> WeightsInfo | None:
    """The sidecar of the weights at ``path``; None where there is none of our format.

    Raises:
        ModelMissing: the tokenizer is not on this machine.
        IntegrityError: it is not the one the weights were trained with.
    """
    try:
        sidecar = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(sidecar, dict) or sidecar.get("format") != FORMAT:
        return None
    if list(sidecar["labels"]) != list(ENTAILMENT_LABELS):
        raise ModelMissing(f"The weights in {path} were trained for other labels ({', '.join(sidecar['labels'])}).", role="entailment")
    tokenizer = resolve(sidecar["tokenizer"], role="entailment")
    check_digest(tokenizer, sidecar["tokenizer_sha256"])
    known = {"format", "labels", "sha256", "shape", "temperature", "max_tokens", "tokenizer", "tokenizer_sha256"}
    return WeightsInfo(
        digest=sidecar["sha256"],
        shape=sidecar["shape"],
        temperature=float(sidecar["temperature"]),
        max_tokens=int(sidecar["max_tokens"]),
        tokenizer=tokenizer,
        extra={key: value for key, value in sidecar.items() if key not in known},
    )


def read_adapters_info(path: Path) -> dict[str, Any] | None:
    """The sidecar of a reader's adapters at ``path``; None where there is none of that format."""
    try:
        said = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or said.get("format") != READER_FORMAT:
        return None
    if list(said["labels"]) != list(ENTAILMENT_LABELS):
        raise ModelMissing(f"The adapters in {path} were trained for other labels ({', '.join(said['labels'])}).", role="entailment")
    return said


def write_weights(network: CrossEncoder, path: Path, *, temperature: float, max_tokens: int, **extra: Any) -> str:
    """Write a network's weights in half precision and the sidecar, each atomically; returns the sha256.

    The tensors go first, so a reader that finds a new file with an old sidecar sees a digest that does not match, and
    never a half-written file.
    """
    from dataclasses import asdict

    import torch
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({name: value.detach().to("cpu", torch.float16).contiguous() for name, value in network.named_weights().items()}, partial)
    sidecar = {
        "format": FORMAT,
        "sha256": sha256_of(partial),
        "network": "serving.entailment.network.CrossEncoder",
        "labels": list(ENTAILMENT_LABELS),
        "shape": asdict(network.shape),
        "temperature": round(temperature, 4),
        "max_tokens": max_tokens,
        "tokenizer": TOKENIZER,
        "tokenizer_sha256": sha256_of(resolve(TOKENIZER, role="entailment")),
        **extra,
    }
    partial_json = path.with_suffix(".json.partial")
    partial_json.write_text(json.dumps(sidecar, indent=1) + "\n")
    partial.chmod(0o644)  # safetensors writes files that only their owner may read
    os.replace(partial, path)
    os.replace(partial_json, path.with_suffix(".json"))
    return str(sidecar["sha256"])


def load_network(path: Path = DEFAULT_WEIGHTS) -> CrossEncoder:
    """The network of the weights at ``path``, float32, evaluation mode. Imports torch.

    Raises:
        ModelMissing: there are no such weights.
        IntegrityError: they are not those of their sidecar.
    """
    from safetensors.torch import load_file

    from serving.entailment.network import CrossEncoder, Shape

    info = read_info(path)
    if info is None or not path.is_file():
        raise ModelMissing(f"{path} and its .json are no entailment weights.", role="entailment")
    check_digest(path, info.digest)
    network = CrossEncoder(Shape(**info.shape))
    network.load_weights(load_file(path))
    return network.eval()
