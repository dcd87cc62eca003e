"""Entailment by torch: the GPU path, and any sequence-classification model of transformers."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import ConfigurationError, InvalidInput, Unavailable
from serving.backends.backend import give_back_memory
from serving.entailment.calibration import softmax
from serving.entailment.weights_file import read_info
from serving.registry.sources import main_file
from serving.roles.entailment import ENTAILMENT_LABELS, EntailmentBackend

NAMES = {
    "entail": "entailed",
    "support": "entailed",
    "contradict": "contradicted",
    "refut": "contradicted",
    "neutral": "not_mentioned",
    "not_mention": "not_mentioned",
    "notmention": "not_mentioned",
    "not_enough": "not_mentioned",
}
"""What model cards call the three labels, by how the name begins (``entailment``, ``SUPPORTS``, ``neutral`` ...)."""

BATCH_PAIRS = 64


class TorchEntailment(EntailmentBackend):
    """Our own weights, or a folder with a sequence-classification model whose ``id2label`` names the three labels.

    Such a model reads the passage as its premise and the claim as its hypothesis, as models trained on MNLI do.
    """

    name = "torch"
    devices = ("cpu", "cuda")

    _model: Any = None
    _logits: Any = None

    def load(self) -> None:
        import torch

        if self.place.device == "cuda" and not torch.cuda.is_available():
            raise ConfigurationError(
                "models.entailment.device is cuda, but torch finds no CUDA device. Set it to cpu, or see `workbench doctor`."
            )
        path = self.weights()
        if self.place.device == "cpu":
            torch.set_num_threads(self.place.thread_count)
        self._lock = threading.Lock()
        own = main_file(path)
        if path.is_file() or read_info(own):
            self._load_own(own)
        else:
            self._load_folder(path)

    def _load_own(self, path: Path) -> None:
        from serving.entailment.pairs import PairTokens
        from serving.entailment.weights_file import load_network

        network, info = load_network(path), read_info(path)
        assert info is not None  # load_network has read it
        tokens = PairTokens(info.tokenizer, max_tokens=info.max_tokens)
        self._model = network.to(self.place.device)

        def logits(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
            found = np.empty((len(pairs), 3), np.float32)
            for batch in tokens.batches(pairs):
                found[batch.rows] = self._compute(batch.ids, batch.kinds)
            return found / info.temperature

        self._logits = logits

    def _load_folder(self, folder: Path) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True, local_files_only=True)  # nosec B615  # a folder
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)  # nosec B615  # a folder
        columns = label_columns(model.config.id2label)
        self._model = model.eval().to(self.place.device)
        longest = min(int(getattr(model.config, "max_position_embeddings", 512)), int(tokenizer.model_max_length), 512)

        def logits(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
            found = np.empty((len(pairs), 3), np.float32)
            order = sorted(range(len(pairs)), key=lambda row: len(pairs[row][0]) + len(pairs[row][1]))
            for start in range(0, len(order), BATCH_PAIRS):
                rows = order[start : start + BATCH_PAIRS]
                texts = [pairs[row][1] for row in rows], [pairs[row][0] for row in rows]
                batch = tokenizer(*texts, padding=True, truncation="only_first", max_length=longest, return_tensors="np")
                found[rows] = self._compute(**{name: value.astype(np.int64) for name, value in batch.items()})[:, columns]
            return found

        self._logits = logits

    def _compute(self, *arrays: np.ndarray, **named: np.ndarray) -> np.ndarray:
        import torch

        with self._lock, torch.inference_mode():
            moved = [torch.from_numpy(a).to(self.place.device) for a in arrays]
            answer = self._model(*moved, **{name: torch.from_numpy(a).to(self.place.device) for name, a in named.items()})
            return getattr(answer, "logits", answer).float().cpu().numpy()

    def entail(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        if self._model is None:
            raise Unavailable("The entailment model is not loaded. Try again in a moment.")
        return softmax(self._logits(pairs))

    def close(self) -> None:
        self._model = self._logits = None
        give_back_memory()
        if self.place.device == "cuda":
            import torch

            torch.cuda.empty_cache()


def label_columns(id2label: Mapping[Any, str]) -> list[int]:
    """The model's output columns in the order of ENTAILMENT_LABELS.

    Raises:
        InvalidInput: its labels are not these three.
    """
    found = {}
    for number, name in id2label.items():
        plain = str(name).lower().replace(" ", "_").replace("-", "_")
        found |= {label: int(number) for start, label in NAMES.items() if plain.startswith(start)}
    if set(found) != set(ENTAILMENT_LABELS) or len(id2label) != len(ENTAILMENT_LABELS):
        said = ", ".join(str(name) for name in id2label.values())
        raise InvalidInput(
            f"The model's labels ({said}) are not entailment, contradiction and neutral. Name them in its config's id2label."
        )
    return [found[label] for label in ENTAILMENT_LABELS]
