"""A GGUF language model on a CPU, by openvino-genai's continuous batching; imports no torch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from infra.errors import TooLarge, Unavailable
from serving.backends.backend import give_back_memory
from serving.llm.engine import Engine, Request
from serving.llm.prepared import prepared_folder
from serving.llm.prompt import ChatTokens, TextStream
from serving.registry.sources import main_file
from serving.roles.llm import Delta, LanguageBackend, Message, WriteOptions

KV_BLOCKS = 768
"""Blocks of 32 tokens for prompts and answers in work, and for prefixes kept: 24,576 tokens, at most 290 MB."""

MAX_STREAMS = 16


PRECISE = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
"""In bfloat16, or with activations in eight bits, SmolLM2-135M answers "What is the capital of France?" with "L'Étoile"; in
float32 with "Paris", as transformers does. It costs a quarter of the tokens a second of one stream, half of those of eight."""


class GenaiLanguage(LanguageBackend):
    """Greedy unless a temperature is asked for. Prompts that begin alike share their computation (prefix caching)."""

    name = "genai"

    _engine: Engine | None = None
    _tokens: ChatTokens

    def load(self) -> None:
        path = main_file(self.weights(), ".gguf")
        folder = prepared_folder(path, self.ref.digest, self.place.cache)
        card = json.loads((folder / "card.json").read_text())
        self._context, self._end = int(card["context"]), [int(token) for token in card["end"]]
        self._tokens = ChatTokens(folder)
        self._engine = Engine(lambda: self._open(str(folder)), self._configure)
        self._engine.start()
        give_back_memory()  # what compiling took

    def _open(self, folder: str) -> Any:
        import openvino_genai

        scheduler = openvino_genai.SchedulerConfig()
        scheduler.num_kv_blocks = KV_BLOCKS
        scheduler.max_num_seqs = MAX_STREAMS
        scheduler.enable_prefix_caching = True
        return openvino_genai.ContinuousBatchingPipeline(folder, scheduler, "CPU", {**PRECISE, **self._processors()})

    def _processors(self) -> dict[str, Any]:
        return {"INFERENCE_NUM_THREADS": self.place.thread_count, "ENABLE_CPU_PINNING": False}  # replicas share the processors

    def _configure(self, options: WriteOptions) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = options.max_tokens
        config.repetition_penalty = options.repetition_penalty
        config.stop_token_ids = set(self._end)
        config.set_eos_token_id(self._end[0])
        if options.temperature > 0:
            config.do_sample = True
            config.temperature = options.temperature
        return config

    async def write(self, messages: Sequence[Message], options: WriteOptions = WriteOptions()) -> AsyncIterator[Delta]:
        engine = self._engine
        if engine is None:
            raise Unavailable("The language model is not loaded. Try again in a moment.")
        prompt = self._tokens.encode(messages)
        room = self._context - len(prompt)
        if room < 1:
            raise TooLarge(
                f"The messages have {len(prompt)} tokens; the language model takes {self._context - 1}. Send fewer or shorter ones."
            )
        options = replace(options, max_tokens=min(options.max_tokens, room))
        stream, tokens, finish = TextStream(self._tokens, options.stop), 0, None
        request = Request(prompt, options, asyncio.get_running_loop())
        engine.submit(request)
        try:
            while finish is None:
                piece = await request.pieces.get()
                if piece.error:
                    raise piece.error
                tokens += len(piece.ids)
                text = stream.push(piece.ids, last=piece.finish is not None)
                finish = "stop" if stream.stopped else piece.finish
                if text or finish:
                    yield Delta(text, self.ref, finish, tokens)  # type: ignore[arg-type]
        finally:
            engine.cancel(request)  # nothing, where it has ended by itself

    def healthy(self) -> bool:
        return self._engine is None or self._engine.alive

    def close(self) -> None:
        if self._engine:
            self._engine.close()
        self._engine = None
        self._tokens = None  # type: ignore[assignment]
        give_back_memory()
