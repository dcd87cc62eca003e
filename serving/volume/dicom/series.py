"""Which series are in a heap of DICOM files, and which of them is the structural scan."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom.uid import UID

from infra.errors import InvalidInput, UnsupportedFormat, WorkbenchError
from infra.settings import Imaging
from serving.volume import facts
from serving.volume.dicom.frames import Frame, frames_of
from serving.volume.dicom.headers import Header, words
from serving.volume.dicom.stack import magnitude, volumes_of
from serving.volume.dicom.tolerance import alike, interleaved, same_echo, same_plane, without_copies


@dataclass(frozen=True)
class Series:
    """Frames of one series, orientation and size.

    Attributes:
        frames: all of them.
        facts: what is kept of the headers (``serving.volume.facts.KEPT``).
        localizer: a short scout scan.
        notes: sentences on what was left out of it.
    """

    frames: list[Frame]
    facts: dict[str, Any]
    localizer: bool
    order: tuple[float, int]
    problem: str | None = None
    notes: list[str] = field(default_factory=list)

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


def find_series(headers: list[Header], limits: Imaging) -> tuple[list[Series], list[str]]:
    """All series with pictures in space, in the scanner's order, and notes on files that were left out or have broken UIDs.

    Frames are one series where they have one SeriesInstanceUID, size, orientation, pixel size and frame of reference, each
    within the tolerances of :mod:`serving.volume.dicom.tolerance`; series of one sequence that interleave at one spacing
    are one, too.

    Raises:
        WorkbenchError: there is none; the sentence is the first reason that was met.
    """
    frames, reason, notes = _all_frames(headers, limits)
    if not frames:
        raise reason or InvalidInput("There is no DICOM picture in what was sent. Send a zip of one MR series.")
    groups: dict[tuple, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[(str(frame.header.data.get("SeriesInstanceUID", "")), frame.rows, frame.columns)].append(frame)
    parts = [part for group in groups.values() for plane in alike(group, same_plane) for part in _by_reference(plane)]
    parts, merged = _without_interleaving(parts)
    notes += merged
    found = [_series(part) for part in parts]
    return sorted(found, key=lambda series: series.order), notes


def _all_frames(headers: list[Header], limits: Imaging) -> tuple[list[Frame], WorkbenchError | None, list[str]]:
    """All frames of MR pictures, the first reason for leaving a file out, and notes."""
    frames: list[Frame] = []
    reason: WorkbenchError | None = None
    seen: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    copies = other = unplaced = shared = 0
    for header in headers:
        instance, mark = str(header.data.get("SOPInstanceUID", "")), _mark(header)
        if instance and mark in seen[instance]:
            copies += 1
            continue
        shared += bool(instance and seen[instance])
        seen[instance].add(mark)
        kind = facts.modality(str(header.data.get("Modality", "")))
        if kind not in ("MR", "unknown"):
            other += 1
            reason = reason or UnsupportedFormat(
                f"The DICOM says that this is {_MODALITY.get(kind, kind)}, not magnetic resonance (modality {kind}). "
                "The analysis reads brain MRI; send an MR series."
            )
            continue
        try:
            frames += frames_of(header, limits)
        except WorkbenchError as error:
            unplaced += 1
            reason = reason or error
    notes = [
        _counted(other, "is not an MR image", "are not MR images", "was skipped", "were skipped"),
        _counted(unplaced, "cannot be placed in a volume", "cannot be placed in a volume", "was skipped", "were skipped"),
        _counted(copies, "was sent twice", "were sent twice", "was read once", "were read once"),
        *_broken_uids(headers, shared),
    ]
    return frames, reason, [note for note in notes if note]


def _counted(count: int, one: str, many: str, did_one: str, did_many: str) -> str:
    """``2 files are not MR images and were skipped.``; nothing for none."""
    return f"{count} file{'s' if count > 1 else ''} {many if count > 1 else one} and {did_many if count > 1 else did_one}." if count else ""


def _mark(header: Header) -> tuple[str, ...]:
    """What tells two instances apart that have one UID."""
    names = ("ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber", "AcquisitionNumber", "EchoTime", "Rows", "Columns")
    return tuple(str(header.data.get(name, "")) for name in names)


def _broken_uids(headers: list[Header], shared: int) -> list[str]:
    """Notes that name UIDs which are missing, not valid, or given to several slices."""
    notes = []
    for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        values = [str(header.data.get(name, "")) for header in headers]
        missing = values.count("")
        invalid = sum(bool(value) and not UID(value).is_valid for value in values)
        if missing and name != "FrameOfReferenceUID":
            notes.append(f"{name} is missing in {missing} of {len(headers)} files.")
        if invalid:
            notes.append(f"{name} is not a valid UID in {invalid} of {len(headers)} files.")
    if shared:
        notes.append(f"SOPInstanceUID is the same in several slices ({shared} more than once); they were told apart by position.")
    return notes


def _by_reference(frames: list[Frame]) -> list[list[Frame]]:
    """Frames by frame of reference: positions in different ones cannot be compared. One UID a slice is an archive's mistake."""
    groups: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[str(frame.header.data.get("FrameOfReferenceUID", ""))].append(frame)
    return list(groups.values()) if all(len(group) > 1 for group in groups.values()) else [frames]


def _without_interleaving(parts: list[list[Frame]]) -> tuple[list[list[Frame]], list[str]]:
    """Groups of one sequence and plane that interleave, merged; and a note on each merge."""
    parts = sorted(parts, key=lambda part: (facts.number(part[0].header.data.get("SeriesNumber")) or 0.0, part[0].header.number))
    found: list[list[Frame]] = []
    notes = []
    for family in alike(parts, _one_sequence):
        for indices in interleaved(family):
            whole = [frame for index in indices for frame in family[index]]
            found.append(whole)
            if len(indices) > 1:
                notes.append(f"{len(indices)} groups of slices interleave at one spacing and were read as one series.")
    return found, notes


def _one_sequence(one: list[Frame], other: list[Frame]) -> bool:
    """Whether two groups of frames may be parts of one acquisition, by everything but their positions."""
    first, second = one[0], other[0]
    if (first.rows, first.columns, first.group) != (second.rows, second.columns, second.group) or not same_plane(first, second):
        return False
    if len(one) > 1 and len(other) > 1:
        names = ("StudyInstanceUID", "FrameOfReferenceUID")
        uids = [(str(first.header.data.get(name, "")), str(second.header.data.get(name, ""))) for name in names]
        if any(a and b and a != b for a, b in uids):
            return False
    times = [(facts.number(f.header.data.get(name)) for f in (first, second)) for name in ("RepetitionTime", "InversionTime", "FlipAngle")]
    close = all(a == b or (a is not None and b is not None and abs(a - b) <= 0.02 * max(abs(a), abs(b))) for a, b in times)
    return close and same_echo(first.echo, second.echo)


def _series(frames: list[Frame]) -> Series:
    frames, copies = without_copies(frames)
    notes = [f"{copies} slice{'s' if copies > 1 else ''} had an identical copy, which was left out."] if copies else []
    header = frames[0].header
    kept, localizer = facts_of(header)
    return Series(frames, kept, localizer, (facts.number(header.data.get("SeriesNumber")) or 0.0, header.number), notes=notes)


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
    "PR": "a presentation state", "KO": "a selection of images", "RTDOSE": "a dose map", "RTPLAN": "a treatment plan",
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
