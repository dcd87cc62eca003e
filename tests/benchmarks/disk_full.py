"""A whole workbench on a small disk that fills while documents are added and a scan is analysed, and is freed again.

    python -m tests.benchmarks.disk_full [--megabytes 400] [--seconds 45]

Must: while the disk is full /health/ready says not ready and why; a minute after space is free every job has ended or goes
on, no document waits, and tables, objects and index agree (both databases pass SQLite's check, and each ready document is
found). Needs the right to mount a tmpfs.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from tests.benchmarks.kills import ENDED, Load
from tests.small_disk import fill, free, small_disk

DOCUMENTS = 30
SCANS = 3
LEFT = 60_000_000  # bytes that are free when the jobs begin, so that the disk is full while they run


def ready(load: Load) -> tuple[int, dict]:
    with load.workbench.client as client:
        answer = client.get("/health/ready")
    return answer.status_code, answer.json()


def documents(load: Load) -> dict[str, str]:
    return dict(load.rows("SELECT name, state FROM kb_documents"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.disk_full")
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=45.0, help="how long the disk stays full")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wbd", dir="/tmp") as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        with small_disk(home, arguments.megabytes) as small:
            if not small:
                print("A tmpfs cannot be mounted here: nothing measured.")
                return
            load = Load(home, seed=1)
            try:
                measure(load, arguments.seconds)
            finally:
                free(home)
                load.workbench.stop()


def measure(load: Load, seconds: float) -> None:
    load.call("POST", "/mlops/kb", json={"name": "notes"})
    fill(load.home, leave=LEFT)
    for number in range(SCANS):
        load.submit("imaging", number)
    for number in range(DOCUMENTS):
        load.submit("ingestion", number)
    while not any(state == "ready" for state in documents(load).values()):
        time.sleep(0.05)
    fill(load.home)
    were_live = load.live()
    print(f"full: {dict(Counter(documents(load).values()))}, {were_live} of {len(load.jobs)} jobs live")
    until, reasons = time.monotonic() + seconds, {}
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            status, said = ready(load)
            reasons |= said.get("reasons", {}) if status == 503 else {}
        time.sleep(2)
    print(f"after {seconds:.0f} s of a full disk: {load.live()} jobs live; not ready, because: {reasons}")
    free(load.home)
    began = time.monotonic()
    while load.live() and time.monotonic() - began < 300:
        time.sleep(0.5)
    print(f"every job ended {time.monotonic() - began:.1f} s after space was free  (must be < 60, or go on)")
    again = None
    while time.monotonic() - began < 300:
        with contextlib.suppress(httpx.HTTPError):
            if ready(load)[0] == 200:
                again = time.monotonic() - began
                break
        time.sleep(0.5)
    print(f"ready again after {again and round(again, 1)} s")
    time.sleep(12)  # two looks of the runner's housekeeping
    states = documents(load)
    found = load.rows("SELECT id, state, error FROM analysis_jobs")
    print(f"jobs: {dict(Counter(state for _, state, _ in found))}; documents: {dict(Counter(states.values()))}")
    for job, state, error in found:
        if state == "failed":
            print(f"  {load.jobs.get(job)} failed: {error}")
    checks = []
    for name in ("workbench.sqlite", "jobs.sqlite"):
        with contextlib.closing(sqlite3.connect(load.home / name)) as connection:
            checks += [connection.execute("PRAGMA integrity_check").fetchone()[0]]
    missing = [
        name
        for name, state in states.items()
        if state == "ready"
        and name
        not in {
            one["document"]
            for one in load.call("POST", "/mlops/kb/notes/search", json={"query": f"Note {name[1:-3]} tells", "k": 50})["passages"]
        }
    ]
    waiting = [name for name, state in states.items() if state not in ("ready", "failed")]
    live = [job for job, state, _ in found if state not in ENDED]
    print(f"databases: {checks}; ready documents that search does not find: {missing}; documents without an end: {waiting}")
    load.submit("ingestion", DOCUMENTS)
    end = time.monotonic() + 120
    while load.live() and time.monotonic() < end:
        time.sleep(0.5)
    last = documents(load).get(f"n{DOCUMENTS}.md")
    print(f"a document added afterwards: {last}")
    if not were_live:
        print("Every job had ended before the disk was full: nothing measured.")
    if not were_live or checks != ["ok", "ok"] or missing or waiting or live or last != "ready" or not reasons:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
