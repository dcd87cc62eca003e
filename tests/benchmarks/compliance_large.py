"""A 200-page document against 200 requirements by a running workbench, killed as a whole in the middle: it goes on, and says
how long it took.

    python -m tests.benchmarks.compliance_large [--pages 200] [--requirements 200] [--without-kill]

Must be: it ends, nothing that was read before the kill is read again. Memory is the proportional set size of all the workbench's
processes, Ray and MLflow included, looked at every few seconds; and of the two that work hardest the most they ever held (VmHWM).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pypdf import PdfReader
from sqlmodel import select

from infra.database import Database
from infra.database.tables import AnalysisResult
from infra.objectstore import make_object_store
from infra.settings import load_settings
from tests.benchmarks._rulebook import make_requirements, write_document
from tests.running import RunningWorkbench, start_workbench

LOOK, WEIGH = 1.0, 5.0  # seconds between two looks at the job, and at the memory
HARDEST = {"reading the document, deciding": "compliance", "entailment model": "entailment"}
KILLED_AT = 0.5


@dataclass
class Watched:
    """What was seen of a job.

    Attributes:
        peak: MB of the whole workbench, and of each of HARDEST.
        told: the tenths of the work that were told already.
    """

    peak: dict[str, float] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)

    def weigh(self, workbench: RunningWorkbench) -> None:
        self.peak["whole workbench"] = max(self.peak.get("whole workbench", 0.0), workbench.memory_mb()["total"])
        for name, words in HARDEST.items():
            for process in workbench.find("ServeReplica", words):
                with contextlib.suppress(OSError):
                    most = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
                    self.peak[name] = max(self.peak.get(name, 0.0), int(most[1]) / 1e3 if most else 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compliance_large", description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--requirements", type=int, default=200)
    parser.add_argument("--without-kill", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as folder:
        home, path = Path(folder) / "home", Path(folder) / "manual.pdf"
        requirements = make_requirements(chosen.requirements)
        words = write_document(path, requirements, chosen.pages)
        pages = len(PdfReader(path).pages)
        print(
            f"{pages} pages, {words:,} words, {path.stat().st_size / 1e6:.1f} MB; {len(requirements)} requirements; {os.cpu_count()} CPUs"
        )
        watched, workbench = Watched(), start_workbench(home)
        try:
            began = time.monotonic()
            job = send(workbench, path, [{"id": one.id, "text": one.text} for one in requirements])
            kept, first, away = 0, 0.0, 0.0
            if not chosen.without_kill:
                follow(workbench, job, watched, until=lambda found: found["fraction"] >= KILLED_AT)
                first = time.monotonic() - began
                workbench.kill()
                kept = readings(home)
                print(f"killed after {first:.0f} s; {kept:,} readings kept")
                workbench = start_workbench(home)
                away = time.monotonic() - began - first
            follow(workbench, job, watched, until=lambda _: False)
            seconds = time.monotonic() - began
            with workbench.client as client:
                report = client.get(f"/mlops/analysis/{job}").json()
        finally:
            workbench.stop()
        table(report, watched, seconds=seconds, first=first, away=away, kept=kept, every=readings(home), pairs=read_at_last(home, job))


def send(workbench: RunningWorkbench, path: Path, requirements: list[dict[str, str]]) -> str:
    """The id of the job."""
    with workbench.client as client:
        upload = client.post("/uploads", files={"file": (path.name, path.read_bytes())}).raise_for_status().json()
        asked = {"upload": upload["id"], "requirements": requirements, "name": "rulebook"}
        return str(client.post("/mlops/analyze", json=asked).raise_for_status().json()["id"])


def follow(workbench: RunningWorkbench, job: str, watched: Watched, *, until: Callable[[dict], bool]) -> None:
    """Until the job has ended, or ``until`` says that it is enough; what it says is printed at every tenth."""
    weighed = 0.0
    while True:
        if time.monotonic() - weighed > WEIGH:
            watched.weigh(workbench)
            weighed = time.monotonic()
        with contextlib.suppress(httpx.HTTPError), workbench.client as client:
            said = client.get(f"/jobs/{job}/events").json()
            found, last = said["job"], said["events"][-1] if said["events"] else {"message": ""}
            tenth = int(10 * found["fraction"])
            if tenth not in watched.told:
                watched.told.add(tenth)
                print(f"    {found['fraction']:4.0%}  {last['message'][:110]}")
            if found["state"] in ("failed", "cancelled"):
                raise RuntimeError(f"The analysis {found['state']}: {found['error']}")
            if found["state"] == "done" or until(found):
                watched.weigh(workbench)
                return
        time.sleep(LOOK)


def readings(home: Path) -> int:
    """Premises that the entailment model has read and that are kept, over all requirements."""
    settings = load_settings(home=home)
    store, bucket = make_object_store(settings), settings.storage.buckets.analysis_reports
    return sum(len(json.loads(store.get(bucket, info.key))) for info in store.list(bucket, "compliance/readings/"))


def read_at_last(home: Path, job: str) -> int:
    """Pairs that the run which ended the job read, since nobody had before."""
    with closing(Database(load_settings(home=home).database_url)) as database, database.session() as session:
        return int(session.exec(select(AnalysisResult).where(AnalysisResult.job_id == job)).one().summary["pairs"])


def table(report: dict, watched: Watched, *, seconds: float, first: float, away: float, kept: int, every: int, pairs: int) -> None:
    """Everything as one table."""
    said = [one["verdict"] for one in report["requirements"]]
    rows = [
        ("seconds, all", f"{seconds:.0f}"),
        ("seconds to the kill / until ready again / to the end", f"{first:.0f} / {away:.0f} / {seconds - first - away:.0f}"),
        ("seconds by stage, as the report says", ", ".join(f"{name} {value:.0f}" for name, value in report["seconds"].items())),
        ("pairs kept at the kill", f"{kept:,}"),
        ("pairs read by the run that ended it", f"{pairs:,}"),
        ("pairs kept at the end", f"{every:,}"),
        ("of those kept at the kill, read again", f"{pairs - (every - kept):,}  (must be 0)" if kept else "-"),
        *((f"most memory, {name}", f"{size:,.0f} MB") for name, size in watched.peak.items()),
        ("verdicts", ", ".join(f"{said.count(name)} {name}" for name in ("satisfied", "violated", "not_addressed"))),
        ("score, risk", f"{report['score']:g}, {report['risk']}"),
    ]
    width = max(len(name) for name, _ in rows)
    print(*(f"{name:{width}}  {value}" for name, value in rows), sep="\n")


if __name__ == "__main__":
    main()
