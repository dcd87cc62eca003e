"""What is kept of a DICOM series so that a DICOM SEG can refer to it: UIDs and geometry, nothing else.

De-identification follows the Basic Profile of PS3.15 Annex E, with two of its options: *Retain UIDs*, since a
segmentation that does not name the instances it was drawn on cannot be laid over them in an archive, and the geometry,
which is what a segmentation is. Patient, study description, dates, people, places, device and private elements are not
kept. Where UIDs may not leave the scanner's network either (``imaging.keep_dicom_uids = false``), each is replaced by
one made from it and a secret of this workbench: references stay consistent among themselves, and lead nowhere else.

UIDs stand in this note and in ``segmentation.dcm`` alone: on no page, in no log, in no report.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from serving.volume.dicom.frames import Frame
from serving.volume.dicom.stack import LPS_TO_RAS, Stack

UIDS = ("study", "series", "frame_of_reference")


@dataclass(frozen=True)
class SourceSlice:
    """One slice of the volume: its instance (UID), its frame there (from 1; 0 for an instance of one picture), and the
    LPS mm of its first pixel's centre."""

    instance: str
    frame: int
    position: tuple[float, float, float]


@dataclass(frozen=True)
class SourceNote:
    """A series that a volume was stacked from.

    Attributes:
        study, series, frame_of_reference, sop_class: UIDs; empty where the file has none.
        modality: for example MR.
        rows, columns: of a slice, in pixels.
        stored_rows, stored_columns: of the stored picture (a mosaic holds many slices).
        orientation: LPS direction of a row's pixels, then of a column's.
        spacing: mm between rows, mm between columns.
        slices: in the order of the volume's third axis.
    """

    study: str
    series: str
    frame_of_reference: str
    sop_class: str
    modality: str
    rows: int
    columns: int
    stored_rows: int
    stored_columns: int
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    slices: tuple[SourceSlice, ...]

    @property
    def affine(self) -> np.ndarray:
        """Voxel (column, row, slice) to scanner mm, RAS+: that of the volume."""
        positions = np.array([slice_.position for slice_ in self.slices], dtype=float)
        affine = np.eye(4)
        affine[:3, 0] = np.array(self.orientation[:3]) * self.spacing[1]
        affine[:3, 1] = np.array(self.orientation[3:]) * self.spacing[0]
        affine[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
        affine[:3, 3] = positions[0]
        return LPS_TO_RAS @ affine

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SourceNote:
        slices = tuple(SourceSlice(str(s["instance"]), int(s["frame"]), tuple(s["position"])) for s in data["slices"])
        return cls(**{**data, "slices": slices, "orientation": tuple(data["orientation"]), "spacing": tuple(data["spacing"])})

    def remapped(self, secret: str) -> SourceNote:
        """The same with every UID replaced by one that only ``secret`` leads to."""

        def other(uid: str) -> str:
            if not uid:
                return ""
            return f"2.25.{int.from_bytes(hmac.new(secret.encode(), uid.encode(), hashlib.sha256).digest()[:15], 'big')}"

        said = {name: other(getattr(self, name)) for name in UIDS}
        slices = tuple(SourceSlice(other(s.instance), s.frame, s.position) for s in self.slices)
        return SourceNote(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, **said, "slices": slices})


def note_of(stack: Stack) -> SourceNote | None:
    """The note of a stacked volume; None where the files carry no UIDs to refer to, or several carry one."""
    first = stack.frames[0]
    data = first.header.data
    study, series = str(data.get("StudyInstanceUID", "")), str(data.get("SeriesInstanceUID", ""))
    instances = [str(frame.header.data.get("SOPInstanceUID", "")) for frame in stack.frames]
    files = {frame.header.number for frame in stack.frames}
    if not study or not series or not all(instances) or len(set(instances)) < len(files):
        return None
    return SourceNote(
        study, series, str(data.get("FrameOfReferenceUID", "")), str(data.get("SOPClassUID", "")), str(data.get("Modality", "MR")),
        first.rows, first.columns, int(data.Rows), int(data.Columns), tuple(map(float, (*first.row, *first.column))), first.spacing,
        tuple(SourceSlice(uid, _number(frame), _place(frame)) for uid, frame in zip(instances, stack.frames, strict=True)),
    )  # fmt: skip


def _number(frame: Frame) -> int:
    return frame.index + 1 if "PerFrameFunctionalGroupsSequence" in frame.header.data else 0


def _place(frame: Frame) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in frame.position)
    return x, y, z
