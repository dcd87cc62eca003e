"""The shipped weights: bf16 safetensors with a JSON beside them that says how to use them.

Needs numpy and the standard library to read the sidecar; torch only to write or load tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.segmentation.labels import LEFT_IDS, NAMES, RIGHT_IDS

if TYPE_CHECKING:
    from torch import nn

    from serving.segmentation.network import NetworkShape

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
DEFAULT_WEIGHTS = WEIGHTS_FOLDER / "brain.safetensors"


@dataclass(frozen=True)
class WeightsInfo:
    """The sidecar. path: the safetensors file; digest: its sha256; filters, hidden: the network's widths;
    names, left_ids, right_ids: per softmax class; spacing_mm: of input and output; step: iterations."""

    path: Path
    digest: str
    filters: tuple[int, ...]
    hidden: int
    names: tuple[str, ...]
    left_ids: tuple[int, ...]
    right_ids: tuple[int, ...]
    spacing_mm: float
    step: int
    extra: dict[str, Any]

    @property
    def multiple(self) -> int:
        """Every side of the network's input must be a multiple of this many voxels."""
        return 2 ** len(self.filters)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_info(path: Path = DEFAULT_WEIGHTS) -> WeightsInfo:
    """Read the sidecar of the weights at `path`.

    Raises FileNotFoundError when either is missing, ValueError when the digest does not match.
    """
    sidecar = json.loads(path.with_suffix(".json").read_text())
    digest = sha256_of(path)
    if digest != sidecar["sha256"]:
        raise ValueError(f"{path.name} is not the file its sidecar describes: its sha256 is {digest}")
    known = {"sha256", "filters", "hidden", "names", "left_ids", "right_ids", "spacing_mm", "step"}
    return WeightsInfo(
        path=path,
        digest=digest,
        filters=tuple(sidecar["filters"]),
        hidden=int(sidecar["hidden"]),
        names=tuple(sidecar["names"]),
        left_ids=tuple(sidecar["left_ids"]),
        right_ids=tuple(sidecar["right_ids"]),
        spacing_mm=float(sidecar["spacing_mm"]),
        step=int(sidecar["step"]),
        extra={k: v for k, v in sidecar.items() if k not in known},
    )


def write_weights(state: dict[str, Any], shape: NetworkShape, step: int, path: Path, spacing_mm: float = 1.0, **extra: Any) -> str:
    """Write named parameters as bf16 safetensors and its sidecar, each atomically; return the sha256.

    The tensors go first, so a reader that finds a new file with an old sidecar sees a digest that
    does not match, and never a half-written file.
    """
    import torch
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().to("cpu", torch.bfloat16).contiguous() for k, v in state.items()}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    sidecar = {
        "format": "workbench.segmentation/1",
        "sha256": sha256_of(partial),
        "network": "serving.segmentation.network.BrainNetwork",
        "filters": list(shape.filters),
        "hidden": shape.hidden,
        "names": list(NAMES),
        "left_ids": LEFT_IDS.tolist(),
        "right_ids": RIGHT_IDS.tolist(),
        "spacing_mm": spacing_mm,
        "orientation": "RAS",
        "normalisation": "divide by the 99th percentile of voxels above 2 % of the maximum, clip to 0..2",
        "step": step,
        **extra,
    }
    partial_json = path.with_suffix(".json.partial")
    partial_json.write_text(json.dumps(sidecar, indent=1) + "\n")
    partial.chmod(0o644)  # safetensors writes files that only their owner may read
    os.replace(partial, path)
    os.replace(partial_json, path.with_suffix(".json"))
    return str(sidecar["sha256"])


def load_network(path: Path = DEFAULT_WEIGHTS) -> nn.Module:
    """The network of the weights at `path`, float32, evaluation mode, on the CPU. Imports torch."""
    from safetensors.torch import load_file

    from serving.segmentation.network import BrainNetwork, NetworkShape, load_parameters

    info = read_info(path)
    network = BrainNetwork(NetworkShape(filters=info.filters, hidden=info.hidden, classes=len(info.names)))
    load_parameters(network, load_file(path))
    return network.eval()
