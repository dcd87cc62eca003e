"""all-MiniLM-L6-v2 (and other BERT sentence encoders) on a CPU, by OpenVINO; imports no torch."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from infra.errors import Unavailable
from serving.backends.backend import give_back_memory
from serving.registry.sources import main_file
from serving.roles.embedding import EmbeddingBackend


class OpenVinoEmbedding(EmbeddingBackend):
    """Computes in float32: the vectors are the publisher's to six digits, on every machine."""

    name = "openvino"
    dimensions = 384

    _model: Any = None
    _tokens: Any = None
    _request: Any = None

    def load(self) -> None:
        import openvino as ov

        from serving.embedding.bert_graph import mapped_tensors, sentence_encoder
        from serving.embedding.tokens import TextTokens

        path = main_file(self.weights())
        config = json.loads((path.parent / "config.json").read_text())
        self.dimensions = int(config["hidden_size"])
        self._weights = mapped_tensors(path)
        graph = sentence_encoder(
            self._weights,
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            epsilon=float(config["layer_norm_eps"]),
        )
        self._tokens = TextTokens(path.parent / "tokenizer.json")
        self._model = ov.Core().compile_model(
            graph,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": self.place.thread_count,
                "INFERENCE_PRECISION_HINT": "f32",
                "ENABLE_CPU_PINNING": False,  # replicas share the processors
            },
        )
        self._request = self._model.create_infer_request()
        give_back_memory()  # what compiling took
        self._lock = threading.Lock()  # one request object: calls take turns, each with all threads

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if self._model is None:
            raise Unavailable("The embedding model is not loaded. Try again in a moment.")
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for batch in self._tokens.batches(texts):
            with self._lock:
                vectors[batch.rows] = self._request.infer([batch.ids, batch.mask], share_inputs=True)[0]
        return vectors

    def close(self) -> None:
        self._model = self._request = self._tokens = self._weights = None
        give_back_memory()
