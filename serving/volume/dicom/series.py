"""Which series are in a heap of DICOM files, and which of them is the structural scan."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infra.errors import InvalidInput, UnsupportedFormat, WorkbenchError
from infra.settings import Imaging
from serving.volume import facts
from serving.volume.dicom.frames import Frame, frames_of
from serving.volume.dicom.headers import Header, words
from serving.volume.dicom.stack import magnitude, volumes_of


@dataclass(frozen=True)
class Series:
    """Frames of one series, orientation and size.

    Attributes:
        frames: all of them.
        facts: what is kept of the headers (``serving.volume.facts.KEPT``).
        localizer: a short scout scan.
    """

    frames: list[Frame]
    facts: dict[str, Any]
    localizer: bool
    order: tuple[float, int]
    problem: str | None = None
    _volumes: list[int] = field(default_factory=list)

    def describe(self, number: int) -> dict[str, Any]:
        """One choice of several, for a person or a program; no identifier in it."""
        first = self.frames[0]
        slices, volumes = self.depth()
        return {
            "series": number, "sequence": self.facts["sequence"], "slices": slices, "volumes": volumes,
            "rows": first.rows, "columns": first.columns,
            "spacing_mm": [round(first.spacing[1], 3), round(first.spacing[0], 3), round(self.step(), 3)],
        }  # fmt: skip

    def depth(self) -> tuple[int, int]:
        """Slices in a volume, and volumes."""
        try:
            volumes = volumes_of(magnitude(self.frames)[0])
        except InvalidInput:
            return len(self.frames), 1
        return len(volumes[0]), len(volumes)

    def step(self) -> float:
        """Millimetres between slices."""
        places = np.unique(np.round([float(frame.position @ self.frames[0].normal) for frame in self.frames], 2))
        return float(np.median(np.diff(places))) if len(places) > 1 else float(self.facts.get("slice_thickness_mm") or 0.0)

    def score(self) -> tuple[float, ...]:
        """Larger is a better structural scan of a head: whole volumes of MR first, then fine voxels, then T1."""
        slices, volumes = self.depth()
        first = self.frames[0]
        extent = min(slices * self.step(), first.rows * first.spacing[0], first.columns * first.spacing[1])
        edge = max(self.step(), *first.spacing)
        return (
            float(self.problem is None and self.facts["modality"] == "MR"),
            float(not self.localizer and extent >= 90),
            float(volumes == 1),
            float(not self.facts.get("derived")),
            -round(edge, 1),
            float({"T1w": 2, "FLAIR": 1, "T2w": 1}.get(self.facts["sequence"], 0)),
            float(slices),
        )


def find_series(headers: list[Header], limits: Imaging) -> list[Series]:
    """All series with pictures in space, in the scanner's order.

    Raises:
        WorkbenchError: there is none; the sentence is the first reason that was met.
    """
    groups: dict[tuple, list[Frame]] = defaultdict(list)
    reason: WorkbenchError | None = None
    seen: set[str] = set()
    for header in headers:
        instance = str(header.data.get("SOPInstanceUID", "")) or f"file {header.number}"
        if instance in seen:
            continue
        seen.add(instance)
        kind = facts.modality(str(header.data.get("Modality", "")))
        if kind not in ("MR", "unknown"):
            reason = reason or UnsupportedFormat(
                f"The DICOM says that this is {_MODALITY.get(kind, kind)}, not magnetic resonance (modality {kind}). "
                "The analysis reads brain MRI; send an MR series."
            )
            continue
        try:
            frames = frames_of(header, limits)
        except WorkbenchError as error:
            reason = reason or error
            continue
        for frame in frames:
            direction = tuple(np.round(np.concatenate([frame.row, frame.column]), 2) + 0.0)
            groups[(str(header.data.get("SeriesInstanceUID", "")), frame.rows, frame.columns, direction)].append(frame)
    if not groups:
        raise reason or InvalidInput("There is no DICOM picture in what was sent. Send a zip of one MR series.")
    found = [_series(frames) for frames in groups.values()]
    return sorted(found, key=lambda series: series.order)


def _series(frames: list[Frame]) -> Series:
    header = frames[0].header
    kept, localizer = facts_of(header)
    return Series(frames, kept, localizer, (facts.number(header.data.get("SeriesNumber")) or 0.0, header.number))


def facts_of(header: Header) -> tuple[dict[str, Any], bool]:
    """The kept facts of a header, and whether it is a localizer."""
    data = header.data
    shared = data.get("SharedFunctionalGroupsSequence")
    timing = _nested(shared, "MRTimingAndRelatedParametersSequence")
    modifier = _nested(shared, "MRModifierSequence")
    per_frame = data.get("PerFrameFunctionalGroupsSequence")
    echoes = _nested(per_frame, "MREchoSequence") or _nested(shared, "MREchoSequence")
    measures = _nested(per_frame, "PixelMeasuresSequence") or _nested(shared, "PixelMeasuresSequence")
    repetition = facts.number(data.get("RepetitionTime") or _get(timing, "RepetitionTime"))
    echo = facts.number(data.get("EchoTime") or _get(echoes, "EffectiveEchoTime"))
    inversion = facts.number(data.get("InversionTime") or _get(modifier, "InversionTimes"))
    text = " ".join(str(data.get(name, "")) for name in ("SeriesDescription", "ProtocolName", "SequenceName"))
    image_type = words(data.get("ImageType"))
    kept: dict[str, Any] = {
        "modality": facts.modality(str(data.get("Modality", ""))),
        "sequence": facts.sequence(
            text=text + " " + " ".join(image_type[2:3]), repetition=repetition, echo=echo, inversion=inversion,
            scanning=tuple(words(data.get("ScanningSequence"))),
        ),
        "manufacturer": facts.maker(str(data.get("Manufacturer", ""))),
        "acquisition": {"2D": "2D", "3D": "3D"}.get(str(data.get("MRAcquisitionType", ""))),
        "field_strength_t": facts.number(data.get("MagneticFieldStrength")),
        "repetition_time_ms": repetition,
        "echo_time_ms": echo,
        "inversion_time_ms": inversion,
        "flip_angle_deg": facts.number(data.get("FlipAngle") or _get(timing, "FlipAngle")),
        "slice_thickness_mm": facts.number(data.get("SliceThickness") or _get(measures, "SliceThickness")),
        "body_part": facts.body_part(str(data.get("BodyPartExamined", ""))),
        "patient_position": facts.patient_position(str(data.get("PatientPosition", ""))),
        "derived": bool({"DERIVED", "SECONDARY", "MIP", "PROJECTION IMAGE"} & set(image_type)),
    }  # fmt: skip
    lowered = text.lower()
    localizer = "LOCALIZER" in image_type or any(
        mark in lowered for mark in ("localizer", "localiser", "scout", "survey", "3-plane", "3 plane")
    )
    return {name: value for name, value in kept.items() if value is not None}, localizer


_MODALITY = {
    "CT": "computed tomography", "PT": "positron emission tomography", "NM": "nuclear medicine", "US": "ultrasound",
    "CR": "an X-ray picture",
    "DX": "an X-ray picture", "MG": "mammography", "XA": "angiography", "SC": "a screenshot", "SEG": "a segmentation", "SR": "a report",
    "RTSTRUCT": "a treatment plan's contours", "OT": "something else", "RF": "fluoroscopy",
}  # fmt: skip


def _nested(sequence: Any, name: str) -> Any:
    try:
        inner = sequence[0].get(name) if sequence is not None and len(sequence) else None
        return inner[0] if inner is not None and len(inner) else None
    except (TypeError, IndexError, AttributeError):
        return None


def _get(data: Any, name: str) -> Any:
    return data.get(name) if data is not None else None
