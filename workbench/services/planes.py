"""A scan and its labels as arrays in the closest RAS grid, written slab by slab: no volume is ever held in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import InvalidInput

LOW, HIGH = 0.5, 99.8  # percentiles of the intensities that are shown as black and white
LOOKED_AT = 2_000_000  # voxels of a structure's box that are looked at, at most, to find its centre


@dataclass(frozen=True)
class Center:
    """Where a structure is: a voxel inside it, near its centre of mass.

    Attributes:
        voxel: indices ``(i, j, k)`` in the RAS grid.
        mm: the same point in scanner millimetres (RAS+).
    """

    voxel: tuple[int, int, int]
    mm: tuple[float, float, float]


def write_planes(scan_path: Path, labels_path: Path, folder: Path) -> None:
    """Write ``scan.npy`` (uint8), ``labels.npy`` (uint8, or int16 where ids need it) and, last, ``facts.json``.

    Args:
        scan_path: NIfTI file of the scan.
        labels_path: NIfTI file of its labels, in the same grid.
        folder: where to, empty.

    Raises:
        InvalidInput: the two are not in one grid.
    """
    import nibabel as nib

    scan, labels = (nib.load(path, keep_file_open=True) for path in (scan_path, labels_path))
    if scan.shape[:3] != labels.shape[:3]:
        raise InvalidInput("The labels are not in the scan's grid.")
    turn = nib.io_orientation(scan.affine)
    affine = scan.affine @ nib.orientations.inv_ornt_aff(turn, scan.shape[:3])

    windows = _windows(scan, labels)
    low, high = windows["display"]
    ids = max((int(plane.max()) for plane in _planes(labels)), default=0)
    _write(folder / "scan.npy", scan, turn, np.uint8, lambda plane: _shown(plane, low, high))
    _write(folder / "labels.npy", labels, turn, np.uint8 if ids < 256 else np.int16, lambda plane: plane)
    centers = find_centers(np.load(folder / "labels.npy", mmap_mode="r"), affine)
    facts = {
        "affine": affine.tolist(),
        "spacing": np.linalg.norm(affine[:3, :3], axis=0).tolist(),
        "window": windows.pop("display"),
        "windows": windows,
        "centers": {str(label): asdict(center) for label, center in centers.items()},
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def find_centers(labels: np.ndarray, affine: np.ndarray) -> dict[int, Center]:
    """A place inside each structure of a label array ``(i, j, k)``, by label id."""
    from scipy import ndimage

    found: dict[int, Center] = {}
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        part = labels[box]
        step = 1
        while part.size / step**3 > LOOKED_AT:
            step += 1
        inside = np.argwhere(part[::step, ::step, ::step] == label)
        if not len(inside):  # thinner than the steps
            step, inside = 1, np.argwhere(part == label)
        nearest = inside[np.argmin(((inside - inside.mean(axis=0)) ** 2).sum(axis=1))] * step
        i, j, k = (int(index) + part.start for index, part in zip(nearest, box, strict=True))
        x, y, z = (round(float(v), 1) for v in affine[:3, :3] @ (i, j, k) + affine[:3, 3])
        found[label] = Center((i, j, k), (x, y, z))
    return found


def _planes(image: Any) -> Iterator[np.ndarray]:
    """The slices along the file's last axis, in order: a compressed file is read forward only. Of a series, the first volume."""
    for k in range(image.shape[2]):
        yield np.asanyarray(image.dataobj[(slice(None), slice(None), k, *([0] * (len(image.shape) - 3)))])


def _windows(scan: Any, labels: Any) -> dict[str, list[float]]:
    """Intensity ranges from a sample of the voxels.

    ``display`` is what the pictures show, ``full`` everything; ``brain`` (1st to 99.5th percentile) and ``narrow`` (10th to
    90th, for grey-white contrast) are of the labelled voxels, left out where there are none.
    """
    parts, inside = [], []
    for number, (plane, marked) in enumerate(zip(_planes(scan), _planes(labels), strict=True)):
        if number % 3 == 0:
            values = plane[::3, ::3].astype(np.float32)
            parts.append(values.ravel())
            inside.append(values[marked[::3, ::3] > 0])
    sample, brain = (found[np.isfinite(found)] for found in (np.concatenate(parts), np.concatenate(inside)))
    wanted = {"display": (sample, LOW, HIGH), "full": (sample, 0, 100), "brain": (brain, 1, 99.5), "narrow": (brain, 10, 90)}
    found = {}
    for name, (values, below, above) in wanted.items():
        if values.size or values is sample:
            low, high = (float(v) for v in np.percentile(values, (below, above))) if values.size else (0.0, 1.0)
            found[name] = [low, high if high > low else low + 1.0]
    return found


def _shown(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    filled = np.nan_to_num(plane.astype(np.float32), nan=low, posinf=high, neginf=low)
    return np.clip((filled - low) * (255.0 / (high - low)), 0, 255)


def _write(path: Path, image: Any, turn: np.ndarray, kind: Any, change: Any) -> None:
    import nibabel as nib

    shape = [0, 0, 0]
    for axis, (target, _) in enumerate(turn):
        shape[int(target)] = image.shape[axis]
    array = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=tuple(shape))
    # The array seen in the file's own axes: what is written there lands where it belongs.
    back = nib.orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), turn)
    seen = nib.apply_orientation(array, back)
    for k, plane in enumerate(_planes(image)):
        seen[..., k] = change(plane)
    array.flush()
