"""Cohorts: what a folder holds, and a run that stops for nothing, does nothing twice and names what failed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from infra.errors import Conflict, InvalidInput, NotFound, Unavailable
from infra.settings import Settings, load_settings
from pipelines.imaging.cohort import analyze_cohort, find_scans
from pipelines.imaging.cohort.entries import Entry
from pipelines.imaging.cohort.keys import as_one_file, content_digest, work_key
from pipelines.imaging.cohort.outcomes import Outcome, Outcomes, folder_name
from pipelines.imaging.cohort.outliers import scores, spreads
from pipelines.imaging.cohort.page import quality_page
from pipelines.imaging.cohort.table import measurements_csv
from serving.roles import Roles
from tests.dicoms import classic, enhanced, save
from tests.heads import EllipsoidSegmentation, grid, head_labels, head_picture

ROOT = Path(__file__).parents[4]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


def write_head(path: Path, *, seed: int = 7, spacing: float = 5.0) -> Path:
    shape, affine = grid(spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(head_picture(head_labels(shape, affine), seed=seed), affine), path)
    return path


def write_series(folder: Path) -> Path:
    shape, affine = grid(8.0)
    folder.mkdir(parents=True)
    for number, data in enumerate(classic(head_picture(head_labels(shape, affine)).astype(np.uint16), affine)):
        save(data, folder / f"IM{number:04d}")
    return folder


def a_cohort(folder: Path) -> Path:
    """Four good scans, one of them twice; two broken ones; files that are no scans."""
    for seed in range(4):
        write_head(folder / f"sub{seed}" / "head.nii.gz", seed=seed)
    shutil.copy(folder / "sub0" / "head.nii.gz", folder / "sub0" / "the_same.nii.gz")
    (folder / "broken.nii.gz").write_bytes((folder / "sub1" / "head.nii.gz").read_bytes()[:500])
    (folder / "empty.nii").write_bytes(b"")
    (folder / "notes.txt").write_text("nothing")
    return folder


def test_a_folder_is_looked_through_by_ending_and_content(tmp_path: Path):
    write_head(tmp_path / "a" / "head.nii.gz")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "broken.nii.gz").write_bytes(b"no gzip")
    write_series(tmp_path / "c" / "series")
    shape, affine = grid(8.0)
    save(enhanced(head_picture(head_labels(shape, affine)).astype(np.uint16), affine), tmp_path / "c" / "whole.dcm")
    (tmp_path / "README.md").write_text("words")
    (tmp_path / ".hidden.nii").write_bytes(b"x")
    (tmp_path / "earlier" / ".cohort").mkdir(parents=True)
    write_head(tmp_path / "earlier" / "scans" / "segmentation.nii.gz")
    found = find_scans(tmp_path)
    assert [scan.name for scan in found.scans] == ["a/head.nii.gz", "b/broken.nii.gz", "c/series", "c/whole.dcm"]
    assert not found.bids and found.passed_over == 1 and not found.one_series
    assert len(found.scans[2].files) > 10 and find_scans(tmp_path / "c" / "series").one_series


def test_a_bids_dataset_gives_its_structural_images(tmp_path: Path):
    for name in (
        "sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_FLAIR.nii.gz", "sub-02/ses-a/anat/sub-02_ses-a_run-1_T1w.nii.gz",
        "sub-02/ses-a/func/sub-02_ses-a_task-rest_bold.nii.gz", "sub-02/ses-a/anat/sub-02_ses-a_mod-T1w_defacemask.nii.gz",
        "derivatives/sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_part-phase_T2w.nii.gz",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = find_scans(tmp_path)
    assert found.bids and [(scan.name, dict(scan.facts)) for scan in found.scans] == [
        ("sub-01/anat/sub-01_FLAIR.nii.gz", {"participant": "sub-01", "sequence": "FLAIR"}),
        ("sub-01/anat/sub-01_T1w.nii.gz", {"participant": "sub-01", "sequence": "T1w"}),
        (
            "sub-02/ses-a/anat/sub-02_ses-a_run-1_T1w.nii.gz",
            {"participant": "sub-02", "session": "ses-a", "run": "run-1", "sequence": "T1w"},
        ),
    ]


def test_a_folder_without_scans_is_refused(tmp_path: Path):
    with pytest.raises(NotFound):
        find_scans(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InvalidInput, match="No scans found"):
        find_scans(tmp_path)


def test_the_same_content_has_the_same_key_whatever_it_is_called(tmp_path: Path):
    series = write_series(tmp_path / "one")
    other = tmp_path / "two"
    other.mkdir()
    for number, path in enumerate(sorted(series.iterdir(), reverse=True)):
        shutil.copy(path, other / f"{number}.dcm")
    one, two = ([*folder.iterdir()] for folder in (series, other))
    assert content_digest(one) == content_digest(two)
    assert work_key("a", {}, {"version": "1", "digest": "d"}, "p") != work_key("a", {}, {"version": "2", "digest": "d"}, "p")
    again = tmp_path / "again"
    again.mkdir()
    assert as_one_file(one, tmp_path, "x").read_bytes() == as_one_file(one, again, "x").read_bytes()
    with pytest.raises(NotFound, match="fetch"):
        content_digest([tmp_path / "gone"])


def test_one_failure_stops_nothing_and_is_named(tmp_path: Path, settings: Settings):
    told: list[tuple[int, int, str]] = []
    role = EllipsoidSegmentation()
    result = analyze_cohort(
        a_cohort(tmp_path / "scans"), tmp_path / "out", settings=settings, roles=Roles(segmentation=role),
        told=lambda ended, of, entry: told.append((ended, of, entry.state)),
    )  # fmt: skip
    assert (result.count("done"), result.count("failed"), len(role.calls)) == (5, 2, 4), "a scan that is there twice is done once"
    assert [item[:2] for item in told] == [(number, 7) for number in range(1, 8)]
    rows = list(csv.DictReader((tmp_path / "out" / "measurements.csv").open()))
    assert [row["scan"] for row in rows] == sorted(row["scan"] for row in rows) and len(rows) == 7
    by_name = {row["scan"]: row for row in rows}
    assert by_name["broken.nii.gz"]["state"] == "failed" and by_name["broken.nii.gz"]["code"] == "corrupt_file"
    assert "empty" in by_name["empty.nii"]["reason"] and by_name["empty.nii"]["brain volume (ml)"] == ""
    assert float(by_name["sub0/head.nii.gz"]["brain volume (ml)"]) > 500
    assert by_name["sub0/the_same.nii.gz"]["same_as"] == "sub0/head.nii.gz"
    for name in ("sub0__head.nii.gz", "sub0__the_same.nii.gz", "sub3__head.nii.gz"):
        assert (tmp_path / "out" / "scans" / name / "segmentation.nii.gz").is_file()
    page = (tmp_path / "out" / "quality.html").read_text()
    assert "broken.nii.gz" in page and page.count("data:image/jpeg;base64,") == 5 and "http://" not in page and "https://" not in page
    said = json.loads((tmp_path / "out" / "cohort.json").read_text())
    assert said == json.loads(json.dumps(result.as_dict())) and said["failed"] == 2


def test_of_two_scans_of_one_content_the_first_by_name_is_analysed(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    def slow_for_the_first(files):
        time.sleep(0.5 if "head" in files[0].name else 0)
        return content_digest(files)

    monkeypatch.setattr("pipelines.imaging.cohort.inline.content_digest", slow_for_the_first)
    roles = Roles(segmentation=EllipsoidSegmentation())
    result = analyze_cohort(a_cohort(tmp_path / "scans"), tmp_path / "out", settings=settings, roles=roles, limit=4)
    same = {entry.name: entry.same_as for entry in result.entries if entry.same_as}
    assert same == {"sub0/the_same.nii.gz": "sub0/head.nii.gz"}


def test_a_second_run_does_nothing_twice(tmp_path: Path, settings: Settings):
    folder, out = a_cohort(tmp_path / "scans"), tmp_path / "out"
    analyze_cohort(folder, out, settings=settings, roles=Roles(segmentation=EllipsoidSegmentation()))
    role = EllipsoidSegmentation()
    write_head(folder / "later.nii.gz", seed=99)
    (folder / "sub1" / "head.nii.gz").rename(folder / "sub1" / "renamed.nii.gz")
    result = analyze_cohort(folder, out, settings=settings, roles=Roles(segmentation=role))
    assert len(role.calls) == 1, "only the new scan"
    assert sum(entry.taken_over for entry in result.entries) >= 6 and result.count("done") == 6 and result.count("failed") == 2
    assert (out / "scans" / "sub1__renamed.nii.gz" / "report.json").is_file()
    shutil.rmtree(out / "scans" / "sub3__head.nii.gz")  # somebody tidied up
    assert analyze_cohort(folder, out, settings=settings, roles=Roles(segmentation=role)).count("done") == 6
    assert len(role.calls) == 2


def test_what_may_pass_is_tried_again_and_what_may_not_is_kept(tmp_path: Path):
    outcomes = Outcomes(tmp_path)
    outcomes.keep(Outcome("a", "failed", error=Unavailable("Away.").as_dict()))
    outcomes.keep(Outcome("b", "failed", error=InvalidInput("Broken.").as_dict()))
    assert outcomes.find("a") is None and outcomes.find("b") and outcomes.find("c") is None
    (tmp_path / ".cohort" / "b.json").write_text("{half")
    assert outcomes.find("b") is None
    with outcomes.owned(), pytest.raises(Conflict), Outcomes(tmp_path).owned():
        pass


def test_killed_half_way_it_goes_on_where_it_was(tmp_path: Path):
    folder, out, log = tmp_path / "scans", tmp_path / "out", tmp_path / "calls"
    for seed in range(6):
        write_head(folder / f"{seed}.nii.gz", seed=seed, spacing=8.0)
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import asyncio, pathlib, sys
        from infra.settings import load_settings
        from pipelines.imaging.cohort import analyze_cohort
        from serving.roles import Roles
        from tests.heads import EllipsoidSegmentation
        class Hanging(EllipsoidSegmentation):
            async def segment(self, volume, *, version=None):
                with open({str(log)!r}, "a") as file: file.write(f"{{volume.data.sum():.0f}}\\n")
                if len(self.calls) == int(sys.argv[1]): await asyncio.sleep(3600)
                return await super().segment(volume, version=version)
        result = analyze_cohort({str(folder)!r}, {str(out)!r}, settings=load_settings(home=pathlib.Path({str(tmp_path / "home")!r})),
                                roles=Roles(segmentation=Hanging()), limit=2)
        print(result.count("done"))
        """)
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen([sys.executable, str(program), "3"], env=environment)
    try:
        end = time.monotonic() + 120
        while len(list((out / ".cohort").glob("*.json"))) < 3 and first.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait()
    finished = {path.name: path.read_text() for path in (out / ".cohort").glob("*.json")}
    assert len(finished) == 3
    again = subprocess.run([sys.executable, str(program), "-1"], env=environment, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == "6"
    assert all((out / ".cohort" / name).read_text() == text for name, text in finished.items())
    calls = log.read_text().split()
    assert len(set(calls)) == 6 and len(calls) <= 6 + 2, "only what was at work when it was killed was begun again"
    assert not list((out / ".cohort").glob("work-*"))


def entries(volumes: list[float]) -> list[Entry]:
    found = [
        Entry(f"s{number}", "done", row={"brain volume (ml)": value, "quality": "good", "quality_score": 0.9})
        for number, value in enumerate(volumes)
    ]
    return [*found, Entry("<b>bad</b>.nii", "failed", error={"code": "corrupt_file", "message": "It is <cut> off."})]


def test_outliers_are_told_from_the_rest_by_robust_deviations():
    cohort = entries([1180, 1210, 1195, 1220, 1205, 1190, 640])
    found = scores(cohort, spreads(cohort))
    z, sentence = found["s6"]
    assert (
        z > 10
        and "Brain 640 ml" in sentence
        and "below the median of 1,195 ml" in sentence
        and max(found[f"s{n}"][0] for n in range(6)) < 3.5
    )
    assert all(z == 0 for z, _ in scores(entries([1, 2, 900]), spreads(entries([1, 2, 900]))).values()), "too few to compare"
    assert scores(entries([5.0] * 6), spreads(entries([5.0] * 6)))["s0"] == (0.0, "")


def test_the_page_names_outliers_first_and_escapes_names():
    page = quality_page("A <cohort>", entries([1180, 1210, 1195, 1220, 1205, 1190, 640]), models=["brain version 1"])
    assert "A &lt;cohort&gt;" in page and "<b>bad" not in page and "It is &lt;cut&gt; off." in page
    assert page.index("<b>s6") < page.index("<b>s0") and "outlier</span>" in page
    assert "None" not in page and "Fewer than" in quality_page("x", entries([1, 2]))
    assert quality_page("empty", [])


def test_the_table_has_a_row_a_scan_and_no_formula():
    rows = list(csv.DictReader(measurements_csv([Entry("=1+1.nii", "done", {"participant": "sub-1"}, {"a (ml)": 2.0})]).splitlines()))
    assert rows[0]["scan"] == "'=1+1.nii" and rows[0]["participant"] == "sub-1" and rows[0]["a (ml)"] == "2.0"


def test_names_become_folders():
    assert folder_name("sub-01/anat/a b.nii.gz") == "sub-01__anat__a_b.nii.gz"
    assert folder_name("../../etc") == "etc" and folder_name("..") == "scan"


def test_two_jobs_at_least_and_the_setting_counts(settings: Settings):
    assert settings.jobs.at_once >= 2 and load_settings(jobs={"concurrency": 7}).jobs.at_once == 7
