"""`workbench analyze` on a real whole head: against a running workbench, and from nothing; then one head in six orientations.

Reads ../shared/data (or WORKBENCH_DATA). Must be: under 15 s against a running workbench, under 60 s from nothing, the
segmentation in exactly the input's grid, and structure volumes of the six orientations within 3 % of each other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.conftest import DATA
from tests.running import WORKBENCH, RunningWorkbench, clean_environment, running_workbench


def main() -> None:
    if not DATA.is_dir():
        print(f"The development data is not at {DATA}: nothing measured.")
        return
    scan = DATA / "mri" / "t1" / "brainchop_t1_crop_256.nii.gz"
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        base = Path(folder)
        environment = clean_environment() | {"WORKBENCH_HOME": str(base / "alone"), "WORKBENCH_GATEWAY__PORT": "9"}
        for name in ("from nothing, first time", "from nothing, again"):
            print(f"{name:34} {timed(scan, base / name.replace(' ', '-').replace(',', ''), environment):6.1f} s  (must be < 60)")
        with running_workbench(base / "home") as workbench:
            environment = workbench.environment()
            for number in range(1, 4):
                seconds = timed(scan, base / f"run{number}", environment)
                print(f"running workbench, run {number}           {seconds:6.1f} s  (must be < 15)")
            compare_grids(scan, base / "run1")
            orientations(workbench, base)


def timed(scan: Path, out: Path, environment: dict[str, str]) -> float:
    began = time.monotonic()
    done = subprocess.run(
        [*WORKBENCH, "analyze", str(scan), "--out", str(out), "--json"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.monotonic() - began


def compare_grids(scan: Path, out: Path) -> None:
    given, left = nib.load(scan), nib.load(out / "segmentation.nii.gz")
    same = given.shape == left.shape and np.array_equal(given.affine, left.affine)
    print(f"segmentation has the input's shape and affine exactly: {same}; files: {sorted(path.name for path in out.iterdir())}")


def orientations(workbench: RunningWorkbench, base: Path) -> None:
    volumes: dict[str, dict[str, float]] = {}
    for scan in sorted((DATA / "mri" / "orient").glob("*.nii.gz")):
        done = workbench.cli("analyze", str(scan), "--json")
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        report = json.loads(done.stdout)
        volumes[scan.name.split(".")[0]] = {
            item["name"]: item["value"] for item in report["measurements"] if item["unit"] == "ml" and item["value"] is not None
        }
    names = sorted(set.intersection(*(set(found) for found in volumes.values())))
    missing = sorted(set.union(*(set(found) for found in volumes.values())) - set(names))
    print(f"\n{'volume, ml':42}" + "".join(f"{name:>9}" for name in volumes) + "   spread")
    worst = 0.0
    for name in names:
        row = [found[name] for found in volumes.values()]
        spread = (max(row) - min(row)) / (sum(row) / len(row)) if sum(row) else 0.0
        worst = max(worst, spread)
        print(f"{name:42}" + "".join(f"{value:9.2f}" for value in row) + f"  {100 * spread:6.2f} %")
    print(f"largest spread {100 * worst:.2f} %  (must be <= 3 %); in some only: {missing or 'none'}")


if __name__ == "__main__":
    main()
