"""Memory of the gateway over thousands of opened and closed pages.

The pages' harness runs in a process of its own (real pages, tables and store; simulated jobs; no Ray). Each session loads a
page, joins the queue with the page's load events, reads their messages, runs them a second time, and is left: three of four
say that they were closed, as a browser does; the fourth vanishes, as a browser does that is killed.
Must be: after the first 500 sessions, memory within 10 %.

PAGES names how many (default 5,000), HOLD how many are open at once (default 4).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.running import free_port

ROOT = Path(__file__).parents[2]
SESSIONS, AT_ONCE = int(os.environ.get("PAGES", "5000")), int(os.environ.get("HOLD", "4"))
WARM, MOST = 500, 1.10
PAGES = (
    "",
    "imaging",
    "imaging?job=seed0",
    "cohorts",
    "compliance",
    "requirements",
    "compliance-dashboard",
    "knowledge",
    "ask",
    "activity",
)


async def events_by_page(client: httpx.AsyncClient) -> dict[str, list[dict[str, Any]]]:
    """The load events of each page, from Gradio's description of the pages."""
    config = (await client.get("/config")).raise_for_status().json()
    events = {event["id"]: event for event in config["dependencies"]}
    return {
        page: [events[known] for known in found["dependencies"] if any(target[1] == "load" for target in events[known]["targets"])]
        for page, found in config["page"].items()
    }


async def visit(client: httpx.AsyncClient, number: int, events: dict[str, list[dict[str, Any]]]) -> int:
    """One page session; how many events it ran."""
    name, _, query = PAGES[number % len(PAGES)].partition("?")
    session, ran = secrets.token_hex(6), 0
    (await client.get(f"/{name}?{query}")).raise_for_status()
    for _ in range(2):
        for event in events[name]:
            asked = {
                "data": [None] * len(event["inputs"]), "fn_index": event["id"], "session_hash": session,
                "trigger_id": None, "event_data": None,
            }  # fmt: skip
            (await client.post(f"/gradio_api/queue/join?{query}", json=asked)).raise_for_status()
        async with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as messages:
            async for line in messages.aiter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    assert message["success"], message
                    ran += 1
                elif message.get("msg") == "close_stream":
                    break
    if number % 4:
        await client.post("/gradio_api/closed", params={"session_hash": session})
    return ran


async def measure(url: str, link: str, process: psutil.Process) -> list[tuple[int, float, float]]:
    """Sessions, resident megabytes and seconds, ten times on the way."""
    found: list[tuple[int, float, float]] = []
    step = max(1, SESSIONS // 10)
    marks = sorted({1, min(100, SESSIONS), min(WARM, SESSIONS), *range(step, SESSIONS + 1, step)})
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=120) as client:
        signed_in = await client.get(link)
        assert signed_in.status_code in (200, 303), f"{link}: {signed_in.status_code} {signed_in.text}"
        events = await events_by_page(client)
        waiting, began, done = iter(range(SESSIONS)), time.perf_counter(), 0

        async def work() -> None:
            nonlocal done
            for number in waiting:
                assert await visit(client, number, events) > 0
                done += 1
                if done in marks:
                    row = (done, process.memory_info().rss / 1e6, time.perf_counter() - began)
                    found.append(row)
                    print(f"{row[0]:>8} {row[1]:>12.0f} {row[2]:>10.0f}", flush=True)

        print(f"{'sessions':>8} {'resident MB':>12} {'seconds':>10}", flush=True)
        await asyncio.gather(*[work() for _ in range(AT_ONCE)])
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log, port = Path(folder) / "log", free_port()
        command = [sys.executable, "-m", "tests.e2e.harness.app", "--port", str(port), "--home", f"{folder}/home", "--seconds", "0.2"]
        with open(log, "wb") as output:
            gateway = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"MALLOC_ARENA_MAX": "2"}
            )
        url = f"http://127.0.0.1:{port}"
        try:
            while True:
                try:
                    httpx.get(f"{url}/auth/sign-in", timeout=5)
                    break
                except httpx.HTTPError:
                    assert gateway.poll() is None, log.read_text()
                    time.sleep(0.2)
            found = asyncio.run(measure(url, re.findall(r"http\S+/auth/link\S+", log.read_text())[0], psutil.Process(gateway.pid)))
        finally:
            gateway.terminate()
            gateway.wait(20)
    warm = next((memory for done, memory, _ in found if done >= min(WARM, SESSIONS)), found[-1][1])
    grown = max(memory for done, memory, _ in found if done >= min(WARM, SESSIONS)) / warm
    print(f"\nAfter the first {min(WARM, SESSIONS)} sessions memory grew by at most {100 * (grown - 1):.1f} % (must be: 10 %).")
    if grown > MOST:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
