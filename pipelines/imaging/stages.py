"""The stages of the imaging pipeline: files and arrays go through the store, numbers and keys through the state.

Everything that blocks runs in threads. Heavy libraries are imported when a stage first runs, so that whoever only
wants to know the plan (the runner, ``pipelines show``) stays light.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import NotABrain, NotFound, WorkbenchError
from infra.objectstore import ObjectInfo
from infra.telemetry import logger
from pipelines.imaging.report import Lesion, LesionStatus, Measurement, Report, ReportInput, ReportModel, ReportQuality, Sentence
from pipelines.jobs.definition import StageContext, State
from pipelines.jobs.inline import INLINE_OWNER

if TYPE_CHECKING:
    from serving.roles.segmentation import Segmentation
    from serving.volume import ScanFile

log = logger(__name__)

_SUMMED = ("brain", "grey matter", "white matter", "ventricle")
NIFTI, JSON = "application/gzip", "application/json"


async def receive(context: StageContext, state: State) -> State:
    """Read what was uploaded, and keep it as a clean NIfTI in its own grid.

    A DICOM upload is removed once no job is left to read it: what stays stored is voxels, geometry, the few facts of
    ``serving.volume.facts.KEPT``, and the UIDs that a DICOM SEG refers to (``serving.volume.dicom.source``).
    """
    begun = time.perf_counter()
    context.progress(0.1, "Reading scan")
    added = await asyncio.to_thread(_receive, context)
    return {**added, "seconds": _timed(state, "receive", begun)}


async def check(context: StageContext, state: State) -> State:
    """Refuse what cannot be a scan of a head, by its grid and its values, before a model is asked."""
    begun = time.perf_counter()

    def work() -> None:
        from pipelines.imaging.check import check_scan

        check_scan(_scan(context, state).volume)

    context.progress(0.1, "Checking scan")
    await asyncio.to_thread(work)
    return {"seconds": _timed(state, "check", begun)}


async def segment(context: StageContext, state: State) -> State:
    """Segment, refuse what is not a brain MRI, measure, and store the labels in the scan's own grid."""
    begun = time.perf_counter()
    role = context.roles.require("segmentation")
    context.progress(0.05, "Loading scan")
    scan = await asyncio.to_thread(_scan, context, state)
    context.progress(0.15, "Segmenting")
    segmentation: Segmentation = await role.segment(scan.volume, version=context.version("segmentation"))
    # The picture has done its part: only its grid is needed from here on.
    header, shape, affine = scan.header, scan.shape, scan.volume.affine
    del scan
    if segmentation.quality.verdict == "refused":
        reasons = " ".join(segmentation.quality.reasons) or "The scan does not appear to be a brain MRI."
        raise NotABrain(f"{reasons} No report was written. Upload an MRI of the whole head.", score=round(segmentation.quality.score, 4))
    if tuple(segmentation.labels.shape) != shape:
        raise WorkbenchError("The segmentation has another grid than the scan. This is an internal error.")
    context.progress(0.75, "Measuring")
    added = await asyncio.to_thread(_measure, context, state, segmentation, header, affine)
    seconds = _timed(state, "segment", begun) | {f"segment.{name}": round(value, 3) for name, value in segmentation.seconds.items()}
    return {**added, "seconds": seconds}


async def write(context: StageContext, state: State) -> State:
    """Sentences from measurements."""
    from pipelines.imaging.sentences import what_was_not_looked_at, write_sentences

    begun = time.perf_counter()
    context.progress(0.2, "Writing report")
    measurements, lesions = await asyncio.to_thread(_load_measurements, context, state)
    status = state.get("lesion_status", "measured")
    sentences = write_sentences(measurements, lesions, ReportQuality(**state["quality"]), status)
    return {
        "sentences": [sentence.model_dump(mode="json") for sentence in sentences],
        "not_looked_at": what_was_not_looked_at(
            context.roles.missing(), lesions_found=bool(lesions), lesion_status=status, model_limits=state.get("model_limits", ())
        ),
        "seconds": _timed(state, "write", begun),
    }


async def verify(context: StageContext, state: State) -> State:
    """Recompute the measurements from the stored segmentation, and check every sentence against them."""
    begun = time.perf_counter()
    context.progress(0.1, "Verifying sentences")
    sentences = await asyncio.to_thread(_verify, context, state)
    unsupported = sum(sentence.support == "unsupported" for sentence in sentences)
    if unsupported:
        log.warning("sentences without support", stage="verify", count=unsupported)
    return {"sentences": [sentence.model_dump(mode="json") for sentence in sentences], "seconds": _timed(state, "verify", begun)}


