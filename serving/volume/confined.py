"""Read a scan in a process of its own, for processes that must not grow or fall with what somebody sent."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from infra.confined import confine, run_confined
from infra.errors import CorruptFile, Timeout, TooLarge, WorkbenchError, from_dict
from infra.settings import Imaging
from serving.roles.segmentation import Volume

TOO_MUCH = "Reading this scan needs more than {} MB of memory (imaging.reader_memory_mb). Send a smaller one, or analyse it as a job."


def read_volume(path: Path, folder: Path, limits: Imaging) -> Volume:
    """The volume of a scan file, as :func:`serving.volume.read_scan` reads it. Blocks.

    Args:
        path: the file.
        folder: where the voxels are put; the volume reads from there, so that they take no memory before they are used.
        limits: ``settings.imaging``; memory and time beside what ``read_scan`` looks at.

    Raises:
        InvalidInput, NotFound: as ``read_scan``.
        TooLarge: it takes more memory or time than ``limits`` allow.
    """
    voxels = folder / "voxels.npy"
    try:
        done = run_confined(
            "serving.volume.confined:main",
            str(path.absolute()),
            str(voxels.absolute()),
            limits.model_dump_json(),
            seconds=limits.reader_seconds,
        )
    except Timeout as error:
        raise TooLarge(f"Reading this scan takes longer than {limits.reader_seconds:.0f} seconds (imaging.reader_seconds).") from error
    try:
        said: dict[str, Any] = json.loads(done.output)
    except ValueError:
        raise CorruptFile("The scan is damaged: the reader broke off while reading it.") from None
    if "error" in said:
        raise from_dict(said["error"])
    return Volume(np.asarray(np.load(voxels, mmap_mode="r")), np.array(said["affine"], np.float64), tuple(said["channels"]))


def main() -> None:
    """The child: writes the voxels to the file it was named, and what else there is to say, as JSON, to its standard output."""
    path, voxels, limits = Path(sys.argv[1]), Path(sys.argv[2]), Imaging.model_validate_json(sys.argv[3])
    confine(memory_mb=limits.reader_memory_mb, seconds=limits.reader_seconds, written_mb=limits.reader_memory_mb)
    channel = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    try:
        said = _read(path, voxels, limits)
    except WorkbenchError as error:
        said = {"error": error.as_dict()}
    except MemoryError:
        said = {"error": TooLarge(TOO_MUCH.format(limits.reader_memory_mb)).as_dict()}
    with os.fdopen(channel, "w") as output:
        json.dump(said, output)
    os._exit(0)


def _read(path: Path, voxels: Path, limits: Imaging) -> dict[str, Any]:
    from serving.volume.read import read_scan

    volume = read_scan(path, limits).volume
    np.save(voxels, volume.data)
    return {"affine": volume.affine.tolist(), "channels": list(volume.channels)}
