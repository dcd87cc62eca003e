"""Cohorts over HTTP on a real gateway: jobs are real rows, ended by hand where a runner would."""

from __future__ import annotations

import asyncio
import csv
import json
import threading
import time
from pathlib import Path

import httpx
import pytest

from infra.database.tables import AnalysisJob, Notification
from infra.errors import InvalidInput, Unavailable
from infra.objectstore import ObjectInfo
from pipelines.imaging.cohort import find_scans
from pipelines.imaging.report import Measurement, Report, ReportInput, ReportModel, ReportQuality
from pipelines.jobs.job_store import JobStore
from tests.integration.workbench.conftest import Running
from workbench.cli.cohort_remote import run_remote
from workbench.cli.running import Client


def make(client: httpx.Client, title: str = "Study") -> str:
    answer = client.post("/imaging/cohorts", json={"title": title})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def send(client: httpx.Client, cohort: str, name: str, content: bytes, **facts: str) -> dict:
    files = {"file": (name.rsplit("/", 1)[-1], content)}
    answer = client.post(f"/imaging/cohorts/{cohort}/scans", files=files, data={"name": name, "facts": json.dumps(facts)})
    assert answer.status_code == 202, answer.text
    return answer.json()


def finish(running: Running, job_id: str, brain_ml: float = 1200.0, more: dict | None = None) -> None:
    """End a job as the pipeline does."""
    report = Report(
        job=job_id, input=ReportInput(name="a.nii.gz", format="NIfTI", shape=(2, 2, 2), spacing_mm=(1, 1, 1), orientation="RAS"),
        quality=ReportQuality(verdict="good", score=0.9, reasons=[]), lesions=[], sentences=[], confidence=0.9, seconds={},
        models=[ReportModel(role="segmentation", name="m", version="1", digest="d", backend="b", device="cpu")],
        measurements=[Measurement(name="brain volume", value=brain_ml, unit="ml")],
    )  # fmt: skip
    info: ObjectInfo = running.services.store.put("analysis-reports", f"{job_id}/report.json", report.model_dump_json().encode())
    state: dict = {"summary": {"quality": "good", "brain_ml": brain_ml, "lesions": 0}, "models": []}
    state["artifacts"] = {"report.json": info.as_dict(), **(more or {})}
    asyncio.run(JobStore(running.services.database).done(job_id, state))


def test_a_cohort_fills_and_is_taken_away_as_a_table_and_a_page(running: Running) -> None:
    with running.client() as client:
        cohort = make(client)
        rows = [send(client, cohort, f"sub-{n}/T1w.nii.gz", b"scan %d" % n, participant=f"sub-{n}") for n in range(3)]
        finish(running, rows[0]["job"]["id"], 1234.5)
        asyncio.run(JobStore(running.services.database).failed(rows[1]["job"]["id"], "receive", InvalidInput("It is <cut> off.")))
        view = client.get(f"/imaging/cohorts/{cohort}").json()
        assert (view["done"], view["failed"], view["live"]) == (1, 1, True) and 0.6 < view["fraction"] < 0.7
        assert [row["name"] for row in view["scans"]] == ["sub-0/T1w.nii.gz", "sub-1/T1w.nii.gz", "sub-2/T1w.nii.gz"]
        assert view["scans"][0]["summary"]["brain_ml"] == 1234.5 and view["scans"][1]["job"]["error"]["message"] == "It is <cut> off."
        table = list(csv.DictReader(client.get(f"/imaging/cohorts/{cohort}/measurements.csv").text.splitlines()))
        assert [row["state"] for row in table] == ["done", "failed", "waiting"]
        assert table[0]["brain volume (ml)"] == "1234.5" and table[0]["participant"] == "sub-0" and table[1]["code"] == "invalid_input"
        page = client.get(f"/imaging/cohorts/{cohort}/quality.html")
        assert page.headers["content-type"].startswith("text/html") and "It is &lt;cut&gt; off." in page.text
        assert client.get("/imaging/cohorts").json()["cohorts"][0]["states"] == {"done": 1, "failed": 1, "queued": 1}


def test_one_content_is_one_job_whatever_it_is_called_and_in_whatever_cohort(running: Running) -> None:
    with running.client() as client:
        one, two = make(client), make(client)
        first = send(client, one, "a.nii.gz", b"the same")
        again = send(client, one, "a.nii.gz", b"the same")
        named = send(client, one, "b.nii.gz", b"the same")
        other = send(client, two, "c.nii.gz", b"the same")
        assert len({row["job"]["id"] for row in (first, again, named, other)}) == 1
        assert named["same_as"] == "a.nii.gz" and len(client.get(f"/imaging/cohorts/{one}").json()["scans"]) == 2
        assert send(client, one, "a.nii.gz", b"another")["name"] == "a.nii.gz (2)"


def test_what_may_pass_is_begun_anew_and_what_may_not_stands(running: Running) -> None:
    job_store = JobStore(running.services.database)
    with running.client() as client:
        cohort = make(client)
        refused, passing = send(client, cohort, "r", b"r")["job"]["id"], send(client, cohort, "p", b"p")["job"]["id"]
        asyncio.run(job_store.failed(refused, "check", InvalidInput("No.")))
        asyncio.run(job_store.failed(passing, "segment", Unavailable("Away.")))
        assert send(client, cohort, "r", b"r")["job"]["id"] == refused
        anew = send(client, cohort, "p", b"p")["job"]["id"]
        assert anew != passing and send(client, cohort, "p", b"p")["job"]["id"] == anew


