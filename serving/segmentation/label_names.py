"""From a label's name, as bundles write it, to FreeSurfer ids (left, right)."""

from __future__ import annotations

import re

from serving.segmentation.labels import LESION_ID, STRUCTURES

_ALIASES = {
    "inf lat vent": "inferior lateral ventricle",
    "inferior lateral vent": "inferior lateral ventricle",
    "temporal horn": "inferior lateral ventricle",
    "cortex": "cerebral cortex",
    "white matter": "cerebral white matter",
    "wm": "cerebral white matter",
    "thalamus proper": "thalamus",
    "accumbens area": "accumbens",
    "nucleus accumbens": "accumbens",
    "globus pallidus": "pallidum",
    "caudate nucleus": "caudate",
    "3rd ventricle": "third ventricle",
    "4th ventricle": "fourth ventricle",
    "brainstem": "brain stem",
    "ventraldc": "ventral dc",
    "ventral diencephalon": "ventral dc",
    "cerebellar white matter": "cerebellum white matter",
    "cerebellar cortex": "cerebellum cortex",
    "cerebrospinal fluid": "csf",
}
_LESIONS = (
    "lesion",
    "tumor",
    "tumour",
    "edema",
    "oedema",
    "infarct",
    "stroke",
    "hypointens",
    "hyperintens",
    "necro",
    "metastas",
    "enhancing",
)
_BACKGROUND = ("background", "unknown", "air", "everything else")
_SIDES = {"left": "left", "lh": "left", "l": "left", "right": "right", "rh": "right", "r": "right"}


def ids_of(name: str) -> tuple[int, int] | None:
    """(left, right) FreeSurfer ids; equal where the name tells the side or the structure has none; (0, 0) for the
    background; None where the name is not known. Every kind of lesion is 77."""
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).split()
    sides = {_SIDES[word] for word in words if word in _SIDES}
    plain = " ".join(word for word in words if word not in _SIDES)
    if not plain or plain in _BACKGROUND:
        return 0, 0
    if any(mark in plain for mark in _LESIONS):
        return LESION_ID, LESION_ID
    plain = _ALIASES.get(plain, plain)
    found = next((s for s in STRUCTURES if s.name.lower() == plain and s.left), None)
    if found is None:
        return None
    if len(sides) == 1 and found.lateral:
        id = found.left if sides == {"left"} else found.right
        return id, id
    return found.left, found.right
