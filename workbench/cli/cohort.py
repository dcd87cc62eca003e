"""``workbench analyze FOLDER``: many scans, by the running workbench or in this process; either way resumable.

Exit code 0 where at least one scan was analysed (in this run or an earlier one): failures are listed, and are no
failure of the run. 1 where there was nothing to analyse, or nothing could be.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from workbench.cli.output import note

if TYPE_CHECKING:
    from infra.settings import Settings
    from pipelines.imaging.cohort import FoundScans
    from pipelines.imaging.cohort.entries import Entry
    from pipelines.imaging.cohort.results import CohortResult
    from workbench.cli.running import Client


def analyze_folder(found: FoundScans, out: Path, settings: Settings, client: Client | None, *, as_json: bool) -> None:
    """Run, and tell what came of it."""
    kind = "a BIDS dataset" if found.bids else "a folder"
    over = f"; {found.passed_over} other files skipped" if found.passed_over else ""
    note(f"{len(found.scans)} scans in {kind}{over}")
    if client is None:
        result = _inline(found, out, settings)
    else:
        from workbench.cli.cohort_remote import run_remote

        result = run_remote(client, found, out, told=tell)
    if as_json:
        print(json.dumps(result.as_dict(), ensure_ascii=False))
    else:
        print(_text(result))
    if not result.count("done"):
        raise typer.Exit(1)


def tell(ended: int, of: int, entry: Entry) -> None:
    """A line a scan, on standard error."""
    if entry.state == "failed":
        what = f"failed: {entry.reason}"
    elif entry.taken_over:
        what = "was done already"
    else:
        what = f"{entry.state}{f' in {entry.seconds:.1f} s' if entry.seconds is not None and not entry.same_as else ''}"
        what += f", the same as {entry.same_as}" if entry.same_as else ""
    line = f"[{ended}/{of}] {entry.name}: {what}"
    print(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def _inline(found: FoundScans, out: Path, settings: Settings) -> CohortResult:
    from infra.telemetry import configure_logging
    from pipelines.imaging.cohort import analyze_cohort

    configure_logging(level="error")
    note("No workbench is running: analysing in this process")
    return analyze_cohort(found.folder, out, settings=settings, found=found, told=tell)


def _text(result: CohortResult) -> str:
    said: dict[str, Any] = result.as_dict()
    lines = [f"{result.title}: {said['done']} of {len(result.entries)} scans analysed in {result.seconds:.0f} s"]
    if earlier := sum(entry.taken_over and entry.state == "done" for entry in result.entries):
        lines[0] += f", {earlier} of them by an earlier run"
    failed = [entry for entry in result.entries if entry.state == "failed"]
    if failed:
        lines += ["", f"{len(failed)} failed:"]
        lines += [f"  {entry.name}: {entry.reason} [{entry.error.get('code')}]" for entry in failed]
    lines += ["", f"Table: {result.out / 'measurements.csv'}", f"Page:  {result.out / 'quality.html'}"]
    return "\n".join(lines)
