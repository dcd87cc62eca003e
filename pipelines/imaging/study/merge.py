"""Co-registration of the sequences of one visit, from the files that each analysis left in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from infra.errors import InvalidInput
from pipelines.imaging.labels import LESION
from pipelines.imaging.lesions import describe_lesion, lesion_groups
from pipelines.imaging.report import Report
from pipelines.imaging.study.report import Registration, Sequence, Study, StudyLesion, study_sentences
from pipelines.imaging.study.rigid import DOUBTFUL_MM, Alignment, align
from serving.volume import write_labels

FILES = ("study.json", "study_segmentation.nii.gz")
LEAST_SHARE = 0.1
"""Share of a lesion's voxels that a sequence must mark to be said to show it: less is the neighbour's edge."""


@dataclass(frozen=True)
class _Part:
    """One analysed sequence: its name, its report, its labels and their grid."""

    name: str
    folder: Path
    report: Report
    image: Any
    labels: np.ndarray

    @property
    def affine(self) -> np.ndarray:
        return np.asarray(self.image.affine)

    @property
    def coarsest_mm(self) -> float:
        return float(np.linalg.norm(self.affine[:3, :3], axis=0).max())


def merge_study(folders: Mapping[str, Path], out: Path, *, missing: Mapping[str, str] | None = None) -> Study:
    """Co-register the sequences and report their lesions once; leaves :data:`FILES` in ``out``.

    The reference is the sequence with the finest grid (of its coarsest axis), the first given of equals. A lesion is a
    connected group of voxels (:mod:`pipelines.imaging.lesions`) that any sequence marks, in the reference's grid.

    Args:
        folders: a sequence's name to the folder with its ``segmentation.nii.gz`` and ``report.json``.
        missing: sequences of the visit that could not be analysed, and why: told in the study's notes.

    Raises:
        InvalidInput: fewer than two sequences, or one that does not show the same head; the sentence names it.
    """
    if len(folders) < 2:
        raise InvalidInput("A study needs at least two sequences. Analyse a single scan without --study.")
    parts = [_load(name, folder) for name, folder in folders.items()]
    reference = min(parts, key=lambda part: part.coarsest_mm)
    masks: dict[str, np.ndarray] = {}
    sequences, notes = [], [f"{name} is not part of this study: {reason}" for name, reason in (missing or {}).items()]
    for part in parts:
        registration = None
        if part is reference:
            masks[part.name] = part.labels == LESION
        else:
            alignment = _aligned(part, reference)
            registration = _told(alignment, part)
            if alignment.residual_mm > DOUBTFUL_MM:
                apart = f"{alignment.residual_mm:.1f} mm apart"
                notes.append(
                    f"Structures of {part.name} and {reference.name} are {apart} after registration. Check that both show the same person."
                )
            masks[part.name], outside = _brought(part, reference, alignment)
            if outside >= 0.005:
                notes.append(f"{outside:.2f} ml of lesion in {part.name} are outside the field of view of {reference.name} (not counted).")
        sequences.append(Sequence(name=part.name, folder=part.folder.name, registration=registration, report=part.report))
        if part.report.quality.verdict == "limited":
            notes.append(f"Quality of {part.name} is limited; its lesions are less certain.")
    labels = reference.labels.copy()
    labels[np.logical_or.reduce(list(masks.values()))] = LESION
    lesions = _lesions(labels, reference.affine, masks)
    names = [part.name for part in parts]
    study = Study(
        reference=reference.name, sequences=sequences, lesions=lesions, sentences=study_sentences(lesions, names), notes=notes
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_labels(out / "study_segmentation.nii.gz", labels, reference.image.header)
    (out / "study.json").write_text(study.model_dump_json(indent=1), encoding="utf-8")
    return study


def _load(name: str, folder: Path) -> _Part:
    report = Report.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))
    image: Any = nib.load(folder / "segmentation.nii.gz")
    return _Part(name, folder, report, image, np.asarray(image.dataobj))


def _aligned(part: _Part, reference: _Part) -> Alignment:
    try:
        return align(part.labels, part.affine, reference.labels, reference.affine)
    except InvalidInput as error:
        raise InvalidInput(f"Registration of {part.name} to {reference.name} failed. {error.message}") from error


def _told(alignment: Alignment, part: _Part) -> Registration:
    middle = part.affine[:3, :3] @ np.argwhere(part.labels > 0).mean(axis=0) + part.affine[:3, 3]
    return Registration(
        rotation_degrees=round(alignment.rotation_degrees, 2), shift_mm=round(alignment.shift_mm(middle), 2),
        structures=alignment.structures, residual_mm=alignment.residual_mm,
    )  # fmt: skip


def _brought(part: _Part, reference: _Part, alignment: Alignment) -> tuple[np.ndarray, float]:
    """The sequence's lesions in the reference's grid, and the millilitres of them that lie outside it."""
    lesion = part.labels == LESION
    mask = np.zeros(reference.labels.shape, dtype=bool)
    if not lesion.any():
        return mask, 0.0
    there = np.linalg.inv(reference.affine) @ alignment.matrix @ part.affine  # voxel of the sequence to voxel of the reference
    places = np.argwhere(lesion) @ there[:3, :3].T + there[:3, 3]
    # Only around the lesions: elsewhere there is nothing to interpolate, and a whole grid of 256^3 takes seconds.
    reach = np.abs(there[:3, :3]).sum(axis=1)
    low = np.maximum(np.floor(places.min(axis=0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(places.max(axis=0) + reach) + 1, mask.shape).astype(int)
    if (low < high).all():
        corner = np.eye(4)
        corner[:3, 3] = low
        box = ndimage.affine_transform(
            lesion.astype(np.float32), np.linalg.inv(there) @ corner, output_shape=tuple(high - low), order=1, output=np.float32
        )
        mask[tuple(slice(*ends) for ends in zip(low, high, strict=True))] = box >= 0.5
    outside = ((places < -0.5) | (places > np.array(mask.shape) - 0.5)).any(axis=1).sum()
    return mask, float(outside) * abs(float(np.linalg.det(part.affine[:3, :3]))) / 1000.0


def _lesions(labels: np.ndarray, affine: np.ndarray, masks: Mapping[str, np.ndarray]) -> list[StudyLesion]:
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    found = []
    for voxels in lesion_groups(labels, affine):
        marked = {name: int(mask[tuple(voxels.T)].sum()) for name, mask in masks.items()}
        most = max(marked.values())
        shown = {name: round(count * voxel_ml, 4) for name, count in marked.items() if count == most or count >= LEAST_SHARE * len(voxels)}
        found.append(StudyLesion(**describe_lesion(labels, affine, voxels).model_dump(), shown_by=shown))
    return found
