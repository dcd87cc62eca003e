"""What is kept of a scan's header: a fixed list, and values only where they are known words or plain numbers.

Everything else of a DICOM header is forgotten when it has been read: names, ids, dates, places, descriptions, private
elements. (The UIDs and the geometry that a DICOM SEG needs to refer to its series are kept apart from these facts:
:mod:`serving.volume.dicom.source` says which, why, and how to have them replaced.) Free text (series description,
protocol name) is looked at for words such as "flair" to guess the sequence, and then dropped.
"""

from __future__ import annotations

import math
from typing import Any

KEPT: dict[str, str] = {
    "modality": "DICOM modality, for example MR.",
    "sequence": "What the picture is weighted for: T1w, T2w, PDw, FLAIR, or unknown; guessed from timing and description.",
    "acquisition": "2D or 3D.",
    "manufacturer": "The scanner's maker, one of a fixed list, or 'other'.",
    "field_strength_t": "Magnetic field in tesla.",
    "repetition_time_ms": "Repetition time.",
    "echo_time_ms": "Echo time.",
    "inversion_time_ms": "Inversion time.",
    "flip_angle_deg": "Flip angle.",
    "slice_thickness_mm": "Nominal slice thickness.",
    "body_part": "HEAD, BRAIN or another word of a fixed list.",
    "patient_position": "How the person lay in the scanner, for example HFS (head first, supine).",
    "slices": "How many slices the volume was stacked from.",
    "derived": "Whether the scanner or another program computed the picture from others.",
}

_MAKERS = (
    "siemens",
    "ge medical",
    "philips",
    "toshiba",
    "canon",
    "hitachi",
    "fujifilm",
    "united imaging",
    "bruker",
    "esaote",
    "neusoft",
    "mindray",
)
_BODY = (
    "HEAD",
    "BRAIN",
    "SKULL",
    "HEADNECK",
    "NECK",
    "SPINE",
    "CSPINE",
    "CHEST",
    "ABDOMEN",
    "PELVIS",
    "KNEE",
    "HEART",
    "BREAST",
    "WHOLEBODY",
)
_POSITIONS = ("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL")
_MODALITIES = (
    "MR", "CT", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OT", "SC", "SEG", "SR", "RTSTRUCT", "PR", "KO", "RTDOSE", "RTPLAN",
)  # fmt: skip


def maker(text: str) -> str:
    lowered = text.lower()
    if lowered.startswith("ge"):
        return "GE"
    return next((name.title() for name in _MAKERS if name in lowered), "other")


def body_part(text: str) -> str | None:
    word = "".join(letter for letter in text.upper() if letter.isalpha())
    return word if word in _BODY else None


def patient_position(text: str) -> str | None:
    word = text.strip().upper()
    return word if word in _POSITIONS else None


def modality(text: str) -> str:
    word = text.strip().upper()
    return word if word in _MODALITIES else "unknown"


def number(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        found = float(value[0] if isinstance(value, list | tuple) else value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return round(found, 4) if math.isfinite(found) else None


def sequence(*, text: str, repetition: float | None, echo: float | None, inversion: float | None, scanning: tuple[str, ...]) -> str:
    """Weighting from timing (milliseconds), with the description's words where timing does not decide."""
    words = text.lower().replace("-", "_").replace(" ", "_")
    if "flair" in words or "dark_fluid" in words:
        return "FLAIR"
    if inversion and inversion >= 1500 and echo and echo >= 60:
        return "FLAIR"
    for marks, name in (
        (("t1", "mprage", "mp2rage", "spgr", "bravo"), "T1w"),
        (("t2", "space", "haste"), "T2w"),
        (("pd_", "_pd", "proton"), "PDw"),
    ):
        if any(mark in words for mark in marks):
            return name
    if repetition is None or echo is None:
        return "unknown"
    if "EP" in scanning:
        return "unknown"
    if echo <= 30 and (repetition <= 900 or (inversion and inversion < 1500)):
        return "T1w"
    if repetition >= 1800:
        return "T2w" if echo >= 60 else "PDw" if echo <= 35 else "unknown"
    return "unknown"
