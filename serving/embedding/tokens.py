"""Texts to batches of token ids: bucketed by length, so that little is computed on padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

MAX_TOKENS = 256
"""The model was trained on this many; what is longer is cut (its publisher's ``max_seq_length``)."""

STEP = 16
"""Batches are padded to a multiple of this: few shapes, so that OpenVINO keeps few compiled primitives in memory."""

BATCH_TOKENS = 2048
"""Most tokens computed at once. Larger batches are no faster on a CPU and take 90 MB more (measured)."""


@dataclass(frozen=True)
class Batch:
    """``rows`` are positions in the request; ``ids`` and ``mask`` are int64 ``(rows, tokens)``."""

    rows: list[int]
    ids: np.ndarray
    mask: np.ndarray


class TextTokens:
    """The tokenizer of a sentence-transformers model, from its ``tokenizer.json``."""

    def __init__(self, path: Path, *, max_tokens: int = MAX_TOKENS) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()  # the file says "pad to 128", which would cost four times the work of a short text
        self._tokenizer.enable_truncation(max_tokens)

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        """Batches of similar length, short ones first."""
        found = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(found)), key=lambda row: len(found[row]))
        start = 0
        while start < len(order):
            end, width = start, 0
            while end < len(order):
                wider = padded(len(found[order[end]]))
                if end > start and wider * (end - start + 1) > BATCH_TOKENS:
                    break
                end, width = end + 1, wider
            rows = order[start:end]
            ids = np.zeros((len(rows), width), np.int64)
            mask = np.zeros_like(ids)
            for line, row in enumerate(rows):
                ids[line, : len(found[row])] = found[row]
                mask[line, : len(found[row])] = 1
            yield Batch(rows, ids, mask)
            start = end


def padded(length: int) -> int:
    """The next multiple of STEP."""
    return -(-max(1, length) // STEP) * STEP
