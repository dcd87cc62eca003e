"""Numbers from labels. Pure functions: labels and affine in, measurements out.

All volumes are millilitres: voxels times the volume of one voxel (the determinant of the affine, so sheared and
oblique grids count right). Definitions of single measures stand beside them and travel with them into the report.

Confidence of a structure is the mean posterior of its voxels, times the agreement of its hard with its soft volume
(the smaller over the larger, where the model gives a soft one), halved where it meets the border of the field of view,
times the quality score of the scan. A sum's confidence is the mean of its parts', weighted by volume; a ratio's is the
lower of its two. These figures stand in the JSON, the tables, the page and the PDF; a sentence has the lowest of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pipelines.imaging.labels import (
    BRAIN,
    CEREBELLUM,
    CEREBRAL_CORTEX,
    CEREBRAL_WHITE,
    CSF,
    DEEP_GREY,
    GREY,
    HEMISPHERES,
    LABELS,
    LESION,
    PAIRS,
    VENTRICLES,
    WHITE,
)
from pipelines.imaging.report import Lesion, LesionStatus, Measurement, ReportQuality
from pipelines.imaging.wording import FLAIR_CONTRAST
from serving.roles.segmentation import Structure

# Cerebrospinal fluid around the brain is part of the intracranial volume; a segmentation that marks almost none
# (a skull-stripped scan, or a model without that class) gives no intracranial volume at all.
_LEAST_CSF = 0.03

_COUNT = "Connected groups of lesion voxels (26 neighbours) of at least three voxels and 0.01 ml."
_LOAD = "All voxels labelled as lesion (77)."
ZONES = ("periventricular", "juxtacortical", "deep", "infratentorial")


def label_volumes(labels: np.ndarray, affine: np.ndarray) -> dict[int, float]:
    """Millilitres by id, for the ids that occur (0 left out)."""
    counts = np.bincount(labels.ravel(order="K").astype(np.int64, copy=False), minlength=1)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    return {int(id): float(counts[id]) * voxel_ml for id in np.flatnonzero(counts) if id}


def measure(
    volumes: Mapping[int, float],
    structures: Mapping[int, Structure],
    quality: ReportQuality,
    lesions: Iterable[Lesion],
    lesion_status: LesionStatus = "measured",
) -> list[Measurement]:
    """Every measurement of one scan, in the report's order.

    - ``<structure> volume``: volume of one label (ml).
    - ``<structure> asymmetry index``: (left - right) / mean of both, in %; positive where the left is larger.
    - ``brain volume``: all tissue, with lesions, without ventricles and cerebrospinal fluid.
    - ``grey matter volume``: cerebral and cerebellar cortex, thalamus, caudate, putamen, pallidum, hippocampus, amygdala, accumbens.
    - ``white matter volume``: cerebral and cerebellar white matter, without lesions.
    - ``ventricle volume``: lateral and inferior lateral of both sides, third, fourth.
    - ``intracranial volume``: brain, ventricles and cerebrospinal fluid; only where fluid around the brain is labelled.
    - ``ventricle-to-brain ratio``, ``brain to intracranial ratio``: % of brain volume, and of intracranial volume.
    - ``grey to white matter ratio``: no unit.
    - ``lesion count``, ``lesion load``, ``lesion load <zone>``: see :mod:`pipelines.imaging.lesions`; none where lesions
      were not assessed.
    - ``FLAIR contrast``: 0 where lesions cannot be measured on this scan; left out where they were.
    - ``mean label confidence``, ``segmentation quality``: 0 to 1.
    """
    sure = {id: structure_confidence(structure) * quality.score for id, structure in structures.items()}
    found = [
        Measurement(
            name=f"{label.full} volume", label=id, side=label.side, value=_round(volumes.get(id, 0.0)), unit="ml",
            definition=f"Number of voxels with label {id} times the voxel volume.", confidence=_confidence((id,), volumes, sure),
        )
        for id, label in LABELS.items()
        if id != LESION
    ]  # fmt: skip
    found += _totals(volumes, sure)
    found += _asymmetry(volumes, sure)
    if lesion_status != "not assessed":
        found += _lesion_load(volumes, sure, list(lesions))
    if lesion_status != "measured":
        found.append(_plain(FLAIR_CONTRAST, 0.0, "0-1", "1 where fluid is dark and cortex about as bright as white matter.", None))
    everything = _confidence(tuple(volumes), volumes, sure)
    if everything is not None:
        found.append(_plain("mean label confidence", everything, "0-1", "Mean confidence of all labels, weighted by volume.", everything))
    found.append(
        _plain("segmentation quality", quality.score, "0-1", "The segmentation model's estimate for the whole scan.", quality.score)
    )
    return found


def structure_confidence(structure: Structure) -> float:
    """0 to 1, before the quality of the scan; see the module's docstring."""
    value = structure.confidence
    if structure.expected_ml is not None and max(structure.expected_ml, structure.volume_ml) > 0:
        value *= min(structure.expected_ml, structure.volume_ml) / max(structure.expected_ml, structure.volume_ml)
    if structure.touches_edge:
        value *= 0.5
    return float(np.clip(value, 0.0, 1.0))


def asymmetry(left: float, right: float) -> float | None:
    """(left - right) / mean of both x 100 (%); None where one side is missing."""
    return 200.0 * (left - right) / (left + right) if left > 0 and right > 0 else None


