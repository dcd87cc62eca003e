"""The embedded entailment models on a CPU, by OpenVINO: the small cross-encoder, and the reader on a larger base. Imports no torch."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from infra.errors import ConfigurationError, ModelMissing, Unavailable
from serving.backends.backend import give_back_memory
from serving.entailment.weights_file import read_adapters_info
from serving.registry.embedded import check_digest
from serving.registry.sources import main_file
from serving.roles.entailment import EntailmentBackend


class OpenVinoEntailment(EntailmentBackend):
    """Weights of :mod:`serving.entailment.training.train`, or adapters of :mod:`serving.entailment.training.train_reader`.

    Computed in bfloat16 where the processor has it, else in float32.

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

        path = main_file(self.weights())
        graph = self._large(path) if read_adapters_info(path) else self._small(path)
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

    def _small(self, path: Path) -> Any:
        """The graph of the cross-encoder whose whole weights lie at ``path``."""
        from serving.embedding.bert_graph import mapped_tensors
        from serving.entailment.graph import cross_encoder
        from serving.entailment.pairs import PairTokens
        from serving.entailment.weights_file import read_info

        info = read_info(path)
        if info is None:
            raise ConfigurationError(
                f"{path} has no sidecar of serving.entailment.training.train beside it. "
                "Other sequence-classification models run by the backend torch."
            )
        self._weights = mapped_tensors(path)
        self._tokens = PairTokens(info.tokenizer, max_tokens=info.max_tokens)
        return cross_encoder(
            self._weights,
            layers=int(info.shape["num_hidden_layers"]),
            heads=int(info.shape["num_attention_heads"]),
            epsilon=float(info.shape["layer_norm_eps"]),
            temperature=info.temperature,
        )

    def _large(self, path: Path) -> Any:
        """The graph of the reader whose adapters lie at ``path``, over its base model."""
        from serving.downloads import folder_of, is_there
        from serving.embedding.bert_graph import mapped_tensors
        from serving.entailment.pairs import PairTokens
        from serving.entailment.reader_graph import reader

        info = read_adapters_info(path) or {}
        base = folder_of(info["base"])
        if not is_there(info["base"]):
            raise ModelMissing(
                f"The base model of the entailment reader is not on this machine. Fetch it: python -m serving.downloads {info['base']}",
                role="entailment",
            )
        check_digest(base / "model.safetensors", info["base_sha256"])
        config = json.loads((base / "config.json").read_text())
        adapters = mapped_tensors(path)
        self._weights = (mapped_tensors(base / "model.safetensors"), adapters)
        self._tokens = PairTokens(base / "tokenizer.json", max_tokens=int(info["max_tokens"]))
        return reader(
            self._weights[0],
            adapters,
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            epsilon=float(config["layer_norm_eps"]),
            first_layer=int(info["adapters"]["first_layer"]),
            temperature=float(info["temperature"]),
        )

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
