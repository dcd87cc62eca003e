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

    seen = op.convert(op.not_equal(kinds, op.constant(np.int64(PADDING))), np.float32)
    types = op.gather(bert.tensor("embeddings.token_type_embeddings.weight"), kinds, op.constant(0))
    probabilities = classify(bert, bert.states(ids, types, seen), kinds, temperature)
    return ov.Model([op.result(probabilities)], [ids, kinds], "cross_encoder")  # pyright: ignore[reportGeneralTypeIssues] - its stub names another class


def classify(encoder: BertGraph, states: ov.Node, kinds: ov.Node, temperature: float) -> ov.Node:
    """Probabilities, float32 ``(pairs, 3)``, by the head over the first token and the means of the claim's and the passage's tokens."""

    def mean(*wanted: int) -> ov.Node:
        found = [op.convert(op.equal(kinds, op.constant(np.int64(kind))), np.float32) for kind in wanted]
        weight = op.unsqueeze(op.add(*found), axes(2))
        total = op.reduce_sum(op.multiply(states, weight), axes(1), False)
        return op.divide(total, op.maximum(op.reduce_sum(weight, axes(1), False), op.constant(np.float32(1))))

    first = op.gather(states, op.constant(0), op.constant(1))
    pooled = op.concat([first, mean(CLAIM, CLAIM_SHARED), mean(PASSAGE, PASSAGE_SHARED)], 1)
    logits = encoder.dense(op.tanh(encoder.dense(pooled, "head.dense")), "head.out")
    return op.softmax(op.divide(logits, op.constant(np.float32(temperature))), 1)
