"""The large entailment reader, in torch: all-mpnet-base-v2 with low-rank adapters on its upper layers and a three-way head.

Only the adapters and the head are trained and shipped (LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language
Models", ICLR 2022); the base model's file stays as its publisher made it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from serving.entailment.pairs import CLAIM, CLAIM_SHARED, KINDS, PADDING, PASSAGE, PASSAGE_SHARED
from serving.registry.versions import sha256_of
from serving.roles.entailment import ENTAILMENT_LABELS

FORMAT = "workbench.entailment-reader/1"
CLASSES = len(ENTAILMENT_LABELS)
ADAPTED = ("attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o", "intermediate.dense", "output.dense")


@dataclass(frozen=True)
class Adapters:
    """Which layers are adapted: those from ``first_layer`` (0 to 11) up, each linear map by a product of rank ``rank``."""

    first_layer: int = 6
    rank: int = 32


class LowRank(nn.Module):
    """A frozen linear map plus a trained product of two narrow ones; the sum is the frozen map at the start."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + nn.functional.linear(nn.functional.linear(x, self.down), self.up)


class Reader(nn.Module):
    """Claim and passage read together; float32 logits ``(pairs, 3)``.

    Args:
        folder: of the base model (``config.json``, ``model.safetensors``).
        adapters: which layers are adapted.
        dropout: of the head.
    """

    def __init__(self, folder: Path, adapters: Adapters | None = None, *, dropout: float = 0.1) -> None:
        from transformers import MPNetModel

        super().__init__()
        self.adapters = adapters or Adapters()
        base = MPNetModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager", dtype=torch.float32)  # nosec B615  # a folder
        base.requires_grad_(False)
        for module in base.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        for layer in base.encoder.layer[self.adapters.first_layer :]:
            for name in ADAPTED:
                parent, _, last = name.rpartition(".")
                owner = layer.get_submodule(parent)
                setattr(owner, last, LowRank(getattr(owner, last), self.adapters.rank))
        width = base.config.hidden_size
        self.base = base
        self.kinds = nn.Parameter(torch.zeros(KINDS, width))
        self.dense = nn.Linear(3 * width, width)
        self.out = nn.Linear(width, CLASSES)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, kinds: Tensor) -> Tensor:
        """``ids`` and ``kinds``: int64 ``(pairs, tokens)``, as :class:`serving.entailment.pairs.PairTokens` gives them."""
        base, seen = self.base, kinds != PADDING
        with torch.no_grad():
            positions = torch.arange(2, ids.shape[1] + 2, device=ids.device).expand_as(ids)
            states = base.embeddings(input_ids=ids, position_ids=positions)
            bias = base.encoder.compute_position_bias(states)
            bias = bias + (~seen)[:, None, None, :].to(bias.dtype) * -1e4
            for layer in base.encoder.layer[: self.adapters.first_layer]:
                states = layer(states, position_bias=bias)[0]
        states = states + self.kinds[kinds]
        for layer in base.encoder.layer[self.adapters.first_layer :]:
            states = layer(states, position_bias=bias)[0]
        states = states.float()
        pooled = torch.cat([states[:, 0], _mean(states, kinds, CLAIM, CLAIM_SHARED), _mean(states, kinds, PASSAGE, PASSAGE_SHARED)], 1)
        with torch.autocast(ids.device.type, enabled=False):
            return self.out(self.dropout(torch.tanh(self.dense(self.dropout(pooled)))))

    def trained(self) -> dict[str, nn.Parameter]:
        """What is trained and shipped, by name."""
        return {name.removeprefix("base.encoder."): value for name, value in self.named_parameters() if value.requires_grad}

    def load_trained(self, weights: dict[str, Tensor]) -> None:
        """Raises KeyError or RuntimeError where a weight is missing or has another shape."""
        with torch.no_grad():
            for name, parameter in self.trained().items():
                parameter.copy_(weights[name])


def _mean(states: Tensor, kinds: Tensor, *wanted: int) -> Tensor:
    weight = sum((kinds == kind) for kind in wanted).unsqueeze(2).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def write_adapters(network: Reader, path: Path, *, base: Path, temperature: float, max_tokens: int, **extra: Any) -> None:
    """Write what was trained, in half precision, and beside it a JSON file that names the base model by its digest."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({name: value.detach().to("cpu", torch.float16).contiguous() for name, value in network.trained().items()}, partial)
    sidecar = {
        "format": FORMAT,
        "sha256": sha256_of(partial),
        "base": "all-mpnet-base-v2",
        "base_sha256": sha256_of(base / "model.safetensors"),
        "labels": list(ENTAILMENT_LABELS),
        "adapters": asdict(network.adapters),
        "temperature": round(temperature, 4),
        "max_tokens": max_tokens,
        **extra,
    }
    partial.chmod(0o644)
    partial.replace(path)
    path.with_suffix(".json").write_text(json.dumps(sidecar, indent=1) + "\n")
