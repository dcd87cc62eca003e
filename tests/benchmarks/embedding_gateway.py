"""One text embedded through the gateway, beside the same model behind plain FastAPI under uvicorn, in one run.

`WORKBENCH_URL` and `WORKBENCH_TOKEN` name a running workbench; without them one is started. The two are asked in
turns, so that whatever else the machine does falls on both. Must be: at most 10 ms, and 1.5 times the plain one.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from tests.running import clean_environment, free_port, running_workbench

CALLS, TEXT = 400, "The volume of the left hippocampus is smaller than that of the right."

PLAIN = """
import asyncio, sys
from pathlib import Path
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from infra.settings import load_settings
from serving.backends.contract import Place
from serving.embedded import embedded_version
from serving.embedding.openvino_backend import OpenVinoEmbedding

class Asked(BaseModel):
    texts: list[str]
    version: str | None = None

backend = OpenVinoEmbedding(embedded_version(load_settings(), "embedding"), Place("cpu", 0, Path(sys.argv[2])))
backend.load()
app = FastAPI()

@app.post("/models/embedding/embed")
def embed(asked: Asked):
    return {"vectors": backend.embed(asked.texts).tolist(), "model": backend.ref.as_dict()}

uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


@contextlib.contextmanager
def plain_server(folder: Path) -> Iterator[str]:
    """The same model behind plain FastAPI under uvicorn."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", PLAIN, str(port), str(folder)], env=clean_environment())
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(url, timeout=1)
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def workbench(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Address and token of the one that is named, or of one started here."""
    if url := os.environ.get("WORKBENCH_URL"):
        yield url, os.environ.get("WORKBENCH_TOKEN")
        return
    with running_workbench(folder / "home") as started:
        yield started.url, started.token


def caller(url: str, token: str | None) -> Callable[[], float]:
    """A call: milliseconds it took."""
    client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=30)

    def call() -> float:
        began = time.perf_counter()
        answer = client.post("/models/embedding/embed", json={"texts": [TEXT]})
        milliseconds = (time.perf_counter() - began) * 1000
        answer.raise_for_status()
        assert len(answer.json()["vectors"][0]) == 384
        return milliseconds

    return call


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="workbench-bench-", dir="/tmp") as name:
        folder = Path(name)
        with workbench(folder) as (url, token), plain_server(folder) as plain_url:
            calls = {"through the gateway": caller(url, token), "plain FastAPI under uvicorn": caller(plain_url, None)}
            for call in calls.values():
                for _ in range(20):
                    call()
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(CALLS):
                for name, call in calls.items():
                    times[name].append(call())
    print(f"one text embedded, {CALLS} calls each, in turns")
    print(f"{'':32}{'median':>10}{'p95':>10}")
    for name, found in times.items():
        print(f"{name:32}{statistics.median(found):7.2f} ms{statistics.quantiles(found, n=20)[-1]:7.2f} ms")
    gateway, plain = (statistics.median(found) for found in times.values())
    print(f"ratio {gateway / plain:.2f}   (must be: at most 10 ms, and 1.5 x)")
    return 0 if gateway <= 10 and gateway <= 1.5 * plain else 1


if __name__ == "__main__":
    sys.exit(main())
