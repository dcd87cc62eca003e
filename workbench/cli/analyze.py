"""``workbench analyze``."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.jobs import ENDED
from workbench.cli.output import AsJson, Home, Profile, note, refusals

if TYPE_CHECKING:
    from workbench.cli.running import Client

FILES = ("segmentation.nii.gz", "report.json", "report.pdf", "overlay.png")
MORE = ("segmentation.dcm",)  # where the scan was a DICOM series


def add_to(app: typer.Typer) -> None:
    app.command("analyze")(analyze)


def analyze(
    scans: Annotated[
        list[Path],
        typer.Argument(
            help="A scan (.nii.gz, .mgz, .nrrd, DICOM or its zip), or a folder of scans; with --study, the sequences of one visit.",
            metavar="SCAN|FOLDER",
            exists=True,
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Output folder.", show_default=False)] = None,
    study: Annotated[bool, typer.Option("--study", help="Sequences of one visit: report each lesion once.")] = False,
    volume: Annotated[
        int | None, typer.Option("--volume", min=0, help="Which volume of a 4-D file or series, from 0.", show_default=False)
    ] = None,
    series: Annotated[
        int | None, typer.Option("--series", min=1, help="Which DICOM series of several, from 1.", show_default=False)
    ] = None,
    lesion_candidates: Annotated[
        bool, typer.Option("--lesion-candidates", help="List lesion candidates where lesions cannot be measured (not FLAIR).")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Analyse a brain MRI: segmentation, measurements, report.

    Uses the running workbench if there is one, else this process. A folder (or BIDS dataset) needs --out: it gets one
    table and one quality page over all scans, and a second run does nothing twice. Several scans with --study are laid
    over each other, and each lesion is told once, with the sequences that show it.
    """
    if len(scans) > 1 and not study:
        raise typer.BadParameter("Add --study if these scans are of one visit, or give the folder that contains them.")
    if study and (len(scans) < 2 or out is None):
        raise typer.BadParameter("A study needs at least two scans and --out DIR.")
    chosen = {"volume_index": volume, "series": series, "lesion_candidates": lesion_candidates or None}
    options = {name: value for name, value in chosen.items() if value is not None}
    if options and study:
        raise typer.BadParameter("--volume, --series and --lesion-candidates are for one scan, not for a study.")
    scan = scans[0]
    with refusals(as_json):
        from infra.settings import load_settings
        from workbench.cli.running import find_running
        from workbench.services.report_text import report_text

        settings = load_settings(home=home, profile=profile)
        if study and out is not None:
            from workbench.cli.study import study_of, study_text

            client = find_running(settings)
            result = study_of(scans, out, settings, functools.partial(analyze_remote, client) if client else None, Progress())
            print(result.model_dump_json() if as_json else f"{study_text(result)}\nFiles: {out}")
            return
        found = None
        if scan.is_dir():
            from pipelines.imaging.cohort import find_scans

            found = find_scans(scan)
        if found and not found.one_series:
            from workbench.cli.cohort import analyze_folder

            if options:
                raise typer.BadParameter("--volume, --series and --lesion-candidates are for one scan, not for a folder of scans.")
            if out is None:
                raise typer.BadParameter("Analysing a folder needs --out DIR.", param_hint="--out")
            analyze_folder(found, out, settings, find_running(settings), as_json=as_json)
            return
        client = find_running(settings)
        progress = Progress()
        report = analyze_remote(client, scan, out, progress, options) if client else _inline(scan, out, settings, progress, options)
        if as_json:
            print(json.dumps(report, ensure_ascii=False))
            return
        print(report_text(report))
        if client:
            print(f"\n{client.url}/imaging?job={report['job']}")
        if out:
            print(f"Files: {out}")


class Progress:
    """Tells how far the work is on standard error: one line that changes on a terminal, else a line a step."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, fraction: float, message: str) -> None:
        line = f"{fraction:4.0%} {message}"
        if message and line != self._last:
            if sys.stderr.isatty():
                print(f"\r\x1b[K{line}", end="\n" if fraction >= 1 else "", file=sys.stderr, flush=True)
            else:
                note(line)
            self._last = line


def _inline(scan: Path, out: Path | None, settings: Any, progress: Progress, options: Mapping[str, Any]) -> dict[str, Any]:
    from infra.telemetry import configure_logging
    from pipelines.imaging import analyze as analyze_here

    configure_logging(level="error")
    note("No workbench is running: analysing in this process")
    return analyze_here(scan, out, settings=settings, options=options, progress=progress).model_dump(mode="json")


def analyze_remote(
    client: Client, scan: Path, out: Path | None, progress: Callable[[float, str], None], options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Send a scan to the running workbench, wait for its report, and bring its files to ``out``.

    Raises:
        WorkbenchError: what the job failed with.
    """
    from infra.errors import NotFound

    progress(0.0, f"Sending {scan.name} to {client.url}")
    job = finish(client, _send(client, scan, options or {}), progress)
    report = client.get(f"/imaging/analysis/{job['id']}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        for name in (*FILES, *MORE):
            try:
                client.download(f"/imaging/analysis/{job['id']}/files/{name}", out / name)
            except NotFound:
                if name in FILES:
                    raise
    return report


def _send(client: Client, scan: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Send a file, or the folder of one DICOM series as a zip."""
    fields = {"options": json.dumps(options)} if options else {}
    if not scan.is_dir():
        return client.send_file("/imaging/analyze", scan, fields=fields)
    import tempfile

    from pipelines.imaging.cohort import find_scans
    from pipelines.imaging.cohort.keys import as_one_file

    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        packed = as_one_file(find_scans(scan).scans[0].files, Path(folder), scan.resolve().name)
        return client.send_file("/imaging/analyze", packed, fields=fields)


def finish(client: Client, job: dict[str, Any], progress: Callable[[float, str], None]) -> dict[str, Any]:
    """The job when it is done; interrupted here, it is cancelled there.

    Raises:
        WorkbenchError: what the job failed with; Cancelled where somebody stopped it.
    """
    from infra.errors import Cancelled, from_dict

    try:
        job = _follow(client, job, progress)
    except KeyboardInterrupt:
        client.post(f"/jobs/{job['id']}/cancel")
        raise
    if job["state"] == "failed":
        raise from_dict({"details": {}, **(job["error"] or {"message": "The job failed."})})
    if job["state"] == "cancelled":
        raise Cancelled("The job was cancelled.")
    return job


def _follow(client: Client, job: dict[str, Any], progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Wait for the job's end; a gateway that restarts meanwhile is waited for (the job is durable)."""
    from infra.errors import Unavailable

    after, silent_since = 0, None
    while job["state"] not in ENDED:
        time.sleep(0.2)
        try:
            said = client.get(f"/jobs/{job['id']}/events", after=after)
        except Unavailable:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > 60:
                raise
            continue
        silent_since, job = None, said["job"]
        for event in said["events"]:
            after = event["id"]
            if event["kind"] in ("started", "progress", "retrying", "done"):
                progress(event["fraction"] if event["fraction"] is not None else job["fraction"], event["message"])
    return job
