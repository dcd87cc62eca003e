"""The whole pipeline inline, with a segmentation role that knows its head by heart: files in, report out."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import zipfile
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, Upload, User
from infra.errors import InvalidInput, ModelMissing, NotABrain, NotFound, WorkbenchError
from infra.objectstore import LocalObjectStore
from infra.settings import Settings, load_settings
from infra.telemetry import configure_logging
from pipelines.imaging import analyze
from pipelines.imaging.inline import FILES
from pipelines.imaging.originals import drop_read, note_read
from pipelines.imaging.pipeline import PIPELINE
from pipelines.imaging.report import Report
from pipelines.jobs.definition import StageContext
from pipelines.jobs.inline import run_inline
from serving.roles import Roles
from serving.roles.segmentation import Quality
from tests.dicoms import SECRETS, classic, enhanced, save
from tests.heads import EllipsoidSegmentation, grid, head_labels, head_picture

LESIONS = [((-18.0, -5.0, 28.0), 5.0), ((34.0, 20.0, 30.0), 4.0)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


def write_head(path: Path, code: str = "RAS", *, spacing: float = 3.0) -> Path:
    shape, affine = grid(spacing)
    picture = head_picture(head_labels(shape, affine, LESIONS))
    image = nib.Nifti1Image(picture, affine)
    steps = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(code))
    nib.save(image.as_reoriented(steps), path)
    return path


def test_a_scan_becomes_a_report_in_its_own_grid(tmp_path: Path, settings: Settings):
    told: list[tuple[float, str]] = []
    role = EllipsoidSegmentation(lesions=LESIONS)
    path = write_head(tmp_path / "head.nii.gz", "LIA")
    report = analyze(
        path, tmp_path / "out", settings=settings, roles=Roles(segmentation=role), options={"models": {"segmentation": "7"}},
        progress=lambda fraction, message: told.append((fraction, message)),
    )  # fmt: skip
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == sorted(FILES)
    assert role.calls[0][1] == "7"
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told) and told[-1][0] == 1.0

    original, labels = nib.load(path), nib.load(tmp_path / "out" / "segmentation.nii.gz")
    assert labels.shape == original.shape and np.array_equal(labels.affine, original.affine)
    assert np.array_equal(np.asarray(labels.dataobj), head_labels(original.shape, original.affine, LESIONS))
    stored = Report.model_validate_json((tmp_path / "out" / "report.json").read_text())
    assert stored == report
    assert report.input.orientation == "LIA" and report.input.name == "head.nii.gz" and report.quality.verdict == "good"
    assert [(item.side, item.zone) for item in report.lesions] == [("left", "periventricular"), ("right", "deep")]
    assert all(item.support == "measured" for item in report.sentences)
    assert {"receive", "check", "segment", "write", "verify", "store"} <= set(report.seconds)
    assert [model.role for model in report.models] == ["segmentation"] and len(report.models[0].digest) == 64
    assert (tmp_path / "out" / "report.pdf").read_bytes()[:5] == b"%PDF-"


def test_six_orientations_give_one_answer(tmp_path: Path, settings: Settings):
    answers = []
    for code in ("RAS", "LAS", "LIA", "PIR", "ASL", "SPR"):
        path = write_head(tmp_path / f"{code}.nii.gz", code, spacing=4.0)
        report = analyze(path, settings=settings, roles=Roles(segmentation=EllipsoidSegmentation(lesions=LESIONS)))
        assert report.input.orientation == code
        answers.append({item.name: item.value for item in report.measurements})
    assert all(answer == pytest.approx(answers[0]) for answer in answers)


def dicom_zip(path: Path) -> Path:
    shape, affine = grid(4.0)
    with zipfile.ZipFile(path, "w") as archive:
        for number, data in enumerate(classic(head_picture(head_labels(shape, affine)).astype(np.uint16), affine)):
            archive.write(save(data, path.parent / "slice.dcm"), f"{SECRETS[0]}/{number}.dcm")
    return path


def put(store: LocalObjectStore, path: Path) -> dict:
    info = store.put("uploads-raw", "raw/upload", path)
    return {"bucket": "uploads-raw", "key": "raw/upload", "name": path.name, "size": info.size, "sha256": info.sha256}


async def run(store: LocalObjectStore, given: dict, settings: Settings, roles: Roles, **more):
    return await run_inline(PIPELINE, input=given, settings=settings, store=store, roles=roles, title="A scan", **more)


async def test_nothing_of_a_dicoms_identifiers_is_stored_logged_or_told(tmp_path: Path, settings: Settings):
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    configure_logging(level="debug", stream=stream)
    store = LocalObjectStore(tmp_path / "objects")
    given = put(store, dicom_zip(tmp_path / "series.zip"))
    try:
        state = await run(store, given, settings, Roles(segmentation=EllipsoidSegmentation()), job_id="job-1")
    finally:
        logging.getLogger().handlers[:] = before
    kept = {"log": stream.getvalue().encode(), "state": json.dumps(state).encode()}
    for item in (tmp_path / "objects").rglob("*"):
        if item.is_file():
            content = item.read_bytes()
            kept[item.name] = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    for name, content in kept.items():
        for secret in (*SECRETS, "Zaphod", "Beeblebrox", "ID-4711", "20240229"):
            assert secret.encode() not in content, (name, secret)
    with pytest.raises(NotFound):
        store.info(given["bucket"], given["key"])  # the upload itself is gone
    facts = state["input"]["facts"]
    assert facts["sequence"] == "T1w" and facts["manufacturer"] == "Siemens" and facts["slices"] == 48

    again = await run(store, given, settings, Roles(segmentation=EllipsoidSegmentation()), job_id="job-2")
    assert again["input"] == state["input"] and again["summary"] == state["summary"]
    with pytest.raises(NotFound, match="Upload it again"):
        await run(store, given, settings, Roles(segmentation=EllipsoidSegmentation()), options={"series": 1})


async def test_a_dicom_upload_stays_until_the_last_job_has_read_it(tmp_path: Path, settings: Settings):
    settings.home.mkdir()
    database = Database(settings.database_url)
    migrate(database)
    store = LocalObjectStore(settings.objects_path)
    given = put(store, dicom_zip(tmp_path / "series.zip"))
    with database.session() as session:
        session.add(User(id="u", name="u", role="member"))
        session.flush()
        for name, options in (("job-1", {"series": 1}), ("job-2", {})):
            session.add(AnalysisJob(id=name, owner_id="u", pipeline="imaging", title="T", plan=PIPELINE.plan, input=given, options=options))

    async def analysed(job_id: str, options: dict) -> None:
        more = {"owner_id": "u", "job_id": job_id, "options": options}
        await run(store, given, settings, Roles(segmentation=EllipsoidSegmentation()), **more)
        with database.session() as session:
            session.get_one(AnalysisJob, job_id).state = "done"

    await analysed("job-1", {"series": 1})
    store.info(given["bucket"], given["key"])  # the second job is still to read it
    await analysed("job-2", {})
    with pytest.raises(NotFound):
        store.info(given["bucket"], given["key"])

    # Kept for a while after reading, where the settings say so; and not deleted under one who has just sent it again.
    patient = load_settings(home=settings.home, imaging={"keep_originals_minutes": 5})
    put(store, dicom_zip(tmp_path / "again.zip"))
    note_read(store, given["bucket"], given["key"])
    assert drop_read(patient, database, store) == 0
    with database.session() as session:
        session.add(Upload(id="up", owner_id="u", name="n", media_type="m", size=1, sha256="s", key=given["key"]))
    assert drop_read(settings, database, store) == 0
    with database.session() as session:
        session.delete(session.get_one(Upload, "up"))
    assert drop_read(settings, database, store) == 1 and not list(store.list(given["bucket"], "originals/"))
    database.close()


async def test_every_stage_can_be_begun_again_with_the_same_result(tmp_path: Path, settings: Settings):
    """A killed process begins a stage anew: objects are the same, byte for byte (but for the seconds)."""
    store = LocalObjectStore(tmp_path / "objects")
    given = put(store, write_head(tmp_path / "head.nii.gz", spacing=4.0))
    (tmp_path / "work").mkdir()
    context = StageContext(
        "job-1", "me", "A scan", given, {}, store, Roles(segmentation=EllipsoidSegmentation()), settings, tmp_path / "work"
    )
    state: dict = {}
    for stage in PIPELINE.stages:
        first = await stage.run(replace(context), dict(state))
        objects = {(item.bucket, item.key): item.sha256 for bucket in ("uploads-raw", "analysis-reports") for item in store.list(bucket)}
        second = await stage.run(replace(context), dict(state))
        after = {(item.bucket, item.key): item.sha256 for bucket in ("uploads-raw", "analysis-reports") for item in store.list(bucket)}
        timed = {("analysis-reports", "job-1/report.json")}
        assert {key: value for key, value in objects.items() if key not in timed} == {
            key: value for key, value in after.items() if key not in timed
        }
        first.pop("seconds", None), second.pop("seconds", None)
        for added in (first, second):
            added.get("artifacts", {}).pop("report.json", None)
        assert first == second, stage.name
        json.dumps(second, allow_nan=False)
        state |= await stage.run(replace(context), dict(state))
    assert state["notification"].startswith("A scan: report ready.")
    assert set(state["artifacts"]) == {*FILES, "scan.nii.gz"} and len(json.dumps(state)) < 40_000


def test_a_refused_scan_gets_no_report(tmp_path: Path, settings: Settings):
    role = EllipsoidSegmentation(quality=Quality("refused", 0.05, ("This looks like a pineapple.",)))
    with pytest.raises(NotABrain, match="pineapple") as caught:
        analyze(write_head(tmp_path / "head.nii.gz", spacing=4.0), tmp_path / "out", settings=settings, roles=Roles(segmentation=role))
    assert caught.value.details["stage"] == "segment" and not (tmp_path / "out").exists()


def test_limits_of_a_scan_are_told_in_the_report(tmp_path: Path, settings: Settings):
    shape, affine = grid(4.0)
    image = nib.Nifti1Image(head_picture(head_labels(shape, affine)), None)
    image.header.set_zooms((4.0, 4.0, 4.0))
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, tmp_path / "blind.nii.gz")
    role = EllipsoidSegmentation(quality=Quality("good", 0.9, ()))
    report = analyze(tmp_path / "blind.nii.gz", settings=settings, roles=Roles(segmentation=role))
    assert report.quality.verdict == "limited" and any("left and right" in reason for reason in report.quality.reasons)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"hello " * 100, "text file"), (gzip.compress(b"x" * 5000)[:10], "cut off"), (b"PK\x05\x06" + bytes(18), "no files")],
    ids=["empty", "text", "cut off", "empty zip"],
)
def test_bad_input_is_a_clear_sentence_at_the_first_stage(tmp_path: Path, settings: Settings, content: bytes, words: str):
    (tmp_path / "scan.nii.gz").write_bytes(content)
    with pytest.raises(InvalidInput, match=words) as caught:
        analyze(tmp_path / "scan.nii.gz", settings=settings, roles=Roles(segmentation=EllipsoidSegmentation()))
    assert caught.value.details["stage"] == "receive"


def test_a_folder_of_an_enhanced_file_a_missing_file_and_no_model(tmp_path: Path, settings: Settings):
    shape, affine = grid(4.0)
    (tmp_path / "series").mkdir()
    save(enhanced(head_picture(head_labels(shape, affine)).astype(np.uint16), affine), tmp_path / "series" / "one.dcm")
    report = analyze(tmp_path / "series", settings=settings, roles=Roles(segmentation=EllipsoidSegmentation()))
    assert report.input.format == "DICOM enhanced series, zip" and report.input.name == "series"
    assert (tmp_path / "series" / "one.dcm").exists()  # a person's own file is never removed
    with pytest.raises(NotFound):
        analyze(tmp_path / "nothing.nii", settings=settings, roles=Roles(segmentation=EllipsoidSegmentation()))
    with pytest.raises(ModelMissing, match="no segmentation model is installed"):
        analyze(tmp_path / "series", settings=settings, roles=Roles())


async def test_analyze_works_where_a_loop_runs_already(tmp_path: Path, settings: Settings):
    path = write_head(tmp_path / "head.nii.gz", spacing=4.0)
    assert asyncio.get_running_loop()
    assert analyze(path, settings=settings, roles=Roles(segmentation=EllipsoidSegmentation())).input.name == "head.nii.gz"


async def test_a_segmentation_in_another_grid_is_an_error_of_the_program(tmp_path: Path, settings: Settings):
    class Turned(EllipsoidSegmentation):
        async def segment(self, volume, *, version=None):
            answer = await super().segment(volume, version=version)
            return replace(answer, labels=answer.labels[:-1])

    store = LocalObjectStore(tmp_path / "objects")
    given = put(store, write_head(tmp_path / "head.nii.gz", spacing=4.0))
    with pytest.raises(WorkbenchError, match="another grid"):
        await run(store, given, settings, Roles(segmentation=Turned()))
