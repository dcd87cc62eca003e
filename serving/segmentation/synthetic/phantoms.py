"""Things that are not brain MRIs, made from arithmetic: the segmentation model must refuse them.

Each is a float32 volume (i, j, k) with an affine of 1.5 mm voxels (RAS+), sized like a head scan.
Used by the evaluation and, smaller, by the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

SIDE = 128
SPACING_MM = 1.5


def affine_of(side: int = SIDE) -> np.ndarray:
    """Centred affine for a cube of `side` voxels that always spans 192 mm."""
    spacing = SIDE * SPACING_MM / side
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -spacing * (side - 1) / 2
    return affine


def _grid(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates from -1 to 1."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return x, y, z


def _ellipsoid(grid: tuple[np.ndarray, ...], centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) < 1  # type: ignore[return-value]


def phantoms(side: int = SIDE, seed: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Name and volume of every made non-brain, one at a time."""
    rng = np.random.default_rng(seed)
    grid = _grid(side)
    x, y, z = grid
    radius = np.sqrt(x**2 + y**2 + z**2)

    def noisy(volume: np.ndarray, sigma: float = 0.02) -> np.ndarray:
        return np.abs(volume + sigma * rng.normal(size=volume.shape)).astype(np.float32) * 1000

    yield "sphere", noisy((radius < 0.6).astype(np.float32))
    shells = np.select([radius < 0.2, radius < 0.45, radius < 0.6, radius < 0.68], [0.2, 0.9, 0.5, 1.0], 0.0)
    yield "onion of shells", noisy(shells)
    yield "fruit with segments", noisy(np.where(radius < 0.65, 0.5 + 0.3 * np.sin(8 * np.arctan2(y, x)), 0) * (radius > 0.1))
    cylinder = (x**2 + y**2 < 0.5) & (np.abs(z) < 0.7)
    rods = sum(_ellipsoid((x, y), (0.4 * np.cos(a), 0.4 * np.sin(a)), (0.08, 0.08)) for a in np.linspace(0, 6.28, 7)[:-1])
    yield "cylinder with rods", noisy(cylinder * (0.8 - 0.6 * (rods > 0)))
    yield "block", noisy(((np.abs(x) < 0.5) & (np.abs(y) < 0.6) & (np.abs(z) < 0.5)).astype(np.float32))
    blocks = rng.uniform(0, 1, size=(5, 5, 5)).repeat(-(-side // 5), 0).repeat(-(-side // 5), 1).repeat(-(-side // 5), 2)
    yield "blocks", noisy(blocks[:side, :side, :side])
    checker = ((np.floor(x * 6) + np.floor(y * 6) + np.floor(z * 6)) % 2).astype(np.float32)
    yield "checkerboard", noisy(checker)
    yield "Gaussian noise", noisy(np.zeros_like(x), 1.0)
    yield "uniform noise", rng.uniform(0, 255, size=x.shape).astype(np.float32)
    smooth = ndimage.gaussian_filter(rng.normal(size=x.shape), side / 32)
    yield "smooth noise", (1000 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)
    yield "smooth noise in a sphere", (1000 * (smooth - smooth.min()) / np.ptp(smooth) * (radius < 0.7)).astype(np.float32)
    yield "ramp", ((x + 1) * 500).astype(np.float32)
    yield "constant", np.full(x.shape, 7, dtype=np.float32)
    yield (
        "gyroid",
        noisy((np.sin(9 * x) * np.cos(9 * y) + np.sin(9 * y) * np.cos(9 * z) + np.sin(9 * z) * np.cos(9 * x) > 0) * (radius < 0.8)),
    )
    yield "ellipsoids of Shepp and Logan", noisy(_shepp_logan(grid))
    yield "trunk", noisy(_trunk(grid))
    yield "knee", noisy(_knee(grid))
    yield "CT of a head", _ct_head(grid, rng)


def _shepp_logan(grid: tuple[np.ndarray, ...]) -> np.ndarray:
    """The classical ellipsoids, in the manner of Shepp and Logan (IEEE Trans. Nucl. Sci. 21, 1974)."""
    volume = np.zeros(grid[0].shape, dtype=np.float32)
    for value, centre, radii in (
        (1.0, (0, 0, 0), (0.55, 0.75, 0.65)),
        (-0.7, (0, -0.01, 0), (0.52, 0.7, 0.61)),
        (-0.15, (0.17, 0, 0), (0.09, 0.25, 0.2)),
        (-0.15, (-0.17, 0, 0), (0.12, 0.33, 0.25)),
        (0.15, (0, 0.28, 0), (0.17, 0.2, 0.25)),
        (0.2, (0, -0.4, 0), (0.05, 0.05, 0.05)),
    ):
        volume[_ellipsoid(grid, centre, radii)] += value
    return np.clip(volume, 0, None)


def _trunk(grid: tuple[np.ndarray, ...]) -> np.ndarray:
    """An abdomen: fat, muscle, liver, kidneys, spine, running through the whole field."""
    x, y, z = grid
    across = (x, y, np.zeros_like(z))
    volume = np.where(_ellipsoid(across, (0, 0, 0), (0.92, 0.7, 1)), 0.9, 0.0)
    volume[_ellipsoid(across, (0, 0, 0), (0.84, 0.62, 1))] = 0.45
    volume[_ellipsoid(grid, (0.4, 0.1, 0.2), (0.4, 0.4, 0.6))] = 0.6
    for side in (-1, 1):
        volume[_ellipsoid(grid, (0.42 * side, -0.25, -0.2), (0.14, 0.12, 0.3))] = 0.75
    volume[_ellipsoid(across, (0, -0.45, 0), (0.14, 0.12, 1))] = 0.2
    return volume


def _knee(grid: tuple[np.ndarray, ...]) -> np.ndarray:
    """Two bones with marrow and a gap, in muscle and fat."""
    x, y, z = grid
    volume = np.where(x**2 + y**2 < 0.4, 0.8, 0.0)
    volume[x**2 + y**2 < 0.32] = 0.35
    for low, high in ((0.06, 1.0), (-1.0, -0.06)):
        inside = (z > low) & (z < high)
        volume[(x**2 + y**2 < 0.15) & inside] = 0.05
        volume[(x**2 + y**2 < 0.12) & inside] = 0.95
    return volume


def _ct_head(grid: tuple[np.ndarray, ...], rng: np.random.Generator) -> np.ndarray:
    """A head in Hounsfield units: air, scalp, bone, brain, ventricles."""
    volume = np.full(grid[0].shape, -1000, dtype=np.float32)
    volume[_ellipsoid(grid, (0, 0, 0), (0.72, 0.9, 0.85))] = 40
    volume[_ellipsoid(grid, (0, 0, 0), (0.68, 0.86, 0.81))] = 1100
    volume[_ellipsoid(grid, (0, 0, 0), (0.62, 0.8, 0.75))] = 34
    for side in (-1, 1):
        volume[_ellipsoid(grid, (0.12 * side, 0, 0.1), (0.07, 0.3, 0.12))] = 6
    return volume + rng.normal(0, 6, size=volume.shape).astype(np.float32)


def as_ct(head: np.ndarray) -> np.ndarray:
    """A real MR head given CT-like numbers: air -1000, tissue around 40, the brightest (fat) -80, bone 900."""
    scaled = head / max(float(np.percentile(head, 99.5)), 1e-6)
    return np.where(scaled < 0.08, -1000.0, np.where(scaled > 0.9, 900.0, 10 + 60 * scaled)).astype(np.float32)
