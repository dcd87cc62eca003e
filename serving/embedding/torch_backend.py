"""Sentence encoders by transformers and torch: the GPU path, and the fallback where OpenVINO is missing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from infra.errors import ConfigurationError, Unavailable
from serving.backends.backend import give_back_memory
from serving.roles.embedding import EmbeddingBackend


class TorchEmbedding(EmbeddingBackend):
    """Mean pooling over the mask, unit length. The source is a safetensors file in a model's folder, or the folder."""

    name = "torch"
    devices = ("cpu", "cuda")
    dimensions = 384

    _model: Any = None
    _tokens: Any = None

    def load(self) -> None:
        import torch
        from transformers import AutoModel

        from serving.embedding.tokens import TextTokens

        if self.place.device == "cuda" and not torch.cuda.is_available():
            raise ConfigurationError(
                "models.embedding.device is cuda, but torch finds no CUDA device. Set it to cpu, or see `workbench doctor`."
            )
        path = self.weights()
        folder = path if path.is_dir() else path.parent
        if self.place.device == "cpu":
            torch.set_num_threads(self.place.thread_count)
        self._tokens = TextTokens(folder / "tokenizer.json")
        model = AutoModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)  # nosec B615  # a folder
        self._model = model.eval().to(self.place.device)
        self.dimensions = int(model.config.hidden_size)
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        if self._model is None:
            raise Unavailable("The embedding model is not loaded. Try again in a moment.")
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for batch in self._tokens.batches(texts):
            with self._lock, torch.inference_mode():
                ids = torch.from_numpy(batch.ids).to(self.place.device)
                mask = torch.from_numpy(batch.mask).to(self.place.device)
                states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
                weight = mask.unsqueeze(-1).to(states.dtype)
                mean = (states * weight).sum(1) / weight.sum(1)
                vectors[batch.rows] = torch.nn.functional.normalize(mean, dim=1).float().cpu().numpy()
        return vectors

    def close(self) -> None:
        self._model = self._tokens = None
        give_back_memory()
        if self.place.device == "cuda":
            import torch

            torch.cuda.empty_cache()
