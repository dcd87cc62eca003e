"""Jobs of all kinds while a random process is killed every 40 s, and the whole workbench once: each job must end once.

    python -m tests.benchmarks.kills [--jobs 60] [--every 40] [--minutes 25] [--seed 1]

A third of the jobs analyse a scan (the MNI152 template at 2 mm), a third add documents, a third check a contract against
policies. They are submitted with idempotency keys, again and again while the gateway is away, as a careful client does.
Killed with SIGKILL is any process of the workbench but its supervisor; the whole workbench is killed once, half-way.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import random
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.benchmarks.start_and_memory import template_bytes
from tests.running import RunningWorkbench, start_workbench

ENDED = ("done", "failed", "cancelled")
POLICIES = "".join(f"# Rule {n}\n\nThe supplier must report incident class {n} within {n + 1} days.\n\n" for n in range(1, 9))
CONTRACT = (
    "# Contract {n}\n\nThe supplier reports incidents of class 1 within two days. The supplier shall not report incident class {n}.\n"
)
NAMES = ("ServeReplica", "ServeController", "raylet", "gcs_server", "workbench.gateway_process", "mlflow", "serving.cluster.head")


class Load:
    """A workbench under kills, and what was sent to it."""

    def __init__(self, home: Path, *, seed: int) -> None:
        self.home, self.random = home, random.Random(seed)
        self.workbench: RunningWorkbench = start_workbench(home, timeout=400)
        self.jobs: dict[str, str] = {}  # id to kind
        self.kills: Counter[str] = Counter()
        self.scan = small_template()

    def call(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The gateway's answer, waited for while it is away."""
        end = time.monotonic() + 300
        while True:
            with contextlib.suppress(httpx.HTTPError), self.workbench.client as client:
                answer = client.request(method, path, **given)
                if answer.status_code < 500:
                    answer.raise_for_status()
                    return answer.json()
            if time.monotonic() > end:
                raise RuntimeError(f"{method} {path} was not answered for five minutes")
            time.sleep(1)

    def upload(self, name: str, content: bytes) -> str:
        return self.call("POST", "/uploads", files={"file": (name, content)})["id"]

    def submit(self, kind: str, number: int) -> None:
        key = {"Idempotency-Key": f"{kind}-{number}"}
        if kind == "imaging":
            said = self.call("POST", "/imaging/analyze", json={"upload": self.upload("head.nii.gz", self.scan)}, headers=key)
        elif kind == "ingestion":
            text = "".join(f"# Part {part}\n\nNote {number} tells of subject{part}. {'It goes on. ' * 60}\n\n" for part in range(12))
            name = f"n{number}.md"
            given = {"files": {"file": (name, text.encode())}, "data": {"name": name}}
            said = self.call("POST", "/mlops/kb/notes/documents", **given, headers=key)["job"]
        else:
            document = self.upload(f"contract{number}.md", CONTRACT.format(n=number % 8 + 1).encode())
            said = self.call("POST", "/mlops/analyze", json={"upload": document, "policies": ["rules"]}, headers=key)
        self.jobs[said["id"]] = kind

    def kill_one(self) -> None:
        """SIGKILL to a process chosen by chance; the supervisor is left."""
        alive = [one for one in self.workbench.processes() if one.pid != self.workbench.process.pid]
        victim = self.random.choice(alive)
        with contextlib.suppress(psutil.Error):
            name = named(victim)
            victim.kill()
            self.kills[name] += 1
            print(f"{time.strftime('%H:%M:%S')} killed {name}", flush=True)

    def kill_all(self) -> None:
        self.workbench.kill()
        self.kills["the whole workbench"] += 1
        print(f"{time.strftime('%H:%M:%S')} killed the whole workbench", flush=True)
        self.workbench = start_workbench(self.home, port=int(self.workbench.url.rpartition(":")[2]), timeout=400)
        print(f"{time.strftime('%H:%M:%S')} ready again after {self.workbench.seconds_to_ready:.0f} s", flush=True)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.home / "workbench.sqlite", timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def live(self) -> int:
        states = dict(self.rows("SELECT id, state FROM analysis_jobs"))
        return sum(states.get(job) not in ENDED for job in self.jobs)


def named(process: psutil.Process) -> str:
    """What a process is, for the table."""
    line = " ".join(process.cmdline())
    if "ServeReplica" in line:
        return "replica " + line.split("ServeReplica:workbench:")[-1].split(".")[0].split()[0]
    return next((name for name in NAMES if name in line), process.name())


