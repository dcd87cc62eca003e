"""The embedded entailment model on a CPU, by OpenVINO; imports no torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from infra.errors import ConfigurationError, Unavailable
from serving.backends.backend import give_back_memory
from serving.registry.sources import main_file
from serving.roles.entailment import EntailmentBackend


class OpenVinoEntailment(EntailmentBackend):
    """Weights of :mod:`serving.entailment.training.train`, computed in bfloat16 where the processor has it, else in float32.

    Three times as fast with AMX; ``python -m tests.benchmarks.entailment_precision`` prints both times and how far apart the
    probabilities are (.0006 on average and .020 at most over 640 pairs, no label changed).
    """

    name = "openvino"
    precision: ClassVar[str] = "bf16"

    _model: Any = None
    _tokens: Any = None
    _request: Any = None
    _weights: Any = None

    def load(self) -> None:
        import openvino as ov

        from serving.embedding.bert_graph import mapped_tensors
        from serving.entailment.graph import cross_encoder
        from serving.entailment.pairs import PairTokens
        from serving.entailment.weights_file import read_info

        path = main_file(self.weights())
        info = read_info(path)
        if info is None:
            raise ConfigurationError(
                f"{path} has no sidecar of serving.entailment.training.train beside it. "
                "Other sequence-classification models run by the backend torch."
            )
        self._weights = mapped_tensors(path)
        graph = cross_encoder(
            self._weights,
            layers=int(info.shape["num_hidden_layers"]),
            heads=int(info.shape["num_attention_heads"]),
            epsilon=float(info.shape["layer_norm_eps"]),
            temperature=info.temperature,
        )
        self._tokens = PairTokens(info.tokenizer, max_tokens=info.max_tokens)
        core = ov.Core()
        self._model = core.compile_model(
            graph,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": self.place.thread_count,
                "INFERENCE_PRECISION_HINT": self.precision if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32",
                "ENABLE_CPU_PINNING": False,  # replicas share the processors
            },
        )
        self._request = self._model.create_infer_request()
        give_back_memory()  # what compiling took
        self._lock = threading.Lock()  # one request object: calls take turns, each with all threads

    def entail(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        if self._model is None:
            raise Unavailable("The entailment model is not loaded. Try again in a moment.")
        probabilities = np.empty((len(pairs), 3), np.float32)
        for batch in self._tokens.batches(pairs):
            with self._lock:
                probabilities[batch.rows] = self._request.infer([batch.ids, batch.kinds], share_inputs=True)[0]
        return probabilities

    def close(self) -> None:
        self._model = self._request = self._tokens = self._weights = None
        give_back_memory()
