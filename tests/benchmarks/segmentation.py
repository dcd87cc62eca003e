"""The segmentation model's table: Dice, sides, lesions, orientations, refusals, seconds, memory; brainchop beside it.

Reads ../shared/data (or WORKBENCH_DATA). ``make bench ARGS="segmentation"``. The thresholds are the issue's.
"""

from __future__ import annotations

import sys

from serving.segmentation.evaluation.evaluate import evaluate, print_row
from tests.conftest import DATA


def main() -> None:
    if not (DATA / "mri").is_dir():
        print(f"The development data is not at {DATA}: nothing measured.")
        return
    rows = evaluate(DATA / "mri", show=print_row)
    missed = [row.measure for row in rows if row.passed is False]
    if missed:
        sys.exit(f"{len(missed)} of {len(rows)} measures missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