def test_cancel_stops_all_of_it_and_retry_begins_what_failed(running: Running) -> None:
    with running.client() as client:
        cohort = make(client)
        ids = [send(client, cohort, f"{n}", b"%d" % n)["job"]["id"] for n in range(3)]
        finish(running, ids[0])
        assert client.post(f"/imaging/cohorts/{cohort}/cancel").json()["cancelled"] == 2
        view = client.post(f"/imaging/cohorts/{cohort}/retry").json()
        assert view["live"] and view["done"] == 1 and view["scans"][0]["job"]["id"] == ids[0]
        assert {row["job"]["id"] for row in view["scans"][1:]}.isdisjoint(ids)


def test_another_persons_cohort_is_not_there_and_nonsense_is_told(running: Running) -> None:
    with running.client() as client, running.stranger() as stranger:
        cohort = make(client)
        assert stranger.get(f"/imaging/cohorts/{cohort}").status_code == 401
        assert client.get("/imaging/cohorts/nothing").status_code == 404
        assert client.post(f"/imaging/cohorts/{cohort}/scans", data={"name": "x"}, files={"other": b""}).status_code == 422
        assert client.post(f"/imaging/cohorts/{cohort}/scans", files={"file": ("e.nii", b"")}).json()["code"] == "invalid_input"
        answer = client.post(f"/imaging/cohorts/{cohort}/scans", files={"file": ("e.nii", b"x")}, data={"facts": "[1"})
        assert answer.json()["code"] == "invalid_input"


def test_a_dicom_that_was_read_already_is_not_kept_when_it_is_sent_again(running: Running) -> None:
    with running.client() as client:
        cohort = make(client)
        row = send(client, cohort, "a.dcm", b"dicom")
        store, services = running.services.store, running.services
        job = services.database.session()
        with job as session:
            given = session.get(AnalysisJob, row["job"]["id"]).input
        store.put("uploads-raw", f"scans/{given['sha256']}.json", json.dumps({"format": "DICOM series, zip"}).encode())
        store.delete("uploads-raw", given["key"])  # as the first stage does
        send(client, cohort, "b.dcm", b"dicom")
        with pytest.raises(Exception, match="no"):
            store.info("uploads-raw", given["key"])


def test_a_scan_of_many_tells_nobody_of_itself(running: Running) -> None:
    with running.client() as client:
        job_id = send(client, make(client), "a", b"a")["job"]["id"]
        finish(running, job_id)
    with running.services.database.session() as session:
        assert session.get(Notification, job_id) is None


def test_the_command_line_sends_follows_and_brings_home_and_a_second_run_sends_nothing(running: Running, tmp_path: Path) -> None:
    folder, out = tmp_path / "study", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    for name, content in (("a.nii.gz", b"one"), ("sub/b.nii.gz", b"two"), ("sub/c.nii.gz", b"one"), ("empty.nii", b"")):
        (folder / name).write_bytes(content)
    store, jobs = running.services.store, running.services.jobs
    going = threading.Event()

    def finish_all() -> None:
        """What the runner would do: one scan fails, the other is done."""
        owner = running.services.accounts.ensure_owner().id
        while not going.is_set():
            for job in asyncio.run(jobs.list(owner)):
                if job.state == "queued" and job.title == "b.nii.gz":
                    asyncio.run(JobStore(running.services.database).failed(job.id, "receive", InvalidInput("It is cut off.")))
                elif job.state == "queued":
                    files = {
                        name: store.put("analysis-reports", f"{job.id}/{name}", b"x")
                        for name in ("segmentation.nii.gz", "report.pdf", "overlay.png")
                    }
                    finish(running, job.id, more={name: info.as_dict() for name, info in files.items()})
            time.sleep(0.05)

    thread = threading.Thread(target=finish_all)
    thread.start()
    told: list[str] = []
    try:
        client = Client(running.url, running.token)
        for turn in (1, 2):
            result = run_remote(client, find_scans(folder), out, told=lambda ended, of, entry: told.append(entry.name))
            assert {entry.name: entry.state for entry in result.entries} == {
                "a.nii.gz": "done", "sub/b.nii.gz": "failed", "sub/c.nii.gz": "done", "empty.nii": "failed",
            }  # fmt: skip
            assert result.entries[-1].same_as == "a.nii.gz" and sorted(told[-4:]) == sorted(entry.name for entry in result.entries)
            assert (out / "scans" / "sub__c.nii.gz" / "segmentation.nii.gz").read_bytes() == b"x"
            assert sum(entry.taken_over for entry in result.entries) == (0 if turn == 1 else 4)
        rows = list(csv.DictReader((out / "measurements.csv").open()))
        assert {row["scan"]: row["reason"] for row in rows}["sub/b.nii.gz"] == "It is cut off."
        assert len(client.get("/imaging/cohorts")["cohorts"]) == 1 and len(client.get("/jobs")["jobs"]) == 2
    finally:
        going.set()
        thread.join()
