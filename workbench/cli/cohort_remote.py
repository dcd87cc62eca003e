"""A cohort on the running workbench: sent scan by scan, its jobs followed, their files brought home as they end."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.errors import NotFound, Unavailable, WorkbenchError
from pipelines.imaging.cohort.entries import Entry
from pipelines.imaging.cohort.keys import as_one_file, content_digest, work_key
from pipelines.imaging.cohort.outcomes import STATE, Outcome, Outcomes
from pipelines.imaging.cohort.results import CohortResult, entry_of, write_results, write_table
from pipelines.imaging.cohort.scans import CohortScan, FoundScans
from workbench.cli.running import Client

Told = Callable[[int, int, Entry], None]
PATIENCE_SECONDS = 60.0  # with a gateway that does not answer: it may be restarting, and the jobs are durable
FILES = ("segmentation.nii.gz", "report.json", "report.pdf", "overlay.png")
MORE = ("segmentation.ctab", "statistics.csv", "statistics.json", "segmentation.dcm")


def run_remote(client: Client, found: FoundScans, out: Path, *, told: Told) -> CohortResult:
    """As :func:`pipelines.imaging.cohort.analyze_cohort`, by the workbench behind ``client``.

    Interrupted, what was begun is cancelled; killed, it goes on there, and a second run takes it up.
    """
    outcomes = Outcomes(out)
    with outcomes.owned():
        run = _Run(client, found, outcomes, told)
        try:
            return run.result()
        except KeyboardInterrupt:
            run.cancel()
            raise


class _Run:
    def __init__(self, client: Client, found: FoundScans, outcomes: Outcomes, told: Told) -> None:
        self._client, self._found, self._outcomes, self._told = client, found, outcomes, told
        self._began = time.monotonic()
        self._title = found.folder.resolve().name
        self._entries = {scan.name: Entry(scan.name, "waiting", scan.facts) for scan in found.scans}
        self._keys: dict[str, str] = {}
        self._first: dict[str, str] = {}  # key to the first scan of that content
        self._cohort: str | None = None

    def result(self) -> CohortResult:
        sent = self._send()
        self._follow(sent)
        result = CohortResult(self._title, self._outcomes.out, tuple(self._entries.values()), time.monotonic() - self._began)
        write_results(result)
        return result

    def cancel(self) -> None:
        if self._cohort:
            self._client.post(f"/imaging/cohorts/{self._cohort}/cancel")

    def _send(self) -> dict[str, CohortScan]:
        """Send what has no outcome yet; gives it by its name in the cohort there."""
        model = next((role["champion"] for role in self._client.get("/models")["roles"] if role["role"] == "segmentation"), None)
        plan = "remote"  # the workbench's own plan is part of its key; here only the model decides whether an outcome holds
        sent: dict[str, CohortScan] = {}
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            for scan in self._found.scans:
                try:
                    key = self._keys[scan.name] = work_key(content_digest(scan.files), {}, model, plan)
                    if outcome := self._outcomes.find(key):
                        self._ended(scan, outcome, taken_over=True)
                        continue
                    row = self._send_one(scan, as_one_file(scan.files, Path(folder), "series"))
                    sent[row["name"]] = scan
                except Unavailable:
                    raise
                except WorkbenchError as error:  # an empty file, for example: it never becomes a job
                    self._ended(scan, Outcome(self._keys.get(scan.name, "unread"), "failed", error=error.as_dict()))
        return sent

    def _send_one(self, scan: CohortScan, file: Path) -> dict[str, Any]:
        fields = {"name": scan.name, "facts": json.dumps(dict(scan.facts))}
        return self._client.send_file(f"/imaging/cohorts/{self._cohort_id()}/scans", file, fields=fields)

    def _cohort_id(self) -> str:
        """The cohort of an earlier run of this folder on this workbench, where it is still there; else a new one."""
        if self._cohort:
            return self._cohort
        note = self._outcomes.out / STATE / "workbench"
        try:
            said = json.loads(note.read_text())
            if said["url"] == self._client.url:
                self._cohort = str(self._client.get(f"/imaging/cohorts/{said['id']}")["id"])
                return self._cohort
        except (OSError, ValueError, KeyError, NotFound):
            pass
        self._cohort = str(self._client.post("/imaging/cohorts", {"title": self._title})["id"])
        note.write_text(json.dumps({"url": self._client.url, "id": self._cohort}))
        return self._cohort

    def _follow(self, sent: dict[str, CohortScan]) -> None:
        silent_since: float | None = None
        while sent:
            try:
                rows = self._client.get(f"/imaging/cohorts/{self._cohort_id()}")["scans"]
                silent_since = None
                for row in rows:
                    if row["name"] in sent and row["job"]["state"] in ("done", "failed", "cancelled"):
                        self._bring(sent[row["name"]], row["job"])
                        del sent[row["name"]]
            except Unavailable:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > PATIENCE_SECONDS:
                    raise
            time.sleep(0.3)

    def _bring(self, scan: CohortScan, job: dict[str, Any]) -> None:
        key = self._keys[scan.name]
        if job["state"] == "cancelled":
            error = {"code": "cancelled", "message": "It was cancelled."}
            self._tell(Entry(scan.name, "cancelled", scan.facts, error=error))
            return
        if job["state"] == "failed":
            self._ended(scan, Outcome(key, "failed", error=job["error"] or {}, seconds=_seconds(job)))
            return
        if not self._outcomes.find(key):
            work = self._outcomes.work_folder(key)
            base = f"/imaging/analysis/{job['id']}/files"
            for name in FILES:
                self._client.download(f"{base}/{name}", work / name)
            for name in MORE:
                try:
                    self._client.download(f"{base}/{name}", work / name)
                except NotFound:
                    continue
            self._outcomes.keep(Outcome(key, "done", self._outcomes.place(work, scan.name), seconds=_seconds(job)))
        kept = self._outcomes.find(key)
        assert kept is not None
        self._ended(scan, kept)

    def _ended(self, scan: CohortScan, outcome: Outcome, *, taken_over: bool = False) -> None:
        first = self._first.setdefault(outcome.key, scan.name)
        if outcome.state == "failed" and outcome.key != "unread" and not taken_over:
            self._outcomes.keep(outcome)
        same_as = first if first != scan.name else None
        self._tell(entry_of(self._outcomes, scan, outcome, taken_over=taken_over, same_as=same_as))

    def _tell(self, entry: Entry) -> None:
        self._entries[entry.name] = entry
        entries = list(self._entries.values())
        write_table(self._outcomes.out, entries)
        self._told(sum(item.state != "waiting" for item in entries), len(entries), entry)


def _seconds(job: dict[str, Any]) -> float:
    from datetime import datetime

    if not job["started_at"] or not job["finished_at"]:
        return 0.0
    return round((datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds(), 3)