def small_template() -> bytes:
    """Every second voxel of the MNI152 template: a scan at 2 mm."""
    import nibabel as nib
    import numpy as np

    image: Any = nib.Nifti1Image.from_bytes(gzip.decompress(template_bytes()))
    small = nib.Nifti1Image(np.asarray(image.dataobj)[::2, ::2, ::2], image.affine @ np.diag([2, 2, 2, 1]))
    return gzip.compress(small.to_bytes(), 1)


def report(load: Load, seconds: float) -> bool:
    """Print the tables; whether every job ended once."""
    states = dict(load.rows("SELECT id, state FROM analysis_jobs"))
    print(f"\n{len(load.jobs)} jobs, {sum(load.kills.values())} kills, {seconds:.0f} s\n")
    print("| kind | " + " | ".join((*ENDED, "lost")) + " |\n|---|---|---|---|---|")
    lost = 0
    for kind in ("imaging", "ingestion", "compliance"):
        ends = Counter(states.get(job, "lost") for job, its in load.jobs.items() if its == kind)
        open_ = sum(number for state, number in ends.items() if state not in ENDED)
        lost += open_
        print(f"| {kind} | " + " | ".join(str(ends[state]) for state in ENDED) + f" | {open_} |")
    print("\n| killed | times |\n|---|---|")
    for name, times in load.kills.most_common():
        print(f"| {name} | {times} |")
    keyed = load.rows("SELECT id FROM analysis_jobs WHERE idempotency_key IS NOT NULL")
    results = Counter(job for (job,) in load.rows("SELECT job_id FROM analysis_results") if job in load.jobs)
    events = [row for row in load.rows("SELECT job_id, kind, stage FROM job_events") if row[0] in load.jobs]
    ends = Counter(job for job, kind, _ in events if kind in ENDED)
    stages = Counter((job, stage) for job, kind, stage in events if kind == "finished")
    duplicates = len(keyed) - len(load.jobs) + sum(number > 1 for number in (*results.values(), *ends.values()))
    print(f"\nduplicates (job rows, results, ends) {duplicates}; lost {lost}")
    print(f"stages that finished twice: {sum(number > 1 for number in stages.values())}")
    for job, stage, error in load.rows("SELECT id, stage, error FROM analysis_jobs WHERE state = 'failed'"):
        print(f"failed: {load.jobs.get(job, '?')} {job} at {stage}: {error}")
    documents = Counter(state for (state,) in load.rows("SELECT state FROM kb_documents"))
    print(f"documents: {dict(documents)}")
    return not lost and not duplicates


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.kills")
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--every", type=float, default=40.0, help="seconds between two kills")
    parser.add_argument("--minutes", type=float, default=25.0, help="after which the kills stop, and what has not ended is given five more")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wbk", dir="/tmp") as folder:
        load = Load(Path(folder) / "home", seed=arguments.seed)
        try:
            load.call("POST", "/mlops/kb", json={"name": "notes"})
            load.call("POST", "/mlops/kb", json={"name": "rules"})
            load.call("POST", "/mlops/kb/rules/documents", files={"file": ("rules.md", POLICIES.encode())}, data={"name": "rules.md"})
            while not load.rows("SELECT 1 FROM kb_documents WHERE name = 'rules.md' AND state = 'ready'"):
                time.sleep(1)
            began = last = time.monotonic()
            stop, whole, number = began + 60 * arguments.minutes, False, 0
            while time.monotonic() < stop + 300:
                if number < arguments.jobs:
                    load.submit(("imaging", "ingestion", "compliance")[number % 3], number)
                    number += 1
                elif not load.live():
                    break
                if not whole and (number >= arguments.jobs / 2 or time.monotonic() > stop):
                    whole = True
                    load.kill_all()
                    last = time.monotonic()
                if time.monotonic() - last > arguments.every and time.monotonic() < stop:
                    load.kill_one()
                    last = time.monotonic()
                # The first half at once, so that jobs wait and run when the kills come; the others as time goes by.
                time.sleep(0.2 if number < arguments.jobs / 2 else 2)
            if not report(load, time.monotonic() - began):
                raise SystemExit(1)
        finally:
            load.workbench.stop()


if __name__ == "__main__":
    main()
