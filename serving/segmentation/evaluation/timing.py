"""Seconds and peak memory of one scan from file to labels, in a process that imports what a replica does.

    python -m serving.segmentation.evaluation.timing SCAN.nii.gz [--peer FOLDER]

Prints one JSON line. With ``--peer`` it is brainchop's network in that folder (in torch) that is timed, not ours.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from serving.roles.segmentation import Volume
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


def _ours(weights: Path, threads: int) -> Callable[[Volume], dict[str, float]]:
    segmenter = Segmenter(open_backend("openvino", weights=weights, threads=threads))
    return lambda volume: dict(segmenter.segment(volume).seconds)


def _peer(folder: Path) -> Callable[[Volume], dict[str, float]]:
    from serving.segmentation.evaluation.brainchop import MeshNet

    network = MeshNet(folder)

    def segment(volume: Volume) -> dict[str, float]:
        network.segment(volume.data[0], volume.affine)
        return {}

    return segment


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--peer", type=Path, help="brainchop's folder of the network to time")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    begun = time.perf_counter()
    segment = _peer(given.peer) if given.peer else _ours(given.weights, given.threads)
    loaded = time.perf_counter() - begun
    seconds, stages = [], {}
    for _ in range(given.runs + 1):
        begun = time.perf_counter()
        stages = segment(read_scan(given.scan))
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
