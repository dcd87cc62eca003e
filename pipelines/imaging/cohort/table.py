"""``measurements.csv``: one row a scan, whatever came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infra.csv_export import write_csv
from pipelines.imaging.cohort.entries import FACTS, Entry
from pipelines.imaging.cohort.outliers import scores, spreads

LEAD = ("scan", *FACTS, "state", "code", "reason", "quality", "quality_score", "quality_reasons", "same_as", "robust_z", "stands_out_by")


def measurements_csv(entries: Sequence[Entry]) -> str:
    """The table. Names of measurements carry their unit; ``robust_z`` is the largest of the scan's (see :mod:`.outliers`).

    Columns of names (participant ...) that no scan has are left out. A failed scan's measurements are empty, never 0.
    """
    facts = {name for entry in entries for name in entry.facts}
    lead = [name for name in LEAD if name not in FACTS or name in facts]
    measures = list(dict.fromkeys(name for entry in entries for name in entry.row if name not in LEAD))
    far = scores(entries, spreads(entries))
    rows: list[dict[str, Any]] = []
    for entry in entries:
        z, sentence = far[entry.name]
        rows.append(
            {
                **entry.row,
                **entry.facts,
                "scan": entry.name,
                "state": entry.state,
                "code": entry.error.get("code", "") if entry.state == "failed" else "",
                "reason": entry.reason,
                "quality_reasons": " ".join(entry.reasons),
                "same_as": entry.same_as,
                "robust_z": z if sentence else "",
                "stands_out_by": sentence,
            }
        )
    return write_csv([*lead, *measures], rows)
