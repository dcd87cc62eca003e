"""A head made of ellipsoids, known in scanner millimetres: whatever the grid, every structure's place and side is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from serving.registry.versions import ModelRef
from serving.roles.segmentation import Quality, Segmentation, Structure, Volume

# label: centre (mm, RAS+) and half axes (mm); later ones lie over earlier ones.
ELLIPSOIDS: list[tuple[int, tuple[float, float, float], tuple[float, float, float]]] = [
    (24, (0, 0, 10), (72, 86, 66)),
    (3, (-2, 0, 12), (66, 80, 60)),
    (42, (2, 0, 12), (66, 80, 60)),
    (2, (-2, 0, 12), (56, 70, 50)),
    (41, (2, 0, 12), (56, 70, 50)),
    (4, (-12, -5, 16), (7, 28, 9)),
    (43, (12, -5, 16), (6, 28, 9)),
    (14, (0, 0, 4), (3, 9, 9)),
    (10, (-12, -16, 4), (7, 12, 7)),
    (49, (12, -16, 4), (7, 12, 7)),
    (17, (-26, -22, -12), (5, 16, 5)),
    (53, (26, -22, -12), (6, 16, 5)),
    (8, (-20, -58, -34), (24, 20, 16)),
    (47, (20, -58, -34), (24, 20, 16)),
    (16, (0, -26, -34), (9, 9, 18)),
]
LEFT = {2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 26, 28}
RIGHT = {41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60}
BRIGHTNESS = {
    0: 5,
    24: 30,
    3: 90,
    42: 90,
    2: 140,
    41: 140,
    4: 25,
    43: 25,
    14: 25,
    10: 110,
    49: 110,
    17: 95,
    53: 95,
    8: 100,
    47: 100,
    16: 130,
    77: 60,
}


def places(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """Scanner mm of every voxel, ``(3, i, j, k)``."""
    grid = np.indices(shape, dtype=np.float64).reshape(3, -1)
    return (affine[:3, :3] @ grid + affine[:3, 3:4]).reshape(3, *shape)


def head_labels(
    shape: tuple[int, int, int], affine: np.ndarray, lesions: list[tuple[tuple[float, float, float], float]] | None = None
) -> np.ndarray:
    """int16 labels of the head in this grid; ``lesions`` are (centre mm, radius mm)."""
    x, y, z = places(shape, affine)
    labels = np.zeros(shape, dtype=np.int16)
    for label, (cx, cy, cz), (a, b, c) in ELLIPSOIDS:
        inside = ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 + ((z - cz) / c) ** 2 <= 1
        if label in LEFT:
            inside &= x < 0
        elif label in RIGHT:
            inside &= x >= 0
        labels[inside] = label
    for (cx, cy, cz), radius in lesions or []:
        labels[(x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 <= radius**2] = 77
    return labels


def head_picture(labels: np.ndarray, *, seed: int = 7) -> np.ndarray:
    """A T1-like picture of labels, int16, with a little noise."""
    table = np.zeros(256)
    for label, value in BRIGHTNESS.items():
        table[label] = value
    noise = np.random.default_rng(seed).normal(0, 3, labels.shape)
    return np.clip(table[labels] * 5 + noise * 5, 0, 4000).astype(np.int16)


def grid(spacing: float = 4.0, extent: tuple[float, float, float] = (176, 208, 192)) -> tuple[tuple[int, int, int], np.ndarray]:
    """A RAS grid around the head."""
    shape = tuple(round(size / spacing) for size in extent)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = [-spacing * (size - 1) / 2 for size in shape]
    return shape, affine  # type: ignore[return-value]


MODEL = ModelRef("segmentation", "ellipsoids", "1", "0" * 64, "numpy", "cpu")


@dataclass
class EllipsoidSegmentation:
    """A segmentation role that knows the head above by heart: it labels by where a voxel lies in the scanner."""

    lesions: list[tuple[tuple[float, float, float], float]] = field(default_factory=list)
    quality: Quality = field(default_factory=lambda: Quality("good", 0.95, ()))
    calls: list[tuple[Volume, str | None]] = field(default_factory=list)

    async def segment(self, volume: Volume, *, version: str | None = None) -> Segmentation:
        self.calls.append((volume, version))
        labels = head_labels(volume.shape, volume.affine, self.lesions)
        counts = np.bincount(labels.ravel())
        structures = {
            int(id): Structure(int(id), float(counts[id]) * volume.voxel_ml, float(counts[id]) * volume.voxel_ml * 1.02, 0.9)
            for id in np.flatnonzero(counts)
            if id
        }
        return Segmentation(labels, volume.affine, structures, self.quality, MODEL, {"infer": 0.01})
