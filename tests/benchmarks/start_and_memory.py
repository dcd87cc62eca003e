"""Time to ready at the first and the second start, memory of the whole workbench at rest, and after 20 analyses.

The scan is the MNI152 template that nilearn carries. Memory is the proportional set size of all its processes,
MLflow and Ray included: pages they share are counted once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tests.running import RunningWorkbench, running_workbench

ANALYSES = 20


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        home = Path(folder) / "home"
        scan = Path(folder) / "mni152.nii.gz"
        scan.write_bytes(template_bytes())
        with running_workbench(home) as first:
            print(f"first start, to ready           {first.seconds_to_ready:7.1f} s")
        with running_workbench(home) as second:
            print(f"second start, to ready          {second.seconds_to_ready:7.1f} s   (must be < 30, aim 20)")
            time.sleep(20)
            rest = second.memory_mb()
            for name, size in sorted(rest.items(), key=lambda item: -item[1]):
                print(f"    {size:8.0f} MB  {name}")
            print(f"memory at rest                  {rest['total']:7.0f} MB  (must be < 3500, aim 2800)")
            seconds = [analyze(second, scan) for _ in range(ANALYSES)]
            time.sleep(20)
            after = second.memory_mb()
            print(f"one analysis, median of {ANALYSES}      {statistics.median(seconds):7.1f} s")
            print(f"memory after {ANALYSES} analyses        {after['total']:7.0f} MB")
            grown = after["total"] - rest["total"]
            print(f"grown by                        {grown:7.0f} MB  (must be < 200)")


def analyze(workbench: RunningWorkbench, scan: Path) -> float:
    """Seconds of one `workbench analyze` against it."""
    began = time.monotonic()
    done = workbench.cli("analyze", str(scan), "--json")
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return time.monotonic() - began


def template_bytes() -> bytes:
    """The MNI152 T1 template, 1 mm, as nilearn packs it."""
    spec = find_spec("nilearn")
    assert spec and spec.origin
    return (Path(spec.origin).parent / "datasets" / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz").read_bytes()


if __name__ == "__main__":
    main()