def _totals(volumes: Mapping[int, float], sure: Mapping[int, float]) -> list[Measurement]:
    sums = {
        "brain volume": (BRAIN, "All tissue including lesions, excluding ventricles and cerebrospinal fluid."),
        "grey matter volume": (GREY, "Cerebral and cerebellar cortex, deep grey nuclei, hippocampus and amygdala."),
        "white matter volume": (WHITE, "Cerebral and cerebellar white matter, excluding lesions."),
        "cerebral cortex volume": (CEREBRAL_CORTEX, "Cerebral cortex of both sides."),
        "cerebral white matter volume": (CEREBRAL_WHITE, "Cerebral white matter of both sides, excluding lesions."),
        "deep grey matter volume": (DEEP_GREY, "Thalamus, caudate, putamen, pallidum, hippocampus, amygdala and accumbens of both sides."),
        "cerebellum volume": (CEREBELLUM, "Cortex and white matter of both cerebellar hemispheres."),
        "ventricle volume": (VENTRICLES, "Lateral and inferior lateral ventricles of both sides, third and fourth ventricle."),
    }
    found = [_sum(name, ids, text, volumes, sure) for name, (ids, text) in sums.items()]
    for side, ids in HEMISPHERES.items():
        item = _sum(
            f"{side} cerebral hemisphere volume", ids, f"All {side} cerebral labels, excluding ventricles and lesions.", volumes, sure
        )
        found.append(item.model_copy(update={"side": side}))
    by_name = {item.name: item for item in found}
    brain, ventricles = by_name["brain volume"], by_name["ventricle volume"]
    grey, white = by_name["grey matter volume"], by_name["white matter volume"]
    if volumes.get(CSF, 0.0) >= _LEAST_CSF * brain.value > 0:
        inside = _sum(
            "intracranial volume", (*BRAIN, *VENTRICLES, CSF), "Brain, ventricles and the cerebrospinal fluid around them.", volumes, sure
        )
        found += [inside, _ratio("brain to intracranial ratio", brain, inside, "%", "Brain volume / intracranial volume x 100.")]
    if brain.value > 0:
        found.append(_ratio("ventricle-to-brain ratio", ventricles, brain, "%", "Ventricle volume / brain volume x 100."))
    if white.value > 0:
        found.append(_ratio("grey to white matter ratio", grey, white, "ratio", "Grey matter volume / white matter volume."))
    return found


def _asymmetry(volumes: Mapping[int, float], sure: Mapping[int, float]) -> list[Measurement]:
    text = "(Left − right) / mean of both × 100; positive: left larger."
    pairs: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {name: ((left,), (right,)) for name, (left, right) in PAIRS.items()}
    pairs["cerebral hemisphere"] = (HEMISPHERES["left"], HEMISPHERES["right"])
    found = []
    for name, (left, right) in pairs.items():
        value = asymmetry(sum(volumes.get(id, 0.0) for id in left), sum(volumes.get(id, 0.0) for id in right))
        if value is not None:
            sides = [_confidence(left, volumes, sure), _confidence(right, volumes, sure)]
            known = [side for side in sides if side is not None]
            found.append(_plain(f"{name} asymmetry index", value, "%", text, min(known) if known else None))
    return found


def _lesion_load(volumes: Mapping[int, float], sure: Mapping[int, float], lesions: list[Lesion]) -> list[Measurement]:
    confidence = _confidence((LESION,), volumes, sure)
    load = volumes.get(LESION, 0.0)
    found = [
        _plain("lesion count", float(len(lesions)), "count", _COUNT, confidence),
        Measurement(name="lesion load", label=LESION, value=_round(load), unit="ml", definition=_LOAD, confidence=confidence),
    ]  # fmt: skip
    white = sum(volumes.get(id, 0.0) for id in CEREBRAL_WHITE)
    if load and white:
        text = "Lesion load / (cerebral white matter + lesion load) x 100."
        found.append(_plain("lesion load of white matter", 100 * load / (white + load), "%", text, confidence))
    for zone in ZONES if lesions else ():
        inside = [lesion for lesion in lesions if lesion.zone == zone]
        found.append(_plain(f"lesion count {zone}", float(len(inside)), "count", f"Lesions in the zone '{zone}'.", confidence))
        found.append(
            _plain(f"lesion load {zone}", sum(lesion.volume_ml for lesion in inside), "ml", f"Volume of the {zone} lesions.", confidence)
        )
    for number, lesion in enumerate(lesions, 1):
        text = f"Volume of lesion {number} of the list, largest first."
        item = _plain(f"lesion {number} volume", lesion.volume_ml, "ml", text, confidence)
        found.append(item.model_copy(update={"side": lesion.side}))
    return found


def _sum(name: str, ids: Iterable[int], text: str, volumes: Mapping[int, float], sure: Mapping[int, float]) -> Measurement:
    ids = tuple(ids)
    return _plain(name, sum(volumes.get(id, 0.0) for id in ids), "ml", text, _confidence(ids, volumes, sure))


def _ratio(name: str, upper: Measurement, lower: Measurement, unit: str, text: str) -> Measurement:
    known = [item.confidence for item in (upper, lower) if item.confidence is not None]
    return _plain(name, (100.0 if unit == "%" else 1.0) * upper.value / lower.value, unit, text, min(known) if known else None)


def _confidence(ids: Iterable[int], volumes: Mapping[int, float], sure: Mapping[int, float]) -> float | None:
    """Mean confidence, weighted by volume, of the ids that have one; None where none has."""
    known = [(volumes.get(id, 0.0), sure[id]) for id in ids if id in sure and volumes.get(id, 0.0) > 0]
    weight = sum(volume for volume, _ in known)
    return _round(sum(volume * value for volume, value in known) / weight) if weight else None


def _plain(name: str, value: float, unit: str, text: str, confidence: float | None) -> Measurement:
    return Measurement(
        name=name, value=_round(value), unit=unit, definition=text, confidence=None if confidence is None else _round(confidence)
    )


def _round(value: float) -> float:
    return round(float(value), 4)
