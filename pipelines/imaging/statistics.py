"""The measurements as files for other programs: CSV (one row a measurement) and JSON."""

from __future__ import annotations

import json
from typing import Any

from infra.csv_export import write_csv
from pipelines.imaging.report import Report

COLUMNS = ("name", "label", "side", "value", "unit", "confidence", "definition")


def statistics_csv(report: Report) -> str:
    """One row a measurement, then one a lesion (``lesion 1 centre x`` ... in scanner mm)."""
    rows: list[dict[str, Any]] = [item.model_dump() for item in report.measurements]
    for number, lesion in enumerate(report.lesions, 1):
        for axis, value in zip("xyz", lesion.center_mm, strict=True):
            place = {"name": f"lesion {number} centre {axis}", "side": lesion.side, "value": value, "unit": "mm"}
            rows.append({**place, "definition": "Mean place of its voxels, scanner mm, RAS+."})
    return write_csv(COLUMNS, rows)


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
