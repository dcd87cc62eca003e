"""Seconds and peak memory of one scan from file to labels, in a process that imports what a replica does.

    python -m serving.segmentation.timing SCAN.nii.gz

Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from serving.contracts import Volume
from serving.segmentation.backends import open_backend
from serving.segmentation.inference import Segmenter
from serving.segmentation.weights_file import DEFAULT_WEIGHTS


def read_scan(path: Path) -> Volume:
    """A NIfTI file as a one-channel volume. (The workbench's own readers are in `serving.volume`.)"""
    image = nib.load(path)
    return Volume(np.asarray(image.dataobj, dtype=np.float32)[None], np.asarray(image.affine, dtype=float))  # type: ignore[attr-defined]


def peak_gb() -> float:
    """Peak resident memory of this process in GB (Linux)."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024**2


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    begun = time.perf_counter()
    segmenter = Segmenter(open_backend("openvino", weights=given.weights, threads=given.threads))
    loaded = time.perf_counter() - begun
    seconds, stages = [], {}
    for _ in range(given.runs + 1):
        begun = time.perf_counter()
        stages = dict(segmenter.segment(read_scan(given.scan)).seconds)
        seconds.append(round(time.perf_counter() - begun, 3))
    warm = sorted(seconds[1:])[len(seconds[1:]) // 2]
    print(
        json.dumps(
            {
                "load_seconds": round(loaded, 3),
                "cold_seconds": seconds[0],
                "warm_seconds": warm,
                "stages": stages,
                "peak_gb": round(peak_gb(), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
