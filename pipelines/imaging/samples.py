"""Two scans that need no download.

``mni152``: the MNI152 template (ICBM 2009a nonlinear symmetric, T1, 1 mm; Fonov et al. 2011), which the package nilearn carries.
``lesion``: a FLAIR made of the template's tissue maps, with lesions painted into its white matter by :func:`paint_lesions`:
nobody's scan.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.errors import ModelMissing, NotFound


@dataclass(frozen=True)
class Sample:
    """A bundled scan: its name in addresses, its file's name, and what a person reads."""

    name: str
    file: str
    title: str
    text: str


SAMPLES: Mapping[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample("mni152", "mni152_t1.nii.gz", "MNI152 template", "Average T1 of 152 healthy adults, skull-stripped, 1 mm."),
        Sample(
            "lesion",
            "mni152_flair_synthetic_lesions.nii.gz",
            "Synthetic lesions",
            "FLAIR simulated from the same template, with white-matter lesions.",
        ),
    )
}

_TEMPLATE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
_GREY = "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz"
_WHITE = "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz"


@dataclass(frozen=True)
class Blob:
    """A lesion to paint: centre in scanner mm (RAS+), half axes in mm, and how much brighter than white matter (a share)."""

    center_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    brightness: float


BLOBS: tuple[Blob, ...] = (
    Blob((-24.0, -34.0, 24.0), (7.0, 11.0, 6.0), 0.55),
    Blob((25.0, 22.0, 20.0), (4.5, 6.0, 4.5), 0.5),
    Blob((-28.0, 10.0, 30.0), (4.0, 4.0, 4.0), 0.5),
    Blob((30.0, -28.0, 34.0), (5.0, 5.0, 4.0), 0.5),
)


def make_sample(name: str, folder: Path) -> Path:
    """Write a sample into ``folder`` and give its path; the same bytes every time.

    Raises:
        NotFound: there is no such sample.
        ModelMissing: nilearn's template is not installed.
    """
    from serving.volume import read_scan, write_scan

    if name not in SAMPLES:
        raise NotFound(f"Sample '{name}' not found. Available: {', '.join(SAMPLES)}.")
    scan = read_scan(_packaged(_TEMPLATE))
    data = scan.volume.data[0]
    if name == "lesion":
        white = read_scan(_packaged(_WHITE)).volume.data[0]
        grey = read_scan(_packaged(_GREY)).volume.data[0]
        white, grey = white / float(white.max()), grey / float(grey.max())
        data = paint_lesions(flair_like(data, white, grey), white, scan.volume.affine, BLOBS)
    path = folder / SAMPLES[name].file
    write_scan(path, np.round(data), scan.header)
    return path


def flair_like(data: np.ndarray, white: np.ndarray, grey: np.ndarray, *, seed: int = 5) -> np.ndarray:
    """A picture ``(i, j, k)`` with FLAIR contrast: dark fluid, grey matter a little brighter than white matter, some noise.

    Args:
        data: a skull-stripped T1 in the same grid; 0 outside the brain.
        white, grey: probabilities of white and grey matter.
    """
    brain = data > 0
    rest = np.clip(1.0 - white - grey, 0.0, 1.0)
    noise = np.random.default_rng(seed).normal(0.0, 2.0, data.shape)
    return np.where(brain, np.maximum(100.0 * white + 115.0 * grey + 20.0 * rest + noise, 1.0), 0.0).astype(np.float32)


def paint_lesions(data: np.ndarray, white: np.ndarray, affine: np.ndarray, blobs: Sequence[Blob], *, seed: int = 7) -> np.ndarray:
    """A copy of a FLAIR ``(i, j, k)`` with bright lesions: ellipsoids with an uneven border and a soft rim, in white matter alone.

    Args:
        white: probability of white matter, in the same grid.
    """
    from scipy import ndimage

    out = data.astype(np.float32, copy=True)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    back = np.linalg.inv(affine)
    random = np.random.default_rng(seed)
    for blob in blobs:
        centre = back[:3, :3] @ np.array(blob.center_mm) + back[:3, 3]
        reach = np.ceil(1.8 * max(blob.radii_mm) / spacing).astype(int)
        low = np.maximum(np.round(centre).astype(int) - reach, 0)
        high = np.minimum(np.round(centre).astype(int) + reach + 1, data.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        index = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"))
        mm = (
            np.tensordot(affine[:3, :3], index, axes=1) + affine[:3, 3][:, None, None, None] - np.array(blob.center_mm)[:, None, None, None]
        )
        radius = np.sqrt(sum((mm[axis] / blob.radii_mm[axis]) ** 2 for axis in range(3)))
        uneven = ndimage.gaussian_filter(random.normal(size=radius.shape), 2.5 / spacing)
        uneven *= 0.18 / max(float(uneven.std()), 1e-6)
        depth = 1.0 / (1.0 + np.exp((radius + uneven - 1.0) * 9.0))
        out[box] *= 1.0 + blob.brightness * depth * np.clip(white[box] * 1.5 - 0.25, 0.0, 1.0)
    return out


def _packaged(name: str) -> Path:
    """A file of the installed package nilearn, found without importing it (that takes seconds)."""
    spec = importlib.util.find_spec("nilearn")
    for root in (spec.submodule_search_locations if spec else None) or []:
        path = Path(root) / "datasets" / "data" / name
        if path.is_file():
            return path
    raise ModelMissing("The sample template is not installed. Run `pip install nilearn`.")
