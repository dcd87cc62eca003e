"""What tissues look like: per-class Gaussian intensities of a random or an MRI-like contrast.

A share of the images gets purely random intensities (SynthSeg's domain randomisation); the rest
follows the orderings of T1, T2, FLAIR and PD, jittered, because those are what is dropped in.
Intensities are relative: air is 0 and the brightest brain tissue is about 1.
"""

from __future__ import annotations

import numpy as np

from serving.segmentation.labels import INDEX, NAMES, class_of_id
from serving.segmentation.synthetic.atlas import COMPACT

# name: T1, T2, FLAIR, PD
_TISSUE: dict[str, tuple[float, float, float, float]] = {
    "CSF": (0.16, 1.00, 0.12, 0.90),
    "cerebral white matter": (0.86, 0.36, 0.52, 0.60),
    "cerebral cortex": (0.56, 0.54, 0.68, 0.76),
    "lateral ventricle": (0.15, 1.00, 0.10, 0.90),
    "inferior lateral ventricle": (0.20, 0.95, 0.16, 0.88),
    "cerebellum white matter": (0.83, 0.38, 0.54, 0.60),
    "cerebellum cortex": (0.56, 0.55, 0.66, 0.74),
    "thalamus": (0.70, 0.45, 0.62, 0.70),
    "caudate": (0.61, 0.48, 0.66, 0.73),
    "putamen": (0.64, 0.44, 0.62, 0.71),
    "pallidum": (0.76, 0.30, 0.52, 0.62),
    "third ventricle": (0.18, 0.98, 0.14, 0.90),
    "fourth ventricle": (0.18, 0.98, 0.14, 0.90),
    "brain stem": (0.77, 0.40, 0.57, 0.63),
    "hippocampus": (0.58, 0.55, 0.70, 0.75),
    "amygdala": (0.57, 0.55, 0.70, 0.75),
    "accumbens": (0.60, 0.50, 0.66, 0.73),
    "ventral DC": (0.74, 0.40, 0.58, 0.66),
    "choroid plexus": (0.38, 0.80, 0.45, 0.82),
}
_PATHOLOGY: dict[str, tuple[float, float, float, float]] = {
    "wm lesion": (0.58, 0.78, 1.00, 0.95),
    "mass": (0.52, 0.72, 0.85, 0.85),
    "necrosis": (0.25, 0.95, 0.45, 0.90),
    "rim": (0.95, 0.65, 0.88, 0.82),
    "oedema": (0.56, 0.85, 0.98, 0.92),
    "infarct": (0.42, 0.85, 0.92, 0.92),
    "lacune": (0.25, 0.95, 0.40, 0.92),
}
CONTRASTS = ("T1", "T2", "FLAIR", "PD", "random")
_CONTRAST_SHARE = (0.42, 0.12, 0.20, 0.05, 0.21)
_WHITE = INDEX["cerebral white matter"]
_CORTEX = INDEX["cerebral cortex"]


def draw_contrast(rng: np.random.Generator) -> tuple[str, np.ndarray, np.ndarray, bool]:
    """Name, mean and standard deviation per compact id (float32), and whether ids 25 and 57 (white-
    matter lesions present in some maps) are drawn as lesions (else they look like white matter)."""
    name = str(rng.choice(CONTRASTS, p=_CONTRAST_SHARE))
    means = np.zeros(len(NAMES) + len(_PATHOLOGY), dtype=np.float64)
    keys = list(NAMES) + list(_PATHOLOGY)
    if name == "random":
        means[:] = rng.uniform(0.0, 1.0, size=len(means))
        _keep_neighbours_alike(rng, means)
    else:
        column = CONTRASTS.index(name)
        strength = rng.uniform(0.55, 1.25)  # how strong the contrast between tissues is
        for i, key in enumerate(keys):
            template = _TISSUE.get(key) or _PATHOLOGY.get(key)
            if template:
                means[i] = 0.6 + strength * (template[column] - 0.6) + rng.normal(0, 0.035)
        if name == "T1" and rng.random() < 0.5:  # contrast medium or none: the rim is dull
            means[keys.index("rim")] = means[keys.index("mass")] + rng.normal(0, 0.05)
    _separate_lesions(rng, means, keys, name)
    spread = rng.uniform(0.01, 0.06 if name != "random" else 0.10, size=len(means))
    spread[len(NAMES) :] *= rng.uniform(1.0, 2.5)
    return (name, *_to_compact(rng, means, spread, keys))


def _keep_neighbours_alike(rng: np.random.Generator, means: np.ndarray) -> None:
    """In half of the random contrasts the fluids share a grey value, and white matter and grey matter
    do, as they do in every real sequence."""
    if rng.random() < 0.5:
        fluids = ["CSF", "lateral ventricle", "inferior lateral ventricle", "third ventricle", "fourth ventricle"]
        greys = ["cerebral cortex", "cerebellum cortex", "hippocampus", "amygdala", "accumbens", "caudate", "putamen"]
        whites = ["cerebral white matter", "cerebellum white matter", "brain stem", "ventral DC"]
        for group in (fluids, greys, whites):
            for key in group:
                means[INDEX[key]] = means[INDEX[group[0]]] + rng.normal(0, 0.05)


def _separate_lesions(rng: np.random.Generator, means: np.ndarray, keys: list[str], name: str) -> None:
    """A lesion that cannot be told from the tissue around it teaches nothing: keep a minimum distance."""
    white = means[_WHITE]
    for key in _PATHOLOGY:
        i = keys.index(key)
        if name != "random":
            means[i] = white + (means[i] - white) * rng.uniform(0.5, 1.3)
        if abs(means[i] - white) < 0.12:
            means[i] = white + np.sign(means[i] - white + 1e-6) * rng.uniform(0.12, 0.3)


def _to_compact(rng: np.random.Generator, means: np.ndarray, spread: np.ndarray, keys: list[str]) -> tuple[np.ndarray, np.ndarray, bool]:
    lesions_shown = bool(rng.random() < 0.5)
    mean = np.zeros(len(COMPACT), dtype=np.float32)
    deviation = np.zeros(len(COMPACT), dtype=np.float32)
    for i, value in enumerate(COMPACT):
        if isinstance(value, str):
            index = keys.index(value)
        elif value in (25, 57, 77):
            index = keys.index("wm lesion") if lesions_shown else _WHITE
        else:
            index = class_of_id(value)
        mean[i], deviation[i] = means[index], spread[index]
        if isinstance(value, int) and value >= 500:  # skull, fat, muscle, dura: anything
            mean[i] = rng.uniform(0.0, 1.2) if rng.random() < 0.7 else rng.uniform(0.0, 0.12)
            deviation[i] = rng.uniform(0.01, 0.14)
        if value in (30, 62):  # vessels
            mean[i] = rng.uniform(0.0, 1.0)
    air_is_dark = rng.random() < 0.9
    mean[0] = rng.uniform(0.0, 0.03) if air_is_dark else rng.uniform(0.0, 0.6)
    deviation[0] = rng.uniform(0.0, 0.02) if air_is_dark else rng.uniform(0.0, 0.05)
    return np.clip(mean, 0, 1.6), deviation, lesions_shown