async def store(context: StageContext, state: State) -> State:
    """The report as JSON and PDF, the picture, the tables; and the job's summary."""
    begun = time.perf_counter()
    context.progress(0.1, "Drawing images")
    return await asyncio.to_thread(_store, context, state, begun)


async def notify(context: StageContext, state: State) -> State:
    """A sentence for the owner."""
    summary = state["summary"]
    limited = "" if summary["quality"] == "good" else " Image quality is limited; see the notes in the report."
    return {"notification": f"{context.title}: report ready. {summary['headline']}{limited}"}


def _receive(context: StageContext) -> State:
    from serving.volume import read_scan, write_scan

    given = context.input
    volume_index, series = _choice(context, "volume_index"), _choice(context, "series")
    bucket = context.settings.storage.buckets.uploads_raw
    suffix = "".join(f"-{mark}{value}" for mark, value in (("v", volume_index), ("s", series)) if value is not None)
    key = f"scans/{given.get('sha256') or context.job_id}{suffix}"
    try:
        path = context.store.local_path(str(given["bucket"]), str(given["key"]), folder=context.workdir)
    except NotFound:
        kept = _kept(context, bucket, key)
        if kept is None:
            raise NotFound("The uploaded file is not stored any more (DICOM files are removed after reading). Upload it again.") from None
        return kept
    scan = read_scan(path, context.settings.imaging, volume_index=volume_index, series=series, name=_plain_name(given.get("name")))
    context.progress(0.7, "Keeping the scan")
    file = context.workdir / "scan.nii.gz"
    write_scan(file, scan.volume.data[0], scan.header)
    note = {"format": scan.format, "facts": dict(scan.facts), "warnings": list(scan.warnings)}
    context.store.put(bucket, f"{key}.json", json.dumps(note).encode(), media_type=JSON)
    source = _keep_source(context, scan, bucket, f"{key}.dicom.json")
    info = context.store.put(bucket, f"{key}.nii.gz", file, media_type=NIFTI)
    if scan.format.startswith("DICOM"):
        _drop_original(context)
    return _received(scan, info, note, scan.name) | source


def _drop_original(context: StageContext) -> None:
    """Remove the upload; other jobs that are to read it (another series of it) keep it until they have."""
    bucket, key = str(context.input["bucket"]), str(context.input["key"])
    if context.owner_id == INLINE_OWNER:
        context.store.delete(bucket, key)
        return
    from infra.database import Database
    from pipelines.imaging.originals import drop_read, note_read

    note_read(context.store, bucket, key)
    with contextlib.closing(Database(context.settings.database_url)) as database:
        drop_read(context.settings, database, context.store, reader=context.job_id)


def _kept(context: StageContext, bucket: str, key: str) -> State | None:
    """What an earlier reading of the same upload left, where the upload itself is gone."""
    from serving.volume import read_scan

    try:
        info = context.store.info(bucket, f"{key}.nii.gz")
        note = json.loads(context.store.get(bucket, f"{key}.json"))
    except NotFound:
        return None
    path = context.store.local_path(bucket, f"{key}.nii.gz", folder=context.workdir)
    received = _received(read_scan(path, context.settings.imaging), info, note, _plain_name(context.input.get("name")))
    with contextlib.suppress(NotFound):
        received["source"] = context.store.info(bucket, f"{key}.dicom.json").as_dict()
    return received


def _keep_source(context: StageContext, scan: ScanFile, bucket: str, key: str) -> State:
    """Of a DICOM series, what a DICOM SEG refers to, in an object of its own: no state, log or report has a UID in it."""
    if scan.source is None:
        return {}
    from infra.datafolder import DataFolder

    keep = context.settings.imaging.keep_dicom_uids
    source = scan.source if keep else scan.source.remapped(DataFolder(context.settings.home).make().secret())
    return {"source": context.store.put(bucket, key, json.dumps(source.as_dict()).encode(), media_type=JSON).as_dict()}


def _received(scan: ScanFile, info: ObjectInfo, note: dict[str, Any], name: str) -> State:
    described = ReportInput(
        name=name, format=note["format"], shape=scan.shape, spacing_mm=tuple(round(value, 5) for value in scan.spacing),  # type: ignore[arg-type]
        orientation=scan.orientation, facts=note["facts"],
    )  # fmt: skip
    return {"scan": info.as_dict(), "input": described.model_dump(mode="json"), "warnings": note["warnings"]}


