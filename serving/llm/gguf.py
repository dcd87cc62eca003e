"""Reading a GGUF file: metadata (tokenizer, chat template, context length), and weights quantised as Q4_1.

The PyPI package ``gguf`` reads the same in seconds, not in tenths, and would be one more dependency of serving.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from infra.errors import CorruptFile

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_Q4_1 = 3
"""Tensor type of blocks of 32 weights with a scale and a minimum each."""
CONTROL = 3
"""Token type of special tokens such as ``<|im_end|>``."""


@dataclass(frozen=True)
class Card:
    """What serving needs to know of a GGUF model.

    Attributes:
        architecture: for example ``llama``.
        context: most tokens of prompt and answer together.
        tokens, types, merges: the byte-level BPE vocabulary.
        pre: name of the pre-tokenizer, for example ``smollm``.
        end: ids that end an answer.
        template: the chat template (Jinja), or None.
    """

    architecture: str
    context: int
    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    end: tuple[int, ...]
    template: str | None


def read_card(path: Path) -> Card:
    """Raises CorruptFile where the file is no GGUF file, or its tokenizer is not byte-level BPE."""
    fields = read_metadata(path)
    if fields.get("tokenizer.ggml.model") != "gpt2":
        raise CorruptFile(f"The tokenizer of {path.name} ({fields.get('tokenizer.ggml.model')}) is not known here; only byte-level BPE is.")
    architecture = fields["general.architecture"]
    tokens = fields["tokenizer.ggml.tokens"]
    end = {fields[key] for key in ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id") if key in fields}
    end |= {number for number, token in enumerate(tokens) if token in ("<|endoftext|>", "<|im_end|>", "<|eot_id|>")}
    return Card(
        architecture,
        int(fields.get(f"{architecture}.context_length", 2048)),
        tokens,
        fields["tokenizer.ggml.token_type"],
        fields["tokenizer.ggml.merges"],
        fields.get("tokenizer.ggml.pre", "default"),
        tuple(sorted(end)),
        fields.get("tokenizer.chat_template"),
    )


def read_metadata(path: Path) -> dict[str, Any]:
    """Every key and value. Raises CorruptFile where the file is no GGUF file."""
    try:
        with open(path, "rb") as file:
            return _metadata(file)[0]
    except (struct.error, UnicodeDecodeError, KeyError, OSError, MemoryError, OverflowError) as error:
        raise CorruptFile(f"{path.name} is not a readable GGUF file.") from error


def q4_1_blocks(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Each Q4_1 matrix as it is stored, a weight being ``scale * quant + minimum``.

    Yields scales and minima, float16 ``(rows, blocks)``, and quants, uint8 ``(rows, 32 * blocks)``, 0 to 15.
    """
    with open(path, "rb") as file:
        fields, count = _metadata(file)
        found = []
        for _ in range(count):
            _string(file)
            (dimensions,) = struct.unpack("<I", file.read(4))
            *sizes, kind, offset = struct.unpack(f"<{dimensions}QIQ", file.read(8 * dimensions + 12))
            found.append((sizes, kind, offset))
        alignment = int(fields.get("general.alignment", 32))
        start = -(-file.tell() // alignment) * alignment
    data = np.memmap(path, np.uint8, "r")
    for sizes, kind, offset in found:
        if kind == _Q4_1:
            rows, blocks = int(np.prod(sizes[1:])), sizes[0] // 32
            stored = data[start + offset :][: rows * blocks * 20].reshape(rows, blocks, 20)  # float16 scale, float16 minimum, 16 bytes
            halves = np.ascontiguousarray(stored[..., :4]).view(np.float16)
            quants = np.concatenate([stored[..., 4:] & 15, stored[..., 4:] >> 4], axis=-1).reshape(rows, -1)
            yield halves[..., 0], halves[..., 1], quants


def _metadata(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Keys and values, and the number of tensors, whose list follows."""
    magic, version, tensors, count = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version < 2:
        raise CorruptFile("The file is not a GGUF file of version 2 or later.")
    fields: dict[str, Any] = {}
    for _ in range(count):
        key = _string(file)
        (kind,) = struct.unpack("<I", file.read(4))
        fields[key] = _value(file, kind)
    return fields, tensors


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    return file.read(length).decode()


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        inner, length = struct.unpack("<IQ", file.read(12))
        return [_value(file, inner) for _ in range(length)]
    layout = "<" + _SCALARS[kind]
    (value,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
    return value
