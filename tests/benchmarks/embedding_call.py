"""One embedding call through the gateway of a running workbench, beside the same model behind plain FastAPI under uvicorn.

One text, over kept connections, both called in turn, so that what else the machine does meets both. Must be: at most
10 ms more, and at most 1.5 times.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.running import clean_environment, free_port, running_workbench

CALLS = 300
PLAIN = """
import sys, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from infra.settings import load_settings
from serving.local import local_roles

role = local_roles(load_settings()).embedding
app = FastAPI()

class Request(BaseModel):
    texts: list[str]

@app.post("/embed")
async def embed(request: Request):
    answer = await role.embed(request.texts)
    return {"vectors": answer.vectors.tolist(), "model": answer.model.as_dict()}

uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
TEXT = "The hippocampus is a structure of the medial temporal lobe."


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder, running_workbench(Path(folder) / "home") as workbench:
        port = free_port()
        environment = clean_environment() | {"WORKBENCH_HOME": str(Path(folder) / "plain")}
        plain = subprocess.Popen([sys.executable, "-c", PLAIN, str(port)], env=environment)
        try:
            times = measure(
                {"plain": f"http://127.0.0.1:{port}/embed", "gateway": f"{workbench.url}/models/embedding/embed"}, workbench.token
            )
        finally:
            plain.terminate()
            plain.wait()
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:8} median of {CALLS}   {median:6.2f} ms")
    print(f"added               {medians['gateway'] - medians['plain']:6.2f} ms  (must be <= 10)")
    print(f"ratio               {medians['gateway'] / medians['plain']:6.2f}     (must be <= 1.5)")


def measure(targets: dict[str, str], token: str) -> dict[str, list[float]]:
    """Milliseconds of each call, by target."""
    times: dict[str, list[float]] = {name: [] for name in targets}
    with httpx.Client(trust_env=False, timeout=60, headers={"Authorization": f"Bearer {token}"}) as client:
        for url in targets.values():
            _warm(client, url)
        for _ in range(CALLS):
            for name, url in targets.items():
                began = time.perf_counter()
                client.post(url, json={"texts": [TEXT]}).raise_for_status()
                times[name].append((time.perf_counter() - began) * 1000)
    return times


def _warm(client: httpx.Client, url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            for _ in range(20):
                client.post(url, json={"texts": [TEXT]}).raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