def _scan(context: StageContext, state: State) -> ScanFile:
    """The clean NIfTI of the first stage, under the sequence's name where it is known."""
    from serving.volume import read_scan

    path = context.store.local_path(state["scan"]["bucket"], state["scan"]["key"], folder=context.workdir)
    scan = read_scan(path, context.settings.imaging)
    sequence = state["input"]["facts"].get("sequence")
    return replace(scan, volume=replace(scan.volume, channels=(sequence,))) if sequence else scan


def _measure(context: StageContext, state: State, segmentation: Segmentation, header: Any, affine: Any) -> State:
    from pipelines.imaging.lesions import find_lesions, keep_lesions, lesion_groups
    from pipelines.imaging.measure import label_volumes, measure
    from serving.volume import write_labels
    from serving.volume.geometry import sizes_uncertain

    warnings = [text for text in state["warnings"] if text not in segmentation.quality.reasons]
    unsure_of_geometry = any("sides" in text or sizes_uncertain(text) for text in warnings)
    quality = ReportQuality(
        verdict="limited" if unsure_of_geometry else segmentation.quality.verdict,  # type: ignore[arg-type]
        score=round(min(max(segmentation.quality.score, 0.0), 1.0), 4),
        reasons=[*segmentation.quality.reasons, *warnings],
    )
    status = _lesion_status(context, segmentation)
    least = _least_lesion(context)
    groups = [] if status == "not assessed" else lesion_groups(segmentation.labels, affine, **least)
    labels = keep_lesions(segmentation.labels, groups)
    lesions = find_lesions(labels, affine, **least)
    volumes = label_volumes(labels, affine)
    structures = {id: structure for id, structure in segmentation.structures.items() if id in volumes}
    measurements = measure(volumes, structures, quality, lesions, status)
    file = context.workdir / "segmentation.nii.gz"
    write_labels(file, labels, header)
    from dataclasses import asdict

    found = {
        "measurements": [item.model_dump(mode="json") for item in measurements],
        "lesions": [item.model_dump(mode="json") for item in lesions],
        "structures": [asdict(structure) for structure in structures.values()],
    }
    return {
        "segmentation": _put(context, "segmentation.nii.gz", file, NIFTI),
        "measurements": _put(context, "work/measurements.json", json.dumps(found, default=_number).encode(), JSON),
        "quality": quality.model_dump(mode="json"),
        "models": [segmentation.model.as_dict()],
        "lesion_status": status,
        "model_limits": list(segmentation.limits),
    }


def _lesion_status(context: StageContext, segmentation: Segmentation) -> LesionStatus:
    """Measured where the sequence allows it; else candidates where they were asked for (option ``lesion_candidates``)."""
    if segmentation.lesions == "measured":
        return "measured"
    return "candidates" if context.options.get("lesion_candidates") else "not assessed"


def _least_lesion(context: StageContext) -> dict[str, Any]:
    limits = context.settings.imaging
    return {"least_voxels": limits.lesion_least_voxels, "least_mm3": limits.lesion_least_mm3}


def _verify(context: StageContext, state: State) -> list[Sentence]:
    from pipelines.imaging.lesions import find_lesions
    from pipelines.imaging.measure import label_volumes, measure
    from pipelines.imaging.verify import verify_sentences

    labels, affine = _labels(context, state)
    lesions = find_lesions(labels, affine, **_least_lesion(context))
    measurements, _ = _load_measurements(context, state)
    quality, status = ReportQuality(**state["quality"]), state.get("lesion_status", "measured")
    again = measure(label_volumes(labels, affine), _structures(context, state), quality, lesions, status)
    return verify_sentences([Sentence(**item) for item in state["sentences"]], measurements, again, lesions)


