"""The results folder of a cohort: its table, its page and its summary, written anew whenever a scan has ended."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.imaging.cohort.entries import Entry
from pipelines.imaging.cohort.outcomes import SCANS, Outcome, Outcomes
from pipelines.imaging.cohort.page import quality_page
from pipelines.imaging.cohort.scans import CohortScan
from pipelines.imaging.cohort.table import measurements_csv
from pipelines.imaging.cohort.thumbnail import thumbnail
from pipelines.imaging.report import Report


@dataclass(frozen=True)
class CohortResult:
    """What came of a cohort.

    Attributes:
        title: the folder's name.
        out: where the results are.
        entries: one a scan, by name.
        seconds: this run took.
    """

    title: str
    out: Path
    entries: tuple[Entry, ...]
    seconds: float

    def count(self, state: str) -> int:
        return sum(entry.state == state for entry in self.entries)

    def as_dict(self) -> dict[str, Any]:
        """What ``workbench analyze FOLDER --json`` prints."""
        return {
            "cohort": self.title, "out": str(self.out), "scans": [entry.as_dict() for entry in self.entries],
            "done": self.count("done"), "failed": self.count("failed"), "cancelled": self.count("cancelled"),
            "taken_over": sum(entry.taken_over for entry in self.entries), "seconds": round(self.seconds, 2),
        }  # fmt: skip


def entry_of(outcomes: Outcomes, scan: CohortScan, outcome: Outcome, *, taken_over: bool, same_as: str | None = None) -> Entry:
    """A finished scan as the table tells it; the files of a duplicate are put under its own name too."""
    if outcome.state != "done":
        error = {key: outcome.error.get(key) for key in ("code", "message", "retryable")}
        return Entry(scan.name, "failed", scan.facts, error=error, taken_over=taken_over, same_as=same_as, seconds=outcome.seconds)
    folder = outcomes.share(outcome, scan.name)
    place = outcomes.out / SCANS / folder
    report = Report.model_validate_json((place / "report.json").read_text())
    return Entry.of_report(
        scan.name,
        report,
        facts=scan.facts,
        taken_over=taken_over,
        same_as=same_as,
        seconds=outcome.seconds,
        link=f"{SCANS}/{folder}/report.pdf",
    )


def write_table(out: Path, entries: Sequence[Entry]) -> None:
    """The table alone: cheap, so it grows while the cohort runs."""
    _write(out / "measurements.csv", measurements_csv(entries))


def write_results(result: CohortResult) -> None:
    """Table, page and summary."""
    out = result.out
    write_table(out, result.entries)
    models: dict[str, None] = {}
    shown = []
    for entry in result.entries:
        place = (out / entry.link).parent if entry.link else None
        if place is None:
            shown.append(entry)
            continue
        report = Report.model_validate_json((place / "report.json").read_text())
        models |= {f"{model.name} version {model.version} ({model.backend} on {model.device})": None for model in report.models}
        with contextlib.suppress(OSError):  # a page without one picture is better than no page
            entry = replace(entry, thumbnail=thumbnail(place / "overlay.png"))
        shown.append(entry)
    _write(out / "quality.html", quality_page(result.title, shown, models=list(models)))
    _write(out / "cohort.json", json.dumps(result.as_dict(), indent=1, ensure_ascii=False))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
