"""Messages to token ids, and token ids back to text as they come."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

from infra.errors import InvalidInput
from serving.roles.llm import Message


class ChatTokens:
    """Tokenizer and chat template of a prepared folder."""

    def __init__(self, folder: Path) -> None:
        from jinja2.sandbox import ImmutableSandboxedEnvironment
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # A template comes with a model's file, so it runs in a sandbox.
        self._template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
            (folder / "template.jinja").read_text()
        )
        self._special = [token.content for token in self._tokenizer.get_added_tokens_decoder().values()]
        vocabulary = [self._tokenizer.id_to_token(number) or "" for number in range(self._tokenizer.get_vocab_size())]
        self._pieces = _byte_pieces(vocabulary, set(self._special))

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the conversation, up to where the assistant begins.

        Raises:
            InvalidInput: there are no messages.
        """
        if not messages:
            raise InvalidInput("There is nothing to answer: send at least one message.")
        turns = [{"role": message.role, "content": self._plain(message.content)} for message in messages]
        return self._tokenizer.encode(self._template.render(messages=turns, add_generation_prompt=True), add_special_tokens=False).ids

    def bytes_of(self, token: int) -> bytes:
        """The bytes a token stands for; none for a special token."""
        return self._pieces[token]

    def _plain(self, text: str) -> str:
        """Text in which nothing reads as a special token: a document must not end its own turn and begin another's."""
        for token in self._special:
            while token in text:
                text = text.replace(token, token[1:-1])
        return text


class TextStream:
    """Tokens in, text out: whole characters only, and nothing that may be the beginning of a stop string."""

    def __init__(self, tokens: ChatTokens, stop: Sequence[str]) -> None:
        self._tokens, self._stop = tokens, [s for s in stop if s]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False

    def push(self, ids: Sequence[int], *, last: bool = False) -> str:
        """New text that can be shown. After a stop string, ``stopped`` is true and no more comes.

        ``last`` gives what was held back; a character that the last token left half written is dropped.
        """
        if self.stopped:
            return ""
        text = self._held + self._decoder.decode(b"".join(map(self._tokens.bytes_of, ids)))
        at = min((found for s in self._stop if (found := text.find(s)) >= 0), default=-1)
        if at >= 0:
            self.stopped, self._held = True, ""
            return text[:at]
        keep = 0 if last else max((_overlap(text, s) for s in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` with which ``stop`` begins."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


def _byte_pieces(vocabulary: Sequence[str], special: set[str]) -> list[bytes]:
    """The bytes of every token id: byte-level BPE writes each byte as one printable character."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    byte_of = {chr(byte): byte for byte in printable}
    byte_of |= {chr(256 + n): byte for n, byte in enumerate(b for b in range(256) if b not in set(printable))}
    return [b"" if token in special else bytes(byte_of[c] for c in token) for token in vocabulary]
