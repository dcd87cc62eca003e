"""``workbench analyze``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, Profile, note, refusals

if TYPE_CHECKING:
    from workbench.cli.running import Client

FILES = ("segmentation.nii.gz", "report.json", "report.pdf", "overlay.png")
ENDED = ("done", "failed", "cancelled")


def add_to(app: typer.Typer) -> None:
    app.command("analyze")(analyze)


def analyze(
    scan: Annotated[Path, typer.Argument(help=".nii, .nii.gz, .mgz, .dcm, or a zip of a DICOM series.", exists=True, show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for what comes out.", show_default=False)] = None,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Analyse a brain MRI: segmentation, measurements, report.

    Uses the running workbench if there is one, else this process.
    """
    with refusals(as_json):
        from infra.errors import InvalidInput
        from infra.settings import load_settings
        from workbench.cli.report_text import report_text
        from workbench.cli.running import find_running

        if scan.is_dir():
            raise InvalidInput(f"{scan} is a folder. Name one scan at a time; a DICOM series as one zip.")
        settings = load_settings(home=home, profile=profile)
        client = find_running(settings)
        progress = Progress()
        report = _remote(client, scan, out, progress) if client else _inline(scan, out, settings, progress)
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


def _inline(scan: Path, out: Path | None, settings: Any, progress: Progress) -> dict[str, Any]:
    from infra.telemetry import configure_logging
    from pipelines.imaging import analyze as analyze_here

    configure_logging(level="error")
    note("No workbench is running: analysing in this process")
    return analyze_here(scan, out, settings=settings, progress=progress).model_dump(mode="json")


def _remote(client: Client, scan: Path, out: Path | None, progress: Progress) -> dict[str, Any]:
    from infra.errors import Cancelled, from_dict

    progress(0.0, f"Sending {scan.name} to {client.url}")
    job = client.send_file("/imaging/analyze", scan, fields={})
    try:
        job = _follow(client, job, progress)
    except KeyboardInterrupt:
        client.post(f"/jobs/{job['id']}/cancel")
        raise
    if job["state"] == "failed":
        raise from_dict({"details": {}, **(job["error"] or {"message": "The job failed."})})
    if job["state"] == "cancelled":
        raise Cancelled("The job was cancelled.")
    report = client.get(f"/imaging/analysis/{job['id']}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            client.download(f"/imaging/analysis/{job['id']}/files/{name}", out / name)
    return report


def _follow(client: Client, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
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
