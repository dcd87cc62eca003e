"""Studies over HTTP on a real gateway: small real heads, jobs that are real rows and are ended by hand where a runner would."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pytest

from infra.errors import InvalidInput
from pipelines.imaging.lesions import find_lesions
from pipelines.imaging.report import Report, ReportInput, ReportQuality
from pipelines.imaging.study import Study
from pipelines.jobs.job_store import JobStore
from tests.heads import grid, head_labels
from tests.integration.workbench.conftest import Running

BOTH, ONLY_FLAIR = ((-22.0, 20.0, 30.0), 9.0), ((24.0, -30.0, 34.0), 9.0)
SHAPE, AFFINE = grid(5.0)
FILES = ("report.json", "segmentation.nii.gz")


@pytest.fixture
def sent(running: Running):
    """A visit of several sequences, sent and not yet analysed: ``(cohort's id, job's id of each name)``."""

    def send(*names: str, content: bytes | None = None) -> tuple[str, dict[str, str]]:
        with running.client() as client:
            cohort = client.post("/imaging/cohorts", json={"title": "Visit", "study": True}).json()["id"]
            jobs = {}
            for name in names:
                files = {"file": (name, content or name.encode())}
                jobs[name] = client.post(f"/imaging/cohorts/{cohort}/scans", files=files).json()["job"]["id"]
            return cohort, jobs

    return send


@pytest.fixture
def analysed(running: Running, tmp_path: Path):
    """End a job as the pipeline does, with these labels."""

    def end(job_id: str, labels: np.ndarray) -> None:
        report = Report(
            job=job_id, input=ReportInput(name="a", format="NIfTI", shape=SHAPE, spacing_mm=(5, 5, 5), orientation="RAS"),
            quality=ReportQuality(verdict="good", score=0.9, reasons=[]), lesions=find_lesions(labels, AFFINE), models=[], measurements=[],
            sentences=[], confidence=0.9, seconds={},
        )  # fmt: skip
        nib.save(nib.Nifti1Image(labels.astype(np.uint8), AFFINE), tmp_path / "segmentation.nii.gz")
        (tmp_path / "report.json").write_text(report.model_dump_json())
        left = {name: running.services.store.put("analysis-reports", f"{job_id}/{name}", tmp_path / name) for name in FILES}
        state = {"summary": {}, "models": [], "artifacts": {name: info.as_dict() for name, info in left.items()}}
        asyncio.run(JobStore(running.services.database).done(job_id, state))

    return end


def settled(client: httpx.Client, cohort: str) -> dict:
    """The cohort once its study is merged or refused."""
    for _ in range(600):
        view = client.get(f"/imaging/cohorts/{cohort}").json()
        if view["study"]["state"] in ("done", "refused"):
            return view
        time.sleep(0.05)
    raise AssertionError(view)


def test_the_sequences_of_a_visit_are_brought_together_once_when_all_have_ended(running: Running, sent, analysed, tmp_path: Path) -> None:
    cohort, jobs = sent("T1.nii.gz", "FLAIR.nii.gz")
    base = f"/imaging/cohorts/{cohort}"
    with running.client() as client:
        analysed(jobs["T1.nii.gz"], head_labels(SHAPE, AFFINE, [BOTH]))
        assert client.get(base).json()["study"] == {"state": "waiting", "error": None, "files": []}
        early = client.get(f"{base}/files/study.json")
        assert (early.status_code, early.json()["code"]) == (409, "still_running")
        analysed(jobs["FLAIR.nii.gz"], head_labels(SHAPE, AFFINE, [BOTH, ONLY_FLAIR]))
        assert settled(client, cohort)["study"]["files"] == ["study.json", "study_segmentation.nii.gz"]

        study = Study.model_validate_json(client.get(f"{base}/files/study.json").content)
        assert sorted(tuple(sorted(lesion.shown_by)) for lesion in study.lesions) == [("FLAIR",), ("FLAIR", "T1")]
        assert study.notes == [] and {sequence.report.job for sequence in study.sequences} == set(jobs.values())
        (tmp_path / "s.nii.gz").write_bytes(client.get(f"{base}/files/study_segmentation.nii.gz").content)
        assert len(find_lesions(np.asarray(nib.load(tmp_path / "s.nii.gz").dataobj), AFFINE)) == 2
        assert client.get(f"{base}/files/other").json()["code"] == "not_found"

        store = running.services.store
        kept = [
            (info.key, store.local_path(info.bucket, info.key, folder=tmp_path).stat().st_mtime_ns) for info in files_of(running, cohort)
        ]
        assert len(kept) == 2
        for _ in range(3):
            assert client.get(base).json()["study"]["state"] == "done"
        running.services.background.close()  # whatever was begun has ended
        assert kept == [
            (info.key, store.local_path(info.bucket, info.key, folder=tmp_path).stat().st_mtime_ns) for info in files_of(running, cohort)
        ]


def test_a_sequence_that_failed_is_named_and_the_others_are_brought_together_until_it_is_retried(running: Running, sent, analysed) -> None:
    cohort, jobs = sent("a.nii.gz", "b.nii.gz", "broken.nii.gz")
    base = f"/imaging/cohorts/{cohort}"
    for name in ("a.nii.gz", "b.nii.gz"):
        analysed(jobs[name], head_labels(SHAPE, AFFINE))
    asyncio.run(JobStore(running.services.database).failed(jobs["broken.nii.gz"], "receive", InvalidInput("It is cut off.")))
    with running.client() as client:
        settled(client, cohort)
        study = client.get(f"{base}/files/study.json").json()
        assert study["notes"] == ["broken is not part of this study: It is cut off."] and len(study["sequences"]) == 2
        assert study["sentences"] == ["No lesion detected in a and b."]
        first = {info.key for info in files_of(running, cohort)}

        scans = client.post(f"{base}/retry").json()["scans"]
        analysed(next(row["job"]["id"] for row in scans if row["name"] == "broken.nii.gz"), head_labels(SHAPE, AFFINE, [BOTH]))
        settled(client, cohort)
        study = client.get(f"{base}/files/study.json").json()
        assert study["notes"] == [] and list(study["lesions"][0]["shown_by"]) == ["broken"]
        second = {info.key for info in files_of(running, cohort)}
        assert len(second) == 2 and not first & second, "the files of the scans as they were are gone"


def test_what_is_no_study_is_told_in_a_sentence_and_the_scans_stay(running: Running, sent, analysed) -> None:
    labels = head_labels(SHAPE, AFFINE)
    few = np.where(np.isin(labels, (2, 41)), labels, 0)
    with running.client() as client:
        strange, jobs = sent("T1.nii.gz", "FLAIR.nii.gz")
        analysed(jobs["T1.nii.gz"], labels)
        analysed(jobs["FLAIR.nii.gz"], few)
        view = settled(client, strange)
        assert view["study"]["state"] == "refused" and view["done"] == 2
        assert "Registration of" in view["study"]["error"]["message"] and "share 2 structures" in view["study"]["error"]["message"]
        answer = client.get(f"/imaging/cohorts/{strange}/files/study.json")
        assert (answer.status_code, answer.json()["detail"]) == (422, view["study"]["error"]["message"])

        twice, jobs = sent("x.nii.gz", "y.nii.gz", content=b"the same")
        analysed(jobs["x.nii.gz"], labels)
        said = settled(client, twice)["study"]["error"]["message"]
        assert "two analysed sequences" in said and "y: it is the same file as x." in said


def test_what_failed_by_something_that_may_pass_is_kept_and_tried_again_when_asked(running: Running, sent, analysed) -> None:
    cohort, jobs = sent("T1.nii.gz", "FLAIR.nii.gz")
    for job_id in jobs.values():
        analysed(job_id, head_labels(SHAPE, AFFINE))
    store, key = running.services.store, f"{jobs['FLAIR.nii.gz']}/segmentation.nii.gz"
    kept = store.get("analysis-reports", key)
    store.delete("analysis-reports", key)
    with running.client() as client:
        for _ in range(2):
            assert settled(client, cohort)["study"]["error"]["code"] == "not_found"
        store.put("analysis-reports", key, kept)
        assert settled(client, cohort)["study"]["state"] == "refused", "nothing is tried again unasked"
        client.post(f"/imaging/cohorts/{cohort}/retry")
        view = settled(client, cohort)
        assert view["study"]["state"] == "done" and {row["job"]["id"] for row in view["scans"]} == set(jobs.values())
    assert list((running.services.folder.home / "work").iterdir()) == []


def test_a_cohort_of_many_people_has_no_study(running: Running) -> None:
    with running.client() as client:
        cohort = client.post("/imaging/cohorts", json={"title": "Many"}).json()
        assert cohort["study"] is None
        answer = client.get(f"/imaging/cohorts/{cohort['id']}/files/study.json")
        assert answer.status_code == 404 and "not a multi-sequence study" in answer.json()["detail"]


def files_of(running: Running, cohort: str) -> list:
    return list(running.services.store.list("analysis-reports", f"cohorts/{cohort}/"))
