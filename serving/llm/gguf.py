"""Reading a GGUF file's metadata: tokenizer, chat template, context length (the weights are the runtime's business)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from infra.errors import CorruptFile

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
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
    try:
        with open(path, "rb") as file:
            fields = _metadata(file)
    except (struct.error, UnicodeDecodeError, KeyError, OSError) as error:
        raise CorruptFile(f"{path.name} is not a readable GGUF file.") from error
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


def _metadata(file: BinaryIO) -> dict[str, Any]:
    magic, version, _tensors, count = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version < 2:
        raise CorruptFile("The file is not a GGUF file of version 2 or later.")
    fields = {}
    for _ in range(count):
        key = _string(file)
        (kind,) = struct.unpack("<I", file.read(4))
        fields[key] = _value(file, kind)
    return fields


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
