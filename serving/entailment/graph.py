"""The cross-encoder as an OpenVINO graph, built from its safetensors file; the same operations as network.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import openvino as ov
from openvino import opset13 as op

from serving.embedding.bert_graph import BertGraph, axes
from serving.entailment.pairs import CLAIM, CLAIM_SHARED, PADDING, PASSAGE, PASSAGE_SHARED


def cross_encoder(weights: Mapping[str, np.ndarray], *, layers: int, heads: int, epsilon: float, temperature: float) -> ov.Model:
    """Inputs ``input_ids`` and ``kinds``, int64 ``(pairs, tokens)``; output float32 ``(pairs, 3)``, probabilities.

    ``weights`` must outlive the model: its constants point into them.
    """
    bert = BertGraph(weights, layers=layers, heads=heads, epsilon=epsilon)
    ids = op.parameter([-1, -1], np.int64, name="input_ids")
    kinds = op.parameter([-1, -1], np.int64, name="kinds")

    def share(*wanted: int) -> ov.Node:
        """1 for tokens of the wanted kinds, else 0: float32 ``(pairs, tokens)``."""
        found = [op.convert(op.equal(kinds, op.constant(np.int64(kind))), np.float32) for kind in wanted]
        return found[0] if len(found) == 1 else op.add(*found)

    seen = op.subtract(op.constant(np.float32(1)), share(PADDING))
    types = op.gather(bert.tensor("embeddings.token_type_embeddings.weight"), kinds, op.constant(0))
    states = bert.states(ids, types, seen)

    def mean(where: ov.Node) -> ov.Node:
        weight = op.unsqueeze(where, axes(2))
        total = op.reduce_sum(op.multiply(states, weight), axes(1), False)
        return op.divide(total, op.maximum(op.reduce_sum(weight, axes(1), False), op.constant(np.float32(1))))

    first = op.gather(states, op.constant(0), op.constant(1))
    pooled = op.concat([first, mean(share(CLAIM, CLAIM_SHARED)), mean(share(PASSAGE, PASSAGE_SHARED))], 1)
    logits = bert.dense(op.tanh(bert.dense(pooled, "head.dense")), "head.out")
    probabilities = op.softmax(op.divide(logits, op.constant(np.float32(temperature))), 1)
    return ov.Model([op.result(probabilities)], [ids, kinds], "cross_encoder")  # pyright: ignore[reportGeneralTypeIssues] - its stub names another class
