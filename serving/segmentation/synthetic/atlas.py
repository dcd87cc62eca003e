"""SynthSeg label maps, made ready once for synthesis: RAS+, cropped, compact ids, lesion sites.

The maps (Billot et al., SynthSeg, Medical Image Analysis 86, 2023; Apache-2.0) are whole-head
label volumes at 1 mm. Reading them and the distance maps that say where lesions may sit takes
seconds each, so the result is cached as one `.npz` a map.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from serving.segmentation.labels import RIGHT_SOURCE_IDS, class_of_id

MAP_IDS: tuple[int, ...] = (
    0, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 25, 26, 28, 30, 31, 41, 42, 43, 44,
    46, 47, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 63, 72, 77, 85, 136, 137, 163, 164,
    502, 506, 507, 508, 509, 511, 512, 514, 515, 516, 530,
)  # fmt: skip
"""Every id that occurs; a compact id is a position in `COMPACT`."""

PATHOLOGY: tuple[str, ...] = ("wm lesion", "mass", "necrosis", "rim", "oedema", "infarct", "lacune")
COMPACT: tuple[int | str, ...] = MAP_IDS + PATHOLOGY
COMPACT_OF: dict[int | str, int] = {v: i for i, v in enumerate(COMPACT)}

ZONES: tuple[str, ...] = ("periventricular", "deep", "juxtacortical", "infratentorial", "deep grey", "cortex")
MARGIN_MM = 44
SITES_PER_ZONE = 4000


@dataclass(frozen=True)
class Atlas:
    """One label map. labels: compact ids, uint8 (i, j, k), RAS+, 1 mm; brain_low, brain_high: the
    brain's bounding box in voxels; sites: per zone, voxel indices (n, 3) where a lesion may start."""

    labels: np.ndarray
    brain_low: np.ndarray
    brain_high: np.ndarray
    sites: dict[str, np.ndarray]


def class_table() -> np.ndarray:
    """Softmax class of every compact id (uint8); every kind of pathology is the class "lesion"."""
    return np.array([class_of_id(v if isinstance(v, int) else 77) for v in COMPACT], dtype=np.uint8)


def side_table() -> np.ndarray:
    """1 = right, 0 = left, 2 = no side, per compact id (uint8)."""
    names = class_table()
    from serving.segmentation.labels import LATERAL, LESION  # tables used here only

    sides = np.full(len(COMPACT), 2, dtype=np.uint8)
    for i, value in enumerate(COMPACT):
        if isinstance(value, int) and LATERAL[names[i]] and names[i] != LESION and value not in (30, 62, 85):
            sides[i] = 1 if value in RIGHT_SOURCE_IDS else 0
    return sides


def load_atlas(path: Path, cache: Path) -> Atlas:
    """The label map at `path`, from `cache` if it was prepared before.

    Raises ValueError when the map holds an id that `MAP_IDS` does not list.
    """
    cached = cache / f"{path.name.split('.')[0]}.npz"
    if not cached.exists():
        atlas = _prepare(path)
        cache.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}.npz")  # the trainer's processes may prepare the same map at once
        np.savez(
            partial,
            labels=atlas.labels,
            low=atlas.brain_low,
            high=atlas.brain_high,
            **{f"zone {k}": v for k, v in atlas.sites.items()},  # pyright: ignore[reportArgumentType]
        )
        partial.replace(cached)
        return atlas
    with np.load(cached) as stored:
        sites = {k.removeprefix("zone "): stored[k] for k in stored.files if k.startswith("zone ")}
        return Atlas(stored["labels"], stored["low"], stored["high"], sites)


def _prepare(path: Path) -> Atlas:
    image = nib.as_closest_canonical(nib.load(path))
    ids = np.asarray(image.dataobj).astype(np.int32)
    unknown = sorted(set(np.unique(ids).tolist()) - set(MAP_IDS))
    if unknown:
        raise ValueError(f"{path.name} holds label ids that are not known here: {unknown}")
    brain = (ids > 0) & (ids < 500) & (ids != 24)
    where = np.argwhere(brain[::2, ::2, ::2]) * 2
    low, high = where.min(0), where.max(0) + 2
    start = np.maximum(low - MARGIN_MM, 0)
    stop = np.minimum(high + MARGIN_MM, ids.shape)
    ids = ids[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    table = np.zeros(max(MAP_IDS) + 1, dtype=np.uint8)
    for value in MAP_IDS:
        table[value] = COMPACT_OF[value]
    return Atlas(np.ascontiguousarray(table[ids]), low - start, high - start, _sites(ids))


def _sites(ids: np.ndarray) -> dict[str, np.ndarray]:
    """Where lesions of each zone may start. Distances are taken on every second voxel (2 mm)."""
    half = ids[::2, ::2, ::2]
    to_ventricle = 2 * ndimage.distance_transform_edt(~np.isin(half, (4, 43)))  # pyright: ignore[reportOperatorIssue]
    to_cortex = 2 * ndimage.distance_transform_edt(~np.isin(half, (3, 42)))  # pyright: ignore[reportOperatorIssue]
    white = np.isin(half, (2, 41))
    zones = {
        "periventricular": white & (to_ventricle <= 6),  # pyright: ignore[reportOperatorIssue]
        "deep": white & (to_ventricle > 6) & (to_cortex > 5),  # pyright: ignore[reportOperatorIssue]
        "juxtacortical": white & (to_cortex <= 3) & (to_ventricle > 6),  # pyright: ignore[reportOperatorIssue]
        "infratentorial": np.isin(half, (7, 46, 16)),
        "deep grey": np.isin(half, (10, 11, 12, 13, 49, 50, 51, 52)),
        "cortex": np.isin(half, (3, 42)),
    }
    rng = np.random.default_rng(0)
    picked = {}
    for name, mask in zones.items():
        where = np.argwhere(mask) * 2
        keep = rng.permutation(len(where))[:SITES_PER_ZONE]
        picked[name] = where[keep].astype(np.int16)
    return picked
