"""The imaging pipeline as a function."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from infra.settings import Settings
    from pipelines.imaging.report import Report
    from pipelines.jobs.definition import Progress
    from serving.roles import Roles

FILES = ("segmentation.nii.gz", "segmentation.ctab", "report.json", "report.pdf", "overlay.png", "statistics.csv", "statistics.json")
OF_DICOM = ("segmentation.dcm",)
"""What is left besides where the scan was a DICOM series."""
KEPT = ("report.pdf", "segmentation.nii.gz", "segmentation.dcm", "overlay.png", "statistics.csv")
"""What the report keeps in memory for its ``save()``: one to two megabytes."""


def analyze(
    scan: Path | str,
    out: Path | str | None = None,
    *,
    settings: Settings | None = None,
    roles: Roles | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Analyse one scan in this process and return its report.

    Args:
        scan: a file, a zip of a DICOM series, or a folder of one.
        out: a folder to leave the report's files in (:data:`FILES`, :data:`OF_DICOM`); made where it is missing.
        roles: models; by default those embedded in this process.
        options: ``{"volume_index": 0, "series": 1, "lesion_candidates": True, "models": {"segmentation": "2"}}``, all optional.
        progress: called with the share done (0 to 1) and a sentence.

    Raises:
        WorkbenchError: the scan cannot be used, or a stage failed; the message says what to do.
    """
    if not _in_a_loop():
        return asyncio.run(analyze_async(scan, out, settings=settings, roles=roles, options=options, progress=progress))
    # In a notebook a loop runs already: wait for a second one in a thread.
    answer: list[Report] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(asyncio.run(analyze_async(scan, out, settings=settings, roles=roles, options=options, progress=progress)))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, name="analyze")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return answer[0]


async def analyze_async(
    scan: Path | str,
    out: Path | str | None = None,
    *,
    settings: Settings | None = None,
    roles: Roles | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    name: str | None = None,
) -> Report:
    """:func:`analyze`, awaited; ``name`` is what the scan is called, by default the path's last part."""
    from infra.objectstore import LocalObjectStore
    from infra.settings import load_settings
    from pipelines.imaging.pipeline import PIPELINE
    from pipelines.imaging.report import Report
    from pipelines.jobs.inline import run_inline

    settings = settings or load_settings()
    if roles is None:
        from serving.local import local_roles

        roles = local_roles(settings)
    path = Path(scan)
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        store = LocalObjectStore(Path(folder) / "objects")
        name = name or path.name
        upload = await asyncio.to_thread(_as_one_file, path, Path(folder), settings)
        bucket = settings.storage.buckets.uploads_raw
        info = await asyncio.to_thread(store.put, bucket, "scan", upload)
        state = await run_inline(
            PIPELINE,
            input={"bucket": bucket, "key": "scan", "name": name, "size": info.size, "sha256": info.sha256},
            options=options or {},
            settings=settings,
            store=store,
            roles=roles,
            title=name,
            progress=progress,
        )
        files = state["artifacts"]
        report = Report.model_validate_json(store.get(files["report.json"]["bucket"], files["report.json"]["key"]))
        report.files.update({name: store.get(files[name]["bucket"], files[name]["key"]) for name in KEPT if name in files})
        if out is not None:
            await asyncio.to_thread(_leave, store, files, Path(out))
        return report


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _as_one_file(path: Path, folder: Path, settings: Settings) -> Path:
    """The path itself, or a folder's files in one zip (not packed, and without their names)."""
    if path.is_dir():
        from serving.volume.archive import folder_files
        from serving.volume.sources import CHUNK

        target = folder / "series.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for number, source in enumerate(folder_files(path, settings.imaging)):
                with source.open() as stream, archive.open(f"{number:05d}", "w", force_zip64=True) as member:
                    shutil.copyfileobj(stream, member, CHUNK)
        return target
    if not path.exists():
        raise NotFound("File not found. Check its name.")
    if not path.is_file():
        raise InvalidInput("Not a regular file. Use the scan file itself.")
    return path


def _leave(store: Any, files: Mapping[str, Mapping[str, Any]], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in (*FILES, *(name for name in OF_DICOM if name in files)):
        with store.open(files[name]["bucket"], files[name]["key"]) as stream, open(out / name, "wb") as target:
            shutil.copyfileobj(stream, target)
