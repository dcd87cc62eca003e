"""A BERT encoder as an OpenVINO graph, built from its safetensors file.

No torch, no conversion, no second copy: the graph's constants are the mapped file's own pages, which replicas on
one machine share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op

NUMPY_TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}


def mapped_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, as views of its mapped pages (copy-on-write: the file is never changed)."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    data = np.memmap(path, np.uint8, "c", offset=8 + length)
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            found[name] = data[start:end].view(NUMPY_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return found


class BertGraph:
    """The operations of a BERT encoder over its weights.

    ``weights`` must outlive the model: its constants point into them. Half-precision weights are computed with as
    float32.
    """

    QUERY, KEY, VALUE = (f"attention.self.{part}" for part in ("query", "key", "value"))
    ATTENTION_OUT, ATTENTION_NORM = "attention.output.dense", "attention.output.LayerNorm"
    FIRST_POSITION = 0

    def __init__(self, weights: Mapping[str, np.ndarray], *, layers: int, heads: int, epsilon: float) -> None:
        self.weights, self._layers, self._heads, self._epsilon = weights, layers, heads, epsilon
        self.hidden = int(weights["embeddings.word_embeddings.weight"].shape[1])

    def tensor(self, name: str) -> ov.Node:
        constant = op.constant(self.weights[name], shared_memory=True)
        return op.convert(constant, np.float32) if self.weights[name].dtype == np.float16 else constant

    def norm(self, x: ov.Node, name: str) -> ov.Node:
        scaled = op.multiply(op.mvn(x, axes(-1), True, self._epsilon, "inside_sqrt"), self.tensor(f"{name}.weight"))
        return op.add(scaled, self.tensor(f"{name}.bias"))

    def dense(self, x: ov.Node, name: str) -> ov.Node:
        return op.add(op.matmul(x, self.tensor(f"{name}.weight"), False, True), self.tensor(f"{name}.bias"))

    def states(self, ids: ov.Node, types: ov.Node, seen: ov.Node) -> ov.Node:
        """float32 ``(texts, tokens, hidden)``, the last layer's vector of each token.

        Args:
            ids: int64 ``(texts, tokens)``.
            types: float32, added to every token's vector: one for all, or ``(texts, tokens, hidden)``.
            seen: float32 ``(texts, tokens)``, 1 for a token and 0 for padding.
        """
        x = self.norm(op.add(self.embedded(ids), types), "embeddings.LayerNorm")
        hide = self.hiding(seen)
        for layer in range(self._layers):
            x = self.layer(x, hide, f"encoder.layer.{layer}")
        return x

    def embedded(self, ids: ov.Node) -> ov.Node:
        """Word and position vectors, added: float32 ``(texts, tokens, hidden)``."""
        tokens = op.gather(op.shape_of(ids), axes(1), op.constant(0))
        first = axes(self.FIRST_POSITION)
        positions = op.slice(self.tensor("embeddings.position_embeddings.weight"), first, op.add(tokens, first), axes(1), axes(0))
        return op.add(op.gather(self.tensor("embeddings.word_embeddings.weight"), ids, op.constant(0)), positions)

    def hiding(self, seen: ov.Node) -> ov.Node:
        """What is added to attention scores so that padding is not seen: float32 ``(texts, 1, 1, tokens)``."""
        return op.multiply(op.subtract(op.constant(np.float32(1)), op.unsqueeze(seen, axes(1, 2))), op.constant(np.float32(-1e9)))

    def layer(self, x: ov.Node, added: ov.Node, name: str) -> ov.Node:
        """One layer; ``added`` is added to the attention scores ``(texts, heads, tokens, tokens)``."""
        query, key, value = (self._split_heads(self.dense(x, f"{name}.{part}")) for part in (self.QUERY, self.KEY, self.VALUE))
        heard = op.transpose(op.scaled_dot_product_attention(query, key, value, added), axes(0, 2, 1, 3))
        heard = self.dense(op.reshape(heard, axes(0, 0, self.hidden), True), f"{name}.{self.ATTENTION_OUT}")
        x = self.norm(op.add(heard, x), f"{name}.{self.ATTENTION_NORM}")
        wide = op.gelu(self.dense(x, f"{name}.intermediate.dense"), "erf")
        return self.norm(op.add(self.dense(wide, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    def _split_heads(self, y: ov.Node) -> ov.Node:
        return op.transpose(op.reshape(y, axes(0, 0, self._heads, self.hidden // self._heads), True), axes(0, 2, 1, 3))


def axes(*values: int) -> ov.Node:
    """A constant of axes, indices or a shape."""
    return op.constant(np.array(values, np.int64))


def sentence_encoder(weights: Mapping[str, np.ndarray], *, layers: int, heads: int, epsilon: float) -> ov.Model:
    """Inputs ``input_ids`` and ``attention_mask``, int64 ``(texts, tokens)``; output float32 ``(texts, hidden)``.

    Token vectors are averaged over the mask and scaled to length one, as sentence-transformers does. ``weights`` must
    outlive the model: its constants point into them.
    """
    bert = BertGraph(weights, layers=layers, heads=heads, epsilon=epsilon)
    ids = op.parameter([-1, -1], np.int64, name="input_ids")
    mask = op.parameter([-1, -1], np.int64, name="attention_mask")
    seen = op.convert(mask, np.float32)
    first_type = op.constant(np.ascontiguousarray(weights["embeddings.token_type_embeddings.weight"][0]))
    states = bert.states(ids, first_type, seen)
    weight = op.unsqueeze(seen, axes(2))
    mean = op.divide(op.reduce_sum(op.multiply(states, weight), axes(1), False), op.reduce_sum(weight, axes(1), False))
    unit = op.normalize_l2(mean, axes(1), 1e-24, "add")
    return ov.Model([op.result(unit)], [ids, mask], "sentence_encoder")  # pyright: ignore[reportGeneralTypeIssues] - its stub names another class
