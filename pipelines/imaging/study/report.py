"""The result of a study, exactly as ``workbench analyze SCAN SCAN --study --json`` prints it."""

from __future__ import annotations

from pydantic import Field

from pipelines.imaging.report import RESEARCH_ONLY, Lesion, Part, Report
from pipelines.imaging.wording import joined, number, place


class Registration(Part):
    """Rigid registration of a sequence to the reference: ``rotation_degrees``, ``shift_mm`` (of the brain's centre), the structures
    that it rests on, and ``residual_mm``, the median distance of their centres afterwards."""

    rotation_degrees: float
    shift_mm: float
    structures: int
    residual_mm: float


class Sequence(Part):
    """One sequence: its ``name`` in this study, the folder of its own results, its report. ``registration`` is None for the
    reference, whose grid the study's segmentation has."""

    name: str
    folder: str
    registration: Registration | None
    report: Report


class StudyLesion(Lesion):
    """A lesion, once, however many sequences show it.

    ``volume_ml`` is of all its voxels in any sequence, in the reference's grid; ``center_mm`` in the reference's scanner
    coordinates (RAS+). ``shown_by`` tells the millilitres of it that each sequence marks, those that show it only.
    """

    shown_by: dict[str, float]


class Study(Part):
    """The whole: ``sentences`` tell the lesions, ``notes`` what limits them."""

    reference: str
    sequences: list[Sequence]
    lesions: list[StudyLesion]
    sentences: list[str]
    notes: list[str] = Field(default_factory=list)
    limits: str = RESEARCH_ONLY


def study_sentences(lesions: list[StudyLesion], names: list[str]) -> list[str]:
    """The lesions as sentences, each with the sequences that show it and those that do not."""
    if not lesions:
        return [f"No lesion detected in {joined(names)}."]
    load = number(sum(lesion.volume_ml for lesion in lesions), "ml")
    said = [f"{len(lesions)} lesion{'s' if len(lesions) > 1 else ''} detected, total volume {load} ml ({_counts(lesions, names)})."]
    for place_, lesion in enumerate(lesions, 1):
        shown = joined([f"{name} ({number(ml, 'ml')} ml)" for name, ml in lesion.shown_by.items()])
        absent = [name for name in names if name not in lesion.shown_by]
        rest = f", not visible in {joined(absent)}" if absent else ""
        said.append(f"Lesion {place_}: {number(lesion.volume_ml, 'ml')} ml, {place(lesion)}; visible in {shown}{rest}.")
    return said


def placement(sequence: Sequence, reference: str) -> str:
    """The registration of a sequence to the ``reference`` as a sentence."""
    found = sequence.registration
    if found is None:
        return f"{sequence.name}: reference."
    moved = f"co-registered to {reference}, rotation {found.rotation_degrees:.1f}°, translation {found.shift_mm:.1f} mm"
    return f"{sequence.name}: {moved}; residual {found.residual_mm:.1f} mm over {found.structures} structures."


def _counts(lesions: list[StudyLesion], names: list[str]) -> str:
    return ", ".join(f"{name}: {sum(name in lesion.shown_by for lesion in lesions)}" for name in names)
