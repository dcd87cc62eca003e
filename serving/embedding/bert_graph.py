"""A BERT sentence encoder as an OpenVINO graph, built from its safetensors file.

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


def sentence_encoder(weights: Mapping[str, np.ndarray], *, layers: int, heads: int, epsilon: float) -> ov.Model:
    """Inputs ``input_ids`` and ``attention_mask``, int64 ``(texts, tokens)``; output float32 ``(texts, hidden)``.

    Token vectors are averaged over the mask and scaled to length one, as sentence-transformers does. ``weights`` must
    outlive the model: its constants point into them.
    """

    def tensor(name: str) -> ov.Node:
        return op.constant(weights[name], shared_memory=True)

    def axes(*values: int) -> ov.Node:
        return op.constant(np.array(values, np.int64))

    def norm(x: ov.Node, name: str) -> ov.Node:
        scaled = op.multiply(op.mvn(x, axes(-1), True, epsilon, "inside_sqrt"), tensor(f"{name}.weight"))
        return op.add(scaled, tensor(f"{name}.bias"))

    def dense(x: ov.Node, name: str) -> ov.Node:
        return op.add(op.matmul(x, tensor(f"{name}.weight"), False, True), tensor(f"{name}.bias"))

    hidden = weights["embeddings.word_embeddings.weight"].shape[1]
    ids = op.parameter([-1, -1], np.int64, name="input_ids")
    mask = op.parameter([-1, -1], np.int64, name="attention_mask")

    tokens = op.gather(op.shape_of(ids), axes(1), op.constant(0))
    positions = op.slice(tensor("embeddings.position_embeddings.weight"), axes(0), tokens, axes(1), axes(0))
    words = op.gather(tensor("embeddings.word_embeddings.weight"), ids, op.constant(0))
    first_type = op.constant(np.ascontiguousarray(weights["embeddings.token_type_embeddings.weight"][0]))
    x = norm(op.add(op.add(words, positions), first_type), "embeddings.LayerNorm")

    seen = op.convert(mask, np.float32)
    hide = op.multiply(op.subtract(op.constant(np.float32(1)), op.unsqueeze(seen, axes(1, 2))), op.constant(np.float32(-1e9)))

    def split_heads(y: ov.Node) -> ov.Node:
        return op.transpose(op.reshape(y, axes(0, 0, heads, hidden // heads), True), axes(0, 2, 1, 3))

    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        query, key, value = (split_heads(dense(x, f"{name}.attention.self.{part}")) for part in ("query", "key", "value"))
        heard = op.transpose(op.scaled_dot_product_attention(query, key, value, hide), axes(0, 2, 1, 3))
        heard = dense(op.reshape(heard, axes(0, 0, hidden), True), f"{name}.attention.output.dense")
        x = norm(op.add(heard, x), f"{name}.attention.output.LayerNorm")
        wide = op.gelu(dense(x, f"{name}.intermediate.dense"), "erf")
        x = norm(op.add(dense(wide, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    weight = op.unsqueeze(seen, axes(2))
    mean = op.divide(op.reduce_sum(op.multiply(x, weight), axes(1), False), op.reduce_sum(weight, axes(1), False))
    unit = op.normalize_l2(mean, axes(1), 1e-24, "add")
    return ov.Model([op.result(unit)], [ids, mask], "sentence_encoder")  # pyright: ignore[reportGeneralTypeIssues] - its stub names another class