def _store(context: StageContext, state: State, begun: float) -> State:
    from pipelines.imaging.labels import colour_table
    from pipelines.imaging.overlay import draw_overlay
    from pipelines.imaging.pdf import write_pdf
    from pipelines.imaging.sentences import SUMMARY, overall_confidence
    from pipelines.imaging.statistics import statistics_csv, statistics_json

    measurements, lesions = _load_measurements(context, state)
    sentences = [Sentence(**item) for item in state["sentences"]]
    labels, affine = _labels(context, state)
    picture = context.workdir / "overlay.png"
    draw_overlay(_scan(context, state).volume.data[0], labels, affine, picture)
    dicom = _dicom_seg(context, state, labels)
    del labels
    context.progress(0.5, "Writing PDF")
    report = Report(
        job=context.job_id,
        input=ReportInput(**state["input"]),
        quality=ReportQuality(**state["quality"]),
        models=[ReportModel(**model) for model in state["models"]],
        measurements=measurements,
        lesions=lesions,
        sentences=sentences,
        confidence=overall_confidence(sentences),
        seconds=_timed(state, "store", begun),
        not_looked_at=state["not_looked_at"],
        created=datetime.now(UTC).replace(microsecond=0),
        lesion_status=state.get("lesion_status", "measured"),
    )
    paper = context.workdir / "report.pdf"
    write_pdf(report, picture, paper)
    report = report.model_copy(update={"seconds": _timed(state, "store", begun)})
    artifacts = {
        "scan.nii.gz": state["scan"],
        "segmentation.nii.gz": state["segmentation"],
        "segmentation.ctab": _put(context, "segmentation.ctab", colour_table().encode(), "text/plain"),
        "report.json": _put(context, "report.json", report.model_dump_json(indent=1).encode(), JSON),
        "report.pdf": _put(context, "report.pdf", paper, "application/pdf"),
        "overlay.png": _put(context, "overlay.png", picture, "image/png"),
        "statistics.csv": _put(context, "statistics.csv", statistics_csv(report).encode(), "text/csv"),
        "statistics.json": _put(context, "statistics.json", statistics_json(report).encode(), JSON),
        **dicom,
    }
    headline = next((item.text for item in sentences if item.section == SUMMARY and item.support == "measured"), "Scan measured.")
    summary = {
        "name": report.input.name, "headline": headline, "quality": report.quality.verdict, "score": report.quality.score,
        "confidence": report.confidence, "sentences": len(sentences),
        **{f"{name.replace(' ', '_')}_ml": report.measurement(f"{name} volume").value for name in _SUMMED},
    }  # fmt: skip
    if report.lesion_status == "measured":
        summary |= {"lesions": len(lesions), "lesion_load_ml": report.measurement("lesion load").value}
    return {"artifacts": artifacts, "summary": summary, "seconds": report.seconds}


def _dicom_seg(context: StageContext, state: State, labels: Any) -> State:
    """Of a DICOM series, the labels as a DICOM SEG; without one where the series' grid cannot be told in DICOM."""
    noted = state.get("source")
    if noted is None:
        return {}
    from importlib.metadata import version

    from pipelines.imaging.dicom_seg import write_dicom_seg
    from serving.volume.dicom.source import SourceNote

    path = context.workdir / "segmentation.dcm"
    note = SourceNote.from_dict(json.loads(context.store.get(noted["bucket"], noted["key"])))
    try:
        write_dicom_seg(path, labels, note, ReportModel(**state["models"][0]), version=version("workbench"))
    except ValueError as error:
        # highdicom's words may quote UIDs: only that it could not be done is logged.
        log.warning("no DICOM SEG could be made", error=type(error).__name__)
        return {}
    return {"segmentation.dcm": _put(context, "segmentation.dcm", path, "application/dicom")}


def _load_measurements(context: StageContext, state: State) -> tuple[list[Measurement], list[Lesion]]:
    found = json.loads(context.store.get(state["measurements"]["bucket"], state["measurements"]["key"]))
    return [Measurement(**item) for item in found["measurements"]], [Lesion(**item) for item in found["lesions"]]


def _structures(context: StageContext, state: State) -> dict[int, Any]:
    from serving.roles.segmentation import Structure

    found = json.loads(context.store.get(state["measurements"]["bucket"], state["measurements"]["key"]))
    return {int(item["label"]): Structure(**item) for item in found["structures"]}


def _labels(context: StageContext, state: State) -> tuple[Any, Any]:
    """Labels and affine of the stored segmentation, as whoever downloads it reads them."""
    import nibabel as nib
    import numpy as np

    image: Any = nib.load(context.store.local_path(state["segmentation"]["bucket"], state["segmentation"]["key"], folder=context.workdir))
    return np.asarray(image.dataobj), np.asarray(image.affine)


def _put(context: StageContext, name: str, content: bytes | Path, media_type: str) -> dict[str, Any]:
    """One of the job's own objects, under the job's key: written twice is the same as once."""
    bucket = context.settings.storage.buckets.analysis_reports
    return dict(context.store.put(bucket, f"{context.job_id}/{name}", content, media_type=media_type).as_dict())


def _choice(context: StageContext, name: str) -> int | None:
    value = context.options.get(name)
    return None if value is None else int(value)


def _plain_name(name: Any) -> str:
    """The file's own name without folders or control characters."""
    last = str(name or "scan").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:200] or "scan"


def _timed(state: State, stage: str, begun: float) -> dict[str, float]:
    return {**state.get("seconds", {}), stage: round(time.perf_counter() - begun, 3)}


def _number(value: Any) -> Any:
    """numpy's numbers as JSON's."""
    return value.item()
