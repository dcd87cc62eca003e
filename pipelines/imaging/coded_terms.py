"""Coded terms for the labels of a segmentation: SNOMED CT, as DICOM PS3.16 lists them (CID 7140, 7150, 7151).

A code says the structure; its side is a modifier. Where SNOMED has no term as narrow as FreeSurfer's (ventral DC), the
nearest wider one is used, and the segment's label tells the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.imaging.labels import CSF, LABELS, LESION

Term = tuple[str, str]  # SNOMED CT code, meaning

ANATOMY: Term = ("91723000", "Anatomical Structure")
SUBSTANCE: Term = ("91720002", "Body Substance")
ABNORMAL: Term = ("49755003", "Morphologically Abnormal Structure")
SIDES: dict[str, Term] = {"left": ("7771000", "Left"), "right": ("24028007", "Right")}

_STRUCTURES: dict[str, Term] = {
    "cerebral white matter": ("68523003", "Cerebral White Matter"),
    "cerebral cortex": ("40146001", "Cerebral Cortex"),
    "lateral ventricle": ("66720007", "Lateral Ventricle"),
    "inferior lateral ventricle": ("53118009", "Inferior Horn of Lateral Ventricle"),
    "cerebellum white matter": ("33060004", "Cerebellar White Matter"),
    "cerebellum cortex": ("25991003", "Cerebellar Cortex"),
    "thalamus": ("42695009", "Thalamus"),
    "caudate": ("11000004", "Caudate Nucleus"),
    "putamen": ("89278009", "Putamen"),
    "pallidum": ("14738005", "Globus Pallidus"),
    "hippocampus": ("5366008", "Hippocampus"),
    "amygdala": ("4958002", "Amygdala"),
    "accumbens": ("427667007", "Nucleus Accumbens"),
    "ventral DC": ("87563008", "Diencephalon"),
    "third ventricle": ("49841001", "Third Ventricle"),
    "fourth ventricle": ("35918002", "Fourth Ventricle"),
    "brain stem": ("119238007", "Brain Stem"),
    "cerebrospinal fluid": ("65216001", "Cerebrospinal Fluid"),
    "lesion": ("52988006", "Lesion"),
}


@dataclass(frozen=True)
class CodedLabel:
    """What a label is: its category, its type, and its side where it has one."""

    category: Term
    type: Term
    side: Term | None


def coded(label: int) -> CodedLabel:
    """The terms of a label id. Raises KeyError for one that there is not."""
    found = LABELS[label]
    category = ABNORMAL if label == LESION else SUBSTANCE if label == CSF else ANATOMY
    return CodedLabel(category, _STRUCTURES[found.name], SIDES[found.side] if found.side else None)
