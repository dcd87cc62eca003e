"""The roles on a real Ray Serve: answers, versions, errors as they are, streams, correlation ids, restarts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import numpy as np
import pytest

from infra.datafolder import DataFolder
from infra.errors import InvalidInput, NotFound, TooLarge, WorkbenchError
from infra.telemetry import correlated
from serving.cluster.remote import APP
from serving.registry.champions import read_champions
from serving.roles.llm import Message, WriteOptions
from serving.roles.segmentation import Volume
from tests.integration.conftest import Served

pytestmark = pytest.mark.timeout(300)


def log_lines(served: Served, role: str, correlation_id: str) -> list[dict]:
    text = (DataFolder(served.settings.home).logs / f"serving-{role}.log").read_text()
    return [line for line in map(json.loads, text.splitlines()) if line.get("correlation_id") == correlation_id]


async def test_every_role_that_a_model_fulfils_answers_under_its_champions_name(served: Served) -> None:
    assert set(served.roles.missing()) == {"vlm"}
    champions = read_champions(served.settings)
    embedded = await served.roles.embedding.embed(["a scan", "a policy"])
    assert embedded.vectors.shape == (2, 384) and embedded.model == champions["embedding"]
    deltas = [delta async for delta in served.roles.llm.write([Message("user", "Say yes.")], WriteOptions(max_tokens=4))]
    assert deltas[-1].finish and deltas[-1].model == champions["llm"]
    noise = Volume(np.random.default_rng(0).random((1, 40, 40, 40), np.float32), np.eye(4))
    found = await served.roles.segmentation.segment(noise)
    assert found.labels.shape == (40, 40, 40) and found.model == champions["segmentation"]
    read = await served.roles.entailment.entail([("Wheels turn.", "All wheels turn."), ("Wheels turn.", "It rained.")])
    assert read.probabilities.shape == (2, 3) and read.model == champions["entailment"]


async def test_errors_come_back_as_themselves(served: Served) -> None:
    with pytest.raises(InvalidInput, match="list of texts"):
        await served.roles.embedding.embed("one text, no list")
    with pytest.raises(NotFound, match="Known versions") as caught:
        await served.roles.embedding.embed(["a"], version="77")
    assert caught.value.details == {"role": "embedding"} and caught.value.retryable is False
    with pytest.raises(TooLarge, match="tokens"):
        async for _ in served.roles.llm.write([Message("user", "word " * 9000)]):
            pass


async def test_what_is_too_much_for_one_message_is_sent_in_several(served: Served) -> None:
    # A replica refuses messages above 4 MB, and a caller answers above 4 MB.
    long = await served.roles.embedding.embed(["a" * 900_000] * 5 + ["brain"])
    assert np.abs(long.vectors[-1:] - (await served.roles.embedding.embed(["brain"])).vectors).max() < 1e-4
    many = await served.roles.embedding.embed(["x"] * 2_900)
    assert many.vectors.shape == (2_900, 384)
    read = await served.roles.entailment.entail([("Wheels turn.", "All wheels turn. " + "z" * 900_000)] * 5)
    assert read.probabilities.shape == (5, 3)
    assert (await served.roles.embedding.embed([])).vectors.shape == (0, 384)
    with pytest.raises(TooLarge, match="3 MB"):
        await served.roles.embedding.embed(["a" * 5_000_000])


async def test_the_correlation_id_stands_in_the_replicas_log(served: Served) -> None:
    with correlated("trace-me-123"):
        await served.roles.embedding.embed(["x"])
        async for _ in served.roles.llm.write([Message("user", "Hi")], WriteOptions(max_tokens=2)):
            pass
    assert [line["outcome"] for line in log_lines(served, "embedding", "trace-me-123")] == ["ok"]
    assert [line["outcome"] for line in log_lines(served, "llm", "trace-me-123")] == ["ok"]


async def test_concurrent_texts_get_their_own_vectors(served: Served) -> None:
    texts = [f"text number {n}" for n in range(40)]
    together = await asyncio.gather(*[served.roles.embedding.embed([text]) for text in texts])
    whole = (await served.roles.embedding.embed(texts)).vectors
    assert np.abs(np.concatenate([found.vectors for found in together]) - whole).max() < 1e-4


async def test_eight_streams_at_once_and_not_a_message_a_token(served: Served) -> None:
    async def write(n: int) -> tuple[int, int]:
        prompt = [Message("user", f"Write {n + 3} sentences about the sea.")]
        pieces = [delta async for delta in served.roles.llm.write(prompt, WriteOptions(max_tokens=64))]
        assert pieces[-1].finish
        return pieces[-1].tokens, len(pieces)

    found = await asyncio.gather(*[write(n) for n in range(8)])
    assert all(tokens > 8 for tokens, _ in found)


async def test_closing_a_stream_stops_the_model(served: Served) -> None:
    with correlated("stop-me"):
        stream = served.roles.llm.write([Message("user", "Write a very long story.")], WriteOptions(max_tokens=4000))
        await anext(stream)
        await stream.aclose()
    for _ in range(100):
        if lines := log_lines(served, "llm", "stop-me"):
            break
        await asyncio.sleep(0.1)
    assert lines[0]["outcome"] == "cancelled" and lines[0]["tokens"] < 1000


async def test_every_replica_can_be_told_to_read_the_champion_anew(served: Served) -> None:
    from ray import serve

    handle = serve.get_deployment_handle("embedding", app_name=APP)
    # Other tests of this cluster may have promoted a version: what counts is that the champion is there, and nothing twice.
    before = sorted(ref["version"] for ref in await handle.loaded.remote())
    champion = read_champions(served.settings)["embedding"]
    assert (await handle.refresh.remote())["version"] == champion.version
    after = await handle.loaded.remote()
    assert champion.as_dict() in after and sorted(ref["version"] for ref in after) == before


async def test_a_killed_replica_comes_back(served: Served) -> None:
    from ray import serve

    handle = serve.get_deployment_handle("embedding", app_name=APP)
    os.kill(await handle.pid.remote(), signal.SIGKILL)
    end = time.monotonic() + 90
    while True:
        try:
            assert (await served.roles.embedding.embed(["back again"])).vectors.shape == (1, 384)
            break
        except WorkbenchError as error:  # while it restarts, the error says that trying again helps
            assert error.retryable, error
            assert time.monotonic() < end
            await asyncio.sleep(0.5)
