"""The large reader as an OpenVINO graph, built from the base model's file and the adapters; the same operations as reader_network.py."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import openvino as ov
from openvino import opset13 as op

from serving.embedding.bert_graph import BertGraph, axes
from serving.entailment.graph import classify
from serving.entailment.pairs import PADDING

BUCKETS, FURTHEST, MOST_TOKENS = 32, 128, 512


class MpnetGraph(BertGraph):
    """The operations of an MPNet encoder: BERT's, with a bias by relative position and low-rank adapters merged into its maps.

    Args:
        weights: of the base model, by the names in its file.
        adapters: ``layer.N.MAP.down`` ``(rank, in)`` and ``layer.N.MAP.up`` ``(out, rank)``, float; and what else was trained.
    """

    QUERY, KEY, VALUE = (f"attention.attn.{part}" for part in "qkv")
    ATTENTION_OUT, ATTENTION_NORM = "attention.attn.o", "attention.LayerNorm"
    FIRST_POSITION = 2

    def __init__(
        self, weights: Mapping[str, np.ndarray], adapters: Mapping[str, np.ndarray], *, layers: int, heads: int, epsilon: float
    ) -> None:
        merged = dict(weights)
        for name, down in adapters.items():
            if name.endswith(".down"):
                place = name.removesuffix(".down")
                up = np.asarray(adapters[f"{place}.up"], np.float32)
                merged[f"encoder.{place}.weight"] = weights[f"encoder.{place}.weight"] + up @ np.asarray(down, np.float32)
        super().__init__(merged, layers=layers, heads=heads, epsilon=epsilon)
        self._count = layers

    def read(self, ids: ov.Node, seen: ov.Node, kinds: ov.Node, *, first_layer: int) -> ov.Node:
        """float32 ``(pairs, tokens, hidden)``; ``kinds`` are the vectors added to the states before layer ``first_layer``."""
        x = self.norm(self.embedded(ids), "embeddings.LayerNorm")
        added = op.add(self._relative(ids), self.hiding(seen))
        for layer in range(self._count):
            x = self.layer(op.add(x, kinds) if layer == first_layer else x, added, f"encoder.layer.{layer}")
        return x

    def _relative(self, ids: ov.Node) -> ov.Node:
        """The bias of each pair of positions: float32 ``(1, heads, tokens, tokens)``."""
        by_distance = np.asarray(self.weights["encoder.relative_attention_bias.weight"], np.float32)[buckets()]
        tokens = op.gather(op.shape_of(ids), op.constant(1), op.constant(0))
        positions = op.range(op.constant(np.int64(0)), tokens, op.constant(np.int64(1)), "i64")
        distance = op.subtract(op.unsqueeze(positions, axes(0)), op.unsqueeze(positions, axes(1)))
        row = op.add(distance, op.constant(np.int64(MOST_TOKENS - 1)))
        return op.unsqueeze(op.transpose(op.gather(op.constant(by_distance), row, op.constant(0)), axes(2, 0, 1)), axes(0))


def buckets() -> np.ndarray:
    """int64 ``(2 * MOST_TOKENS - 1,)``: the bucket of each distance from ``1 - MOST_TOKENS`` up (later minus earlier position).

    Half of the buckets are for each direction, half of those exact, the others logarithmic up to ``FURTHEST`` (T5 and MPNet).
    """
    distance = np.arange(1 - MOST_TOKENS, MOST_TOKENS)
    half, exact = BUCKETS // 2, BUCKETS // 4
    away = np.abs(distance)
    # float32, as transformers computes it: a distance on the border of two buckets must fall on the same side.
    scaled = np.log(np.maximum(away, 1).astype(np.float32) / np.float32(exact)) / np.float32(math.log(FURTHEST / exact))
    far = exact + (scaled * (half - exact)).astype(np.int64)
    return (distance > 0) * half + np.where(away < exact, away, np.minimum(far, half - 1))


def reader(
    weights: Mapping[str, np.ndarray],
    adapters: Mapping[str, np.ndarray],
    *,
    layers: int,
    heads: int,
    epsilon: float,
    first_layer: int,
    temperature: float,
) -> ov.Model:
    """Inputs ``input_ids`` and ``kinds``, int64 ``(pairs, tokens)``; output float32 ``(pairs, 3)``, probabilities.

    ``weights`` must outlive the model: its constants point into them.
    """
    graph = MpnetGraph({**weights, **_head(adapters)}, adapters, layers=layers, heads=heads, epsilon=epsilon)
    ids = op.parameter([-1, -1], np.int64, name="input_ids")
    kinds = op.parameter([-1, -1], np.int64, name="kinds")
    seen = op.convert(op.not_equal(kinds, op.constant(np.int64(PADDING))), np.float32)
    vectors = op.gather(op.constant(np.asarray(adapters["kinds"], np.float32)), kinds, op.constant(0))
    probabilities = classify(graph, graph.read(ids, seen, vectors, first_layer=first_layer), kinds, temperature)
    return ov.Model([op.result(probabilities)], [ids, kinds], "entailment_reader")  # pyright: ignore[reportGeneralTypeIssues] - its stub names another class


def _head(adapters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = ("dense.weight", "dense.bias", "out.weight", "out.bias")
    return {f"head.{name}": np.ascontiguousarray(adapters[name], np.float32) for name in names}
