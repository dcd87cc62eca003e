"""A folder of 40 scans (the real ones, some twice, four broken): as one cohort against one by one, and killed half-way.

Reads ../shared/data (or WORKBENCH_DATA). Must be: at least 1.2 times as fast as the same scans one by one; after a kill
half-way nothing done twice; four failures named. ``python -m tests.benchmarks.cohort --scans 12`` is a smaller one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.conftest import DATA
from tests.running import WORKBENCH, clean_environment, running_workbench

BROKEN = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--only", choices=("speed", "kill"), help="one half of it")
    chosen, _ = parser.parse_known_args()
    if not DATA.is_dir():
        print(f"The development data is not at {DATA}: nothing measured.")
        return
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        base = Path(folder)
        scans, twice = make_folder(base / "scans", chosen.scans)
        print(f"{chosen.scans} scans, {twice} of them twice, {BROKEN} broken")
        if chosen.only != "kill":
            speed(base, scans)
        if chosen.only != "speed":
            kill(base)


def make_folder(folder: Path, count: int) -> tuple[list[Path], int]:
    """Every scan there is, some of them again under another name, and four broken ones; gives the files in order."""
    mri = DATA / "mri"
    real = [
        *sorted((mri / "orient").glob("*.nii.gz")), *sorted((mri / "t1").glob("*.nii*")), *sorted((mri / "contrast").glob("*.nii.gz")),
        *(mri / "lesion_ms" / "patient07" / f"{name}.nii.gz" for name in ("FLAIR", "T1")),
        *sorted(mri.glob("tumour/*/Flair_*.nii.gz")), *sorted(mri.glob("tumour/*/T1c_*.nii.gz")),
        mri / "dicom" / "decubitus_HFS_T1_2D.zip", *sorted((mri / "dicom" / "xa30_enhanced_T1").glob("*.dcm")),
    ]  # fmt: skip
    for number in range(count - BROKEN):
        source = real[number % len(real)]
        place = folder / f"sub-{number:02d}"
        place.mkdir(parents=True)
        again = "again_" if number >= len(real) else ""
        shutil.copyfile(source, place / f"{again}{source.name}")
    broken = folder / "broken"
    broken.mkdir()
    (broken / "cut_off.nii.gz").write_bytes(real[0].read_bytes()[:40_000])
    (broken / "a_letter.nii").write_text("Dear radiologist, this is no scan.")
    (broken / "empty.nii.gz").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 1000, (20, 20, 12)).astype(np.int16)
    with gzip.open(broken / "a_part.nii.gz", "wb") as file:
        file.write(nib.Nifti1Image(noise, np.eye(4)).to_bytes())
    return sorted(path for path in folder.rglob("*") if path.is_file()), max(0, count - BROKEN - len(real))


def speed(base: Path, scans: list[Path]) -> None:
    """One by one against a cohort, both by the same running workbench, warm."""
    with running_workbench(base / "home") as workbench:
        run([str(scans[-1])], workbench.environment(), base / "warm")
        took: dict[Path, float] = {}
        for number, scan in enumerate(scans):
            began = time.monotonic()
            run([str(scan)], workbench.environment(), base / "single" / str(number))
            took[scan] = time.monotonic() - began
        began = time.monotonic()
        said = run([str(base / "scans")], workbench.environment(), base / "cohort")
        cohort = time.monotonic() - began
    alone = sum(took.values())
    once = sum(seconds for scan, seconds in took.items() if not scan.name.startswith("again_"))
    print(f"one by one                     {alone:7.1f} s")
    print(f"as a cohort                    {cohort:7.1f} s, {alone / cohort:.2f} times as fast  (must be >= 1.2)")
    print(f"one by one, without the copies {once:7.1f} s, {once / cohort:.2f} times: what working on several at once gives")
    name_failures(said)


def kill(base: Path) -> None:
    """In one process, killed when half of it is done, and started again."""
    out, environment = base / "killed", clean_environment() | {"WORKBENCH_HOME": str(base / "alone"), "WORKBENCH_GATEWAY__PORT": "9"}
    command = [*WORKBENCH, "analyze", str(base / "scans"), "--out", str(out), "--json"]
    contents = len({path.read_bytes() for path in (base / "scans").rglob("*") if path.is_file()})
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while first.poll() is None and len(outcomes(out)) < contents // 2:
        time.sleep(0.1)
    first.kill()
    first.wait()
    before = outcomes(out)
    said = run([str(base / "scans")], environment, out)
    after = outcomes(out)
    twice = [name for name, written in before.items() if after.get(name) != written]
    print(
        f"killed when {len(before)} of {contents} contents were done; the second run did {len(after) - len(before)} and took over the rest"
    )
    print(f"done twice: {len(twice)} {twice or ''} (must be 0)")
    name_failures(said)


def outcomes(out: Path) -> dict[str, tuple[int, str]]:
    """Each finished content: when its outcome was written, and what it says."""
    return {path.name: (path.stat().st_mtime_ns, path.read_text()) for path in (out / ".cohort").glob("*.json")}


def name_failures(said: dict) -> None:
    failed = [scan for scan in said["scans"] if scan["state"] == "failed"]
    print(f"{said['done']} analysed, {len(failed)} failed  (must be {BROKEN}):")
    for scan in failed:
        print(f"  {scan['name']}: {scan['error']['message']}")


def run(arguments: list[str], environment: dict[str, str], out: Path) -> dict:
    done = subprocess.run(
        [*WORKBENCH, "analyze", *arguments, "--out", str(out), "--json"], env=environment, capture_output=True, text=True, check=False
    )
    try:
        return json.loads(done.stdout)
    except ValueError:
        sys.exit(done.stdout + done.stderr)


if __name__ == "__main__":
    main()
