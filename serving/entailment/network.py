"""The cross-encoder, in torch: claim and passage read together by a BERT encoder, three logits out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from serving.entailment.pairs import CLAIM, CLAIM_SHARED, KINDS, PADDING, PASSAGE, PASSAGE_SHARED

CLASSES = 3


@dataclass(frozen=True)
class Shape:
    """Sizes of the encoder, as BERT's ``config.json`` names them."""

    vocab_size: int = 30522
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    max_position_embeddings: int = 512
    layer_norm_eps: float = 1e-12

    @classmethod
    def of_config(cls, config: dict[str, Any]) -> Shape:
        return cls(**{key: config[key] for key in cls.__dataclass_fields__})


class CrossEncoder(nn.Module):
    """BERT with a vector for each kind of token (see :mod:`serving.entailment.pairs`) in place of its segments' vectors.

    The head sees the first token, the mean of the claim's tokens and the mean of the passage's: the share of the
    claim's words that the passage has is then one linear step away.
    """

    def __init__(self, shape: Shape, *, dropout: float = 0.1) -> None:
        from transformers import BertConfig, BertModel

        super().__init__()
        self.shape = shape
        config = BertConfig(**asdict(shape), type_vocab_size=KINDS, hidden_dropout_prob=dropout, attention_probs_dropout_prob=0.0)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dense = nn.Linear(3 * shape.hidden_size, shape.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(shape.hidden_size, CLASSES)

    def forward(self, ids: Tensor, kinds: Tensor) -> Tensor:
        """float32 logits ``(pairs, 3)`` of int64 ``(pairs, tokens)``."""
        states = self.bert(input_ids=ids, token_type_ids=kinds, attention_mask=(kinds != PADDING).long()).last_hidden_state
        states = states.float()
        claim = _mean(states, (kinds == CLAIM) | (kinds == CLAIM_SHARED))
        passage = _mean(states, (kinds == PASSAGE) | (kinds == PASSAGE_SHARED))
        pooled = torch.cat([states[:, 0], claim, passage], 1)
        with torch.autocast(ids.device.type, enabled=False):
            return self.out(self.dropout(torch.tanh(self.dense(self.dropout(pooled)))))

    def named_weights(self) -> dict[str, nn.Parameter]:
        """Parameters by the names in the weights file: the encoder's are BERT's own, the head's begin with ``head.``."""
        return {
            name.removeprefix("bert.") if name.startswith("bert.") else f"head.{name}": parameter
            for name, parameter in self.named_parameters()
        }

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Raises KeyError or RuntimeError where a weight is missing or has another shape."""
        with torch.no_grad():
            for name, parameter in self.named_weights().items():
                parameter.copy_(weights[name].float().reshape(parameter.shape))


def _mean(states: Tensor, where: Tensor) -> Tensor:
    weight = where.unsqueeze(2).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def from_sentence_encoder(folder: Path) -> CrossEncoder:
    """A cross-encoder whose encoder is the sentence encoder in ``folder``; the kinds begin as its first segment, told
    apart by a little noise, and the head begins anew."""
    from safetensors.torch import load_file

    network = CrossEncoder(Shape.of_config(json.loads((folder / "config.json").read_text())))
    weights = load_file(folder / "model.safetensors")
    kinds = weights.pop("embeddings.token_type_embeddings.weight")[:1].repeat(KINDS, 1)
    own = network.named_weights()
    weights = {name: weights[name] for name in own if name in weights}
    weights["embeddings.token_type_embeddings.weight"] = kinds + 0.02 * torch.randn_like(kinds)
    network.load_weights({**{name: parameter.detach() for name, parameter in own.items()}, **weights})
    return network
