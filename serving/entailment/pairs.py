"""Pairs of texts to batches of token ids: claim first, shared words marked, long passages read where they touch the claim.

Beside its id, every token has a *kind*: whether it is of the claim or of the passage, and whether the other text has
the same word. The network adds a vector for each kind, as BERT does for its two segments. What is shared is most of
what word overlap knows, and a small network that learns from few examples need not find it out by itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from serving.entailment.excerpt import excerpt
from serving.entailment.overlap import stem

PADDING, SPECIAL, CLAIM, CLAIM_SHARED, PASSAGE, PASSAGE_SHARED = range(6)
KINDS = 6

MAX_TOKENS = 256
MAX_CLAIM_TOKENS = 96
"""A longer claim is cut: more than half of the room is the passage's."""
MAX_CHARACTERS = 400_000
"""What stands after this in a passage is not read."""

STEP = 16
"""Batches are padded to a multiple of this: few shapes, so that OpenVINO keeps few compiled primitives in memory."""
BATCH_TOKENS = 4096
"""Most tokens computed at once."""


@dataclass(frozen=True)
class Pieces:
    """A text's tokens.

    Attributes:
        ids: int64 ``(tokens,)``.
        words: int64 ``(tokens,)``: a number for the word's stem, the same in every text; 0 for a word without content.
        starts: bool ``(tokens,)``: a sentence begins here.
    """

    ids: np.ndarray
    words: np.ndarray
    starts: np.ndarray

    def take(self, where: np.ndarray) -> Pieces:
        return Pieces(self.ids[where], self.words[where], self.starts[where])


@dataclass(frozen=True)
class PairBatch:
    """``rows`` are positions in the request; ``ids`` and ``kinds`` are int64 ``(rows, tokens)``."""

    rows: list[int]
    ids: np.ndarray
    kinds: np.ndarray


class PairTokens:
    """Encodes pairs with the tokenizer of a BERT or MPNet encoder (``tokenizer.json``)."""

    def __init__(self, path: Path, *, max_tokens: int = MAX_TOKENS) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._max_tokens = max_tokens
        # BERT: [CLS] claim [SEP] passage [SEP]; MPNet, as RoBERTa: <s> claim </s></s> passage </s>.
        bert = self._tokenizer.token_to_id("[CLS]") is not None
        first, last = ("[CLS]", "[SEP]") if bert else ("<s>", "</s>")
        self._first, last_id = ([int(self._tokenizer.token_to_id(name) or 0)] for name in (first, last))
        self._between, self._last = (last_id if bert else last_id * 2), last_id

    def encode(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """``(ids, kinds)`` a pair, each int64 ``(tokens,)``. A text that comes in many pairs is read once."""
        texts = list(dict.fromkeys(text[:MAX_CHARACTERS] for pair in pairs for text in pair))
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        known = {text: _pieces(text, encoding) for text, encoding in zip(texts, encodings, strict=True)}
        return [self._pair(known[claim[:MAX_CHARACTERS]], known[passage[:MAX_CHARACTERS]]) for claim, passage in pairs]

    def batches(self, pairs: Sequence[tuple[str, str]], *, batch_tokens: int = BATCH_TOKENS) -> Iterator[PairBatch]:
        """Batches of similar length, short ones first: padding is the cost."""
        found = self.encode(pairs)
        order = sorted(range(len(found)), key=lambda row: len(found[row][0]))
        start = 0
        while start < len(order):
            end, width = start, 0
            while end < len(order):
                wider = padded(len(found[order[end]][0]))
                if end > start and wider * (end - start + 1) > batch_tokens:
                    break
                end, width = end + 1, wider
            rows = order[start:end]
            ids, kinds = np.zeros((2, len(rows), width), np.int64)
            for line, row in enumerate(rows):
                ids[line, : len(found[row][0])], kinds[line, : len(found[row][0])] = found[row]
            yield PairBatch(rows, ids, kinds)
            start = end

    def _pair(self, claim: Pieces, passage: Pieces) -> tuple[np.ndarray, np.ndarray]:
        claim = claim.take(np.arange(min(len(claim.ids), MAX_CLAIM_TOKENS)))
        room = self._max_tokens - 2 - len(self._between) - len(claim.ids)
        if len(passage.ids) > room:
            passage = passage.take(excerpt(passage.words, passage.starts, claim.words, room))
        ids = np.concatenate([self._first, claim.ids, self._between, passage.ids, self._last])
        kinds = np.concatenate(
            [
                [SPECIAL],
                np.where(_shared(claim.words, passage.words), CLAIM_SHARED, CLAIM),
                [SPECIAL] * len(self._between),
                np.where(_shared(passage.words, claim.words), PASSAGE_SHARED, PASSAGE),
                [SPECIAL],
            ]
        )
        return ids.astype(np.int64), kinds.astype(np.int64)


def _shared(words: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (words != 0) & np.isin(words, others)


def _pieces(text: str, encoding: Encoding) -> Pieces:
    """Tokens of a text; tokens of one word share the number of its stem."""
    count = len(encoding.ids)
    words, starts = np.zeros(count, np.int64), np.zeros(count, bool)
    offsets, word_ids = encoding.offsets, encoding.word_ids
    first, ended = 0, True
    while first < count:
        last = first
        while last + 1 < count and word_ids[last + 1] == word_ids[first]:
            last += 1
        begin, end = offsets[first][0], offsets[last][1]
        starts[first] = ended or (first > 0 and "\n" in text[offsets[first - 1][1] : begin])
        word = text[begin:end]
        ended = word in ".!?;"
        if word[:1].isalnum() and (kept := stem(word)):
            words[first : last + 1] = zlib.crc32(kept.encode()) or 1
        first = last + 1
    return Pieces(np.array(encoding.ids, np.int64), words, starts)


def padded(length: int) -> int:
    """The next multiple of STEP."""
    return -(-max(1, length) // STEP) * STEP
