"""The language model itself: streams, stop strings, limits, cancelling, eight at once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from infra.errors import InvalidInput, TooLarge, Unavailable
from infra.settings import load_settings
from serving.llm.genai_backend import GenaiLanguage
from serving.llm.prepared import prepared_folder
from serving.registry.embedded import embedded_version, resolve
from serving.roles.llm import Delta, Message, WriteOptions
from tests.unit.serving.fakes import place

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    found = GenaiLanguage(embedded_version(load_settings(), "llm"), place(tmp_path_factory.mktemp("cache")))
    found.load()
    yield found
    found.close()


async def deltas(backend, prompt: str, **options) -> list[Delta]:
    return [delta async for delta in backend.write([Message("user", prompt)], WriteOptions(**options))]


async def test_greedy_is_reproducible_and_the_last_delta_has_the_totals(backend) -> None:
    first = await deltas(backend, "What is the capital of France?")
    again = await deltas(backend, "What is the capital of France?")
    text = "".join(delta.text for delta in first)
    assert text == "The capital of France is Paris."  # what transformers writes with the same file, float32
    assert text == "".join(delta.text for delta in again)
    assert first[-1].finish == "stop" and first[-1].tokens > 3 and all(delta.finish is None for delta in first[:-1])


def test_the_graph_computes_with_the_weights_of_the_file(backend) -> None:
    """transformers reads the same file in float32. openvino-genai's own graph differs by half of the logits' size."""
    import openvino as ov
    import torch
    from transformers import AutoModelForCausalLM

    source = resolve(backend.model.source, role="llm")
    ids = np.array([backend._tokens.encode([Message("user", "What does the hippocampus do for memory?")])], np.int64)
    with torch.inference_mode():
        theirs = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name).eval()(torch.from_numpy(ids)).logits[0].numpy()
    folder = prepared_folder(source, backend.ref.digest, backend.place.cache)
    plain = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "KV_CACHE_PRECISION": "f32"}
    model = ov.Core().compile_model(folder / "openvino_model.xml", "CPU", plain)
    given = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "position_ids": np.arange(ids.size)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
    ours = model.create_infer_request().infer(given)[0][0]
    assert np.linalg.norm(ours - theirs) < 0.02 * np.linalg.norm(theirs - theirs.mean())


async def test_an_answer_ends_by_itself_and_repeats_no_phrase(backend) -> None:
    prompts = ["Explain what the hippocampus does for memory.", "How does a brain MRI scan work?", "Name three colours."]
    for found in await asyncio.gather(*[deltas(backend, prompt) for prompt in prompts]):
        words = "".join(delta.text for delta in found).split()
        phrases = [tuple(words[n : n + 8]) for n in range(len(words) - 8)]
        assert found[-1].finish == "stop", words[-20:]
        assert len(phrases) - len(set(phrases)) <= 4, words


@pytest.mark.parametrize("options", [{"max_tokens": 0}, {"temperature": -1}, {"repetition_penalty": 0.5}])
def test_options_that_no_model_can_write_with_are_refused(options) -> None:
    with pytest.raises(InvalidInput, match="repetition_penalty"):
        WriteOptions(**options)


async def test_max_tokens_ends_with_length(backend) -> None:
    found = await deltas(backend, "Write a long story about the sea.", max_tokens=12)
    assert found[-1].finish == "length" and found[-1].tokens == 12


async def test_a_stop_string_ends_the_stream_and_is_not_in_it(backend) -> None:
    whole = "".join(delta.text for delta in await deltas(backend, "What is the capital of France?"))
    found = await deltas(backend, "What is the capital of France?", stop=("Paris",))
    assert "".join(delta.text for delta in found) == whole[: whole.index("Paris")]
    assert found[-1].finish == "stop"


async def test_eight_at_once_say_what_each_says_alone(backend) -> None:
    prompts = [f"Name {n} colours." for n in range(2, 10)]
    together = await asyncio.gather(*[deltas(backend, prompt, max_tokens=24) for prompt in prompts])
    assert all(found[-1].finish for found in together)
    assert all("".join(delta.text for delta in found).strip() for found in together)


async def test_closing_a_stream_frees_its_slot_while_others_go_on(backend) -> None:
    stream = backend.write([Message("user", "Write a very long story.")], WriteOptions(max_tokens=4000))
    other = asyncio.create_task(deltas(backend, "Name three colours.", max_tokens=40))
    await anext(stream)
    await stream.aclose()
    assert (await other)[-1].finish
    for _ in range(100):
        if not backend._engine.active:
            break
        await asyncio.sleep(0.02)
    assert backend._engine.active == 0


async def test_a_cancelled_task_frees_its_slot(backend) -> None:
    task = asyncio.create_task(deltas(backend, "Write a very long story.", max_tokens=4000))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.5)
    assert backend._engine.active == 0


async def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(backend) -> None:
    with pytest.raises(TooLarge, match="8191"):
        await deltas(backend, "word " * 9000)


async def test_a_temperature_writes_too(backend) -> None:
    assert (await deltas(backend, "Write a poem.", temperature=0.8, max_tokens=16))[-1].tokens > 0


async def test_an_engine_whose_thread_died_is_unhealthy_and_its_streams_end_with_an_error(tmp_path_factory) -> None:
    backend = GenaiLanguage(embedded_version(load_settings(), "llm"), place(tmp_path_factory.mktemp("cache")))
    await asyncio.to_thread(backend.load)
    task = asyncio.create_task(deltas(backend, "Write a very long story.", max_tokens=4000))
    await asyncio.sleep(0.3)

    def burst() -> None:
        raise RuntimeError("out of memory")

    backend._engine._collect = burst
    with pytest.raises(Unavailable, match="in the middle"):
        await task
    assert not backend.healthy()
    with pytest.raises(Unavailable, match="started again"):
        await deltas(backend, "Hi")
    backend.close()
