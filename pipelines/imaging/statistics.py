"""The measurements as files for other programs: CSV (one row a measurement) and JSON."""

from __future__ import annotations

import csv
import io
import json

from pipelines.imaging.report import Report

COLUMNS = ("name", "label", "side", "value", "unit", "confidence", "definition")


def statistics_csv(report: Report) -> str:
    """One row a measurement, then one a lesion (``lesion 1 centre x`` ... in scanner mm)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in report.measurements:
        row = item.model_dump()
        writer.writerow(["" if row[name] is None else row[name] for name in COLUMNS])
    for number, lesion in enumerate(report.lesions, 1):
        for axis, value in zip("xyz", lesion.center_mm, strict=True):
            text = "Mean place of its voxels, scanner mm, RAS+."
            writer.writerow([f"lesion {number} centre {axis}", "", lesion.side or "", value, "mm", "", text])
    return out.getvalue()


def statistics_json(report: Report) -> str:
    """Input, quality, models, measurements and lesions: the report without its sentences."""
    keep = {"job", "input", "quality", "models", "measurements", "lesions"}
    return json.dumps(report.model_dump(mode="json", include=keep), indent=1)


def flat_row(report: Report) -> dict[str, float | str]:
    """One scan as one row for a table of many (a cohort): name, quality, every measurement by name; single lesions left out."""
    row: dict[str, float | str] = {"scan": report.input.name, "quality": report.quality.verdict, "quality_score": report.quality.score}
    for item in report.measurements:
        if not (item.name.startswith("lesion ") and item.name.split()[1].isdigit()):
            row[f"{item.name} ({item.unit})"] = item.value
    return row
