"""The role ``llm``: messages in, a stream of text out."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from infra.errors import IntegrityError, InvalidInput
from serving.backends.backend import Backend
from serving.registry.versions import ModelRef
from serving.roles.role import Role


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class WriteOptions:
    """How a language model writes.

    Attributes:
        max_tokens: most tokens written; a model that has said what it has to say ends before.
        temperature: 0 always takes the likeliest token, so that a text is reproducible.
        stop: texts that end the answer and are not part of it.
        repetition_penalty: above 1, a token that stands already in the prompt or the answer is less likely to come again
            (without it, small models repeat one phrase until they are cut off).

    Raises:
        InvalidInput: a value that no model can write with.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    repetition_penalty: float = 1.1

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.temperature < 0 or not 1 <= self.repetition_penalty <= 2:
            raise InvalidInput("Set max_tokens to at least 1, temperature to at least 0, and repetition_penalty between 1 and 2.")


@dataclass(frozen=True)
class Delta:
    """A piece of a text stream. The last one has ``finish`` and the totals.

    Attributes:
        text: new text (may be empty).
        model: which model writes.
        finish: None while it goes on; ``stop``, ``length`` or ``cancelled`` at the end.
        tokens: tokens generated so far.
    """

    text: str
    model: ModelRef
    finish: Literal["stop", "length", "cancelled"] | None = None
    tokens: int = 0


@runtime_checkable
class LanguageRole(Protocol):
    def write(
        self, messages: Sequence[Message], options: WriteOptions = WriteOptions(), *, version: str | None = None
    ) -> AsyncIterator[Delta]: ...


class LanguageBackend(Backend):
    role = "llm"

    @abstractmethod
    def write(self, messages: Sequence[Message], options: WriteOptions) -> AsyncIterator[Delta]:
        """Stream an answer. Closing the iterator cancels it and frees its slot; other streams go on.

        Raises:
            TooLarge: the messages are longer than the model's context.
            Unavailable: the model stopped.
        """

    def smoke_test(self) -> None:
        async def ask() -> str:
            question = [Message("user", "What is the capital of France? Answer in one word.")]
            return "".join([delta.text async for delta in self.write(question, WriteOptions(max_tokens=8))])

        if not asyncio.run(ask()).strip():
            raise IntegrityError(f"The language model {self.ref.version} fails its smoke test: it wrote nothing.")


class Language(Role):
    name, method, backend, kind, answer_type = "llm", "write", LanguageBackend, "stream", Delta
    missing = "Text generation not available: no language model is installed."

    def check(self, messages: Sequence[Message], options: WriteOptions = WriteOptions()) -> tuple[list[Message], WriteOptions]:
        return list(messages), options

    def log_answer(self, answer: Delta) -> dict[str, Any]:
        return {"tokens": answer.tokens, "finish": answer.finish}

    def to_json(self, messages: Sequence[Message], options: WriteOptions = WriteOptions()) -> dict[str, Any]:
        return {**asdict(options), "messages": [asdict(message) for message in messages]}


ROLE = Language()
