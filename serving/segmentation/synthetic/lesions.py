"""Synthetic pathology, painted into a label map before it is deformed.

Kinds, after what a radiologist meets: white-matter lesions by zone (periventricular, deep,
juxtacortical, infratentorial), masses with rim, necrosis and oedema, territorial cortical
infarcts, lacunes. Only labels are painted here; what they look like is drawn in `synthesis`.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from serving.segmentation.labels import class_of_id
from serving.segmentation.synthetic.atlas import COMPACT, COMPACT_OF, Atlas

_CLASS = np.array([class_of_id(v if isinstance(v, int) else 77) for v in COMPACT])


def _tissue(*names: int) -> np.ndarray:
    """Boolean table over compact ids: true for the FreeSurfer ids given."""
    return np.array([v in names for v in COMPACT])


_WHITE = _tissue(2, 41, 25, 57)
_WHITE_INFRA = _tissue(7, 46, 16)
_DEEP_GREY = _tissue(10, 11, 12, 13, 49, 50, 51, 52)
_CORTEX = _tissue(3, 42)
_BRAIN = np.array([isinstance(v, int) and 0 < v < 500 and v != 24 for v in COMPACT])
_SOLID = _BRAIN & ~_tissue(4, 5, 14, 15, 43, 44, 72, 31, 63, 136, 137, 163, 164)
_PARENCHYMA = _SOLID | np.array([isinstance(v, str) for v in COMPACT])


def _blob(rng: np.random.Generator, radii: np.ndarray, roughness: float) -> np.ndarray:
    """Boolean box with a rotated ellipsoid of the given radii (voxels), its surface made uneven."""
    reach = int(np.ceil(radii.max() * (1 + roughness))) + 1
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    inside = np.sqrt((((turn.T @ points.reshape(3, -1)) / radii[:, None]) ** 2).sum(0)).reshape(points.shape[1:])
    if roughness:
        coarse = rng.normal(size=(4, 4, 4)).astype(np.float32)
        inside = inside + roughness * ndimage.zoom(coarse, inside.shape[0] / 4, order=1)
    return inside < 1


def _paint(labels: np.ndarray, centre: np.ndarray, blob: np.ndarray, allowed: np.ndarray, kind: str) -> None:
    """Set `labels` to `kind` where `blob`, centred at `centre`, meets allowed compact ids."""
    reach = blob.shape[0] // 2
    low, high = centre - reach, centre + reach + 1
    cut_low = np.maximum(-low, 0)
    cut_high = blob.shape[0] - np.maximum(high - np.array(labels.shape), 0)
    if np.any(cut_low >= cut_high):
        return
    part = blob[tuple(slice(a, b) for a, b in zip(cut_low, cut_high, strict=True))]
    window = labels[tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, np.minimum(high, labels.shape), strict=True))]
    window[part & allowed[window]] = COMPACT_OF[kind]


def _site(rng: np.random.Generator, atlas: Atlas, zone: str) -> np.ndarray | None:
    where = atlas.sites[zone]
    return where[rng.integers(len(where))].astype(np.int64) if len(where) else None


def white_matter_lesions(rng: np.random.Generator, labels: np.ndarray, atlas: Atlas) -> None:
    """From one spot to a confluent load; more of them near the ventricles, as in MS and vessel disease."""
    count = int(np.clip(np.exp(rng.uniform(0.0, np.log(45))), 1, 45))
    largest = rng.uniform(2.0, 8.0)
    zones = rng.choice(["periventricular", "deep", "juxtacortical", "infratentorial"], size=count, p=[0.48, 0.22, 0.22, 0.08])
    for zone in zones:
        centre = _site(rng, atlas, zone)
        if centre is None:
            continue
        radius = float(np.exp(rng.uniform(np.log(1.2), np.log(largest + 0.5))))
        radii = radius * rng.uniform(0.6, 1.6, size=3)
        allowed = _WHITE_INFRA if zone == "infratentorial" else _WHITE
        if zone == "juxtacortical" and rng.random() < 0.3:
            allowed = allowed | _CORTEX
        _paint(labels, centre, _blob(rng, radii.astype(np.float32), rng.uniform(0.05, 0.35)), allowed, "wm lesion")
    if rng.random() < 0.25:  # caps and bands hugging the ventricle
        half = labels[::2, ::2, ::2]
        ventricle = np.isin(half, [COMPACT_OF[4], COMPACT_OF[43]])
        band = ndimage.binary_dilation(ventricle, iterations=int(rng.integers(1, 4)))
        patchy = ndimage.zoom(rng.normal(size=(6, 6, 6)), np.array(half.shape) / 6, order=1) > rng.uniform(-0.3, 0.5)
        grown = np.kron(band & patchy, np.ones((2, 2, 2), dtype=bool))  # pyright: ignore[reportOperatorIssue]
        view = labels[: grown.shape[0], : grown.shape[1], : grown.shape[2]]
        grown = grown[: view.shape[0], : view.shape[1], : view.shape[2]]
        view[grown & _WHITE[view]] = COMPACT_OF["wm lesion"]


def mass(rng: np.random.Generator, labels: np.ndarray, atlas: Atlas) -> None:
    """Oedema along white matter around a solid core, that may have an enhancing rim and necrosis."""
    zone = rng.choice(["deep", "juxtacortical", "periventricular", "cortex", "infratentorial", "deep grey"],
                      p=[0.34, 0.2, 0.18, 0.14, 0.08, 0.06])  # fmt: skip
    centre = _site(rng, atlas, zone)
    if centre is None:
        return
    radius = rng.uniform(5, 23)
    shape = rng.uniform(0.75, 1.3, size=3)
    if rng.random() < 0.75:
        spread = radius * rng.uniform(1.2, 2.0) * rng.uniform(0.8, 1.3, size=3)
        oedema_tissue = _WHITE if rng.random() < 0.4 else _SOLID
        _paint(labels, centre, _blob(rng, np.minimum(spread, 36).astype(np.float32), 0.3), oedema_tissue, "oedema")
    core = (radius * shape).astype(np.float32)
    _paint(labels, centre, _blob(rng, core, 0.2), _PARENCHYMA, "mass")
    if rng.random() < 0.5:
        _paint(labels, centre, _blob(rng, core * 0.8, 0.2), _PARENCHYMA, "rim")
        _paint(labels, centre, _blob(rng, core * rng.uniform(0.45, 0.75), 0.25), _PARENCHYMA, "necrosis")


def territorial_infarct(rng: np.random.Generator, labels: np.ndarray, atlas: Atlas) -> None:
    """A wedge of cortex and the white matter under it."""
    centre = _site(rng, atlas, "cortex")
    if centre is not None:
        radii = rng.uniform(8, 28) * rng.uniform(0.6, 1.3, size=3)
        _paint(labels, centre, _blob(rng, radii.astype(np.float32), 0.3), _CORTEX | _WHITE, "infarct")


def lacunes(rng: np.random.Generator, labels: np.ndarray, atlas: Atlas) -> None:
    """One to four small holes in deep grey or white matter."""
    for _ in range(int(rng.integers(1, 5))):
        zone = rng.choice(["deep grey", "deep", "infratentorial"], p=[0.5, 0.35, 0.15])
        centre = _site(rng, atlas, zone)
        if centre is not None:
            radii = rng.uniform(1.5, 6.0) * rng.uniform(0.7, 1.3, size=3)
            allowed = _DEEP_GREY | _WHITE | _WHITE_INFRA
            _paint(labels, centre, _blob(rng, radii.astype(np.float32), 0.15), allowed, "lacune")


def add_pathology(rng: np.random.Generator, atlas: Atlas, share: float = 0.6) -> np.ndarray:
    """A copy of the atlas's labels with pathology in `share` of the calls; else the labels themselves."""
    if rng.random() >= share:
        return atlas.labels
    labels = atlas.labels.copy()
    draw = rng.random()
    if draw < 0.62 or draw > 0.95:
        white_matter_lesions(rng, labels, atlas)
    if 0.55 < draw < 0.82 or draw > 0.95:
        mass(rng, labels, atlas)
    if 0.80 < draw < 0.90:
        territorial_infarct(rng, labels, atlas)
    if draw > 0.87:
        lacunes(rng, labels, atlas)
    return labels
