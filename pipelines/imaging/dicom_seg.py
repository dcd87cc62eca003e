"""``segmentation.dcm``: the labels as a DICOM Segmentation that refers to the series they were drawn on (highdicom).

Binary segments, one a label that occurs, in the order of their ids: what every viewer reads. Each has a coded term, a
side, FreeSurfer's colour, and the model that drew it. The patient module is empty (:mod:`serving.volume.dicom.source`):
an archive that has the series finds the patient through the study's UID.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from pipelines.imaging.coded_terms import Term, coded
from pipelines.imaging.labels import LABELS
from pipelines.imaging.report import ReportModel
from serving.volume.dicom.source import SourceNote

MAKER, PROGRAM = "Workbench", "Workbench segmentation"
_ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"


def write_dicom_seg(path: Path, labels: np.ndarray, note: SourceNote, model: ReportModel, *, version: str) -> None:
    """Write the file.

    Args:
        labels: FreeSurfer ids ``(i, j, k)``: column, row, slice of the series.
        note: the series.
        model: who drew it.
        version: the program's.

    Raises:
        ValueError: there is nothing to write (no label), or the grid cannot be a DICOM one (it is sheared).
    """
    present = [int(id) for id in np.flatnonzero(np.bincount(labels.ravel(order="K").astype(np.int64))) if int(id) in LABELS]
    if not present:
        raise ValueError("there is no label in it")
    numbers = np.zeros(max(present) + 1, dtype=np.uint8)
    numbers[present] = np.arange(1, len(present) + 1)
    planes = numbers[np.where(labels < len(numbers), labels, 0)].transpose(2, 1, 0)
    seg = Segmentation(
        source_images=_sources(note),
        pixel_array=hd.Volume(planes, _affine(note), "PATIENT", frame_of_reference_uid=_reference(note)),
        segmentation_type="BINARY",
        segment_descriptions=[_segment(number, id, model) for number, id in enumerate(present, 1)],
        series_instance_uid=hd.UID(), series_number=9000, sop_instance_uid=hd.UID(), instance_number=1,
        manufacturer=MAKER, manufacturer_model_name=PROGRAM, software_versions=version, device_serial_number="0",
        content_label="BRAIN_STRUCTURES", content_description=f"{model.name} {model.version}"[:64], series_description="Brain structures",
    )  # fmt: skip
    _tell_deidentified(seg)
    seg.save_as(path, enforce_file_format=True)


def _affine(note: SourceNote) -> np.ndarray:
    """(slice, row, column) to LPS mm."""
    return (np.diag([-1.0, -1.0, 1.0, 1.0]) @ note.affine)[:, [2, 1, 0, 3]]


def _reference(note: SourceNote) -> str:
    # Without a frame of reference of its own the series is one by itself.
    return note.frame_of_reference or note.series


def _segment(number: int, id: int, model: ReportModel) -> SegmentDescription:
    label, terms = LABELS[id], coded(id)
    algorithm = hd.AlgorithmIdentificationSequence(
        name=model.name[:64], family=codes.cid7162.ArtificialIntelligence, version=f"{model.version} {model.digest[:12]}"[:64]
    )
    segment = SegmentDescription(
        segment_number=number, segment_label=label.full[:1].upper() + label.full[1:], segmented_property_category=_code(terms.category),
        segmented_property_type=_code(terms.type), algorithm_type="AUTOMATIC", algorithm_identification=algorithm,
        tracking_uid=hd.UID(), tracking_id=f"FreeSurfer {id} {label.freesurfer}"[:64],
        display_color=hd.color.CIELabColor.from_rgb(*label.colour),
    )  # fmt: skip
    if terms.side:
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_code(terms.side)]
    return segment


def _code(term: Term) -> CodedConcept:
    return CodedConcept(value=term[0], scheme_designator="SCT", meaning=term[1])


def _sources(note: SourceNote) -> Sequence[Dataset]:
    """The series' instances as far as a segmentation refers to them: UIDs and geometry, no pixels, no patient."""
    if note.sop_class == _ENHANCED or note.slices[0].frame:
        return [_enhanced(note)]
    if (note.stored_rows, note.stored_columns) != (note.rows, note.columns):
        return [_instance(note, note.slices[0].instance)]  # a mosaic: one picture, whose tiles are no frames
    found = []
    for number, slice_ in enumerate(note.slices, 1):
        data = _instance(note, slice_.instance)
        data.InstanceNumber = number
        data.ImagePositionPatient = _text(slice_.position)
        found.append(data)
    return found


def _instance(note: SourceNote, uid: str) -> Dataset:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = note.sop_class, uid
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = note.study, note.series, _reference(note)
    data.PatientID = data.PatientName = data.PatientBirthDate = data.PatientSex = ""
    data.AccessionNumber = data.StudyID = data.StudyDate = data.StudyTime = ""
    data.Modality, data.Rows, data.Columns = note.modality, note.stored_rows, note.stored_columns
    data.ImageOrientationPatient, data.PixelSpacing = _text(note.orientation), _text(note.spacing)
    data.ImagePositionPatient = _text(note.slices[0].position)
    step = np.array(note.slices[1].position) - np.array(note.slices[0].position)
    data.SliceThickness = _text([float(np.linalg.norm(step))])[0]
    return data


def _enhanced(note: SourceNote) -> Dataset:
    """The one instance of many frames; frames that are not of this volume lie where its first one does."""
    data = _instance(note, note.slices[0].instance)
    thickness = data.SliceThickness
    for name in ("ImageOrientationPatient", "PixelSpacing", "ImagePositionPatient", "SliceThickness"):
        delattr(data, name)
    by_frame = {slice_.frame: slice_.position for slice_ in note.slices}
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = _text(note.spacing), thickness
    plane.ImageOrientationPatient = _text(note.orientation)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    frames = []
    for number in range(1, max(by_frame) + 1):
        item, position = Dataset(), Dataset()
        position.ImagePositionPatient = _text(by_frame.get(number, note.slices[0].position))
        item.PlanePositionSequence = [position]
        frames.append(item)
    data.NumberOfFrames = len(frames)
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    return data


def _text(values: Sequence[float]) -> list[str]:
    """Decimal strings of at most 16 letters."""
    return [f"{float(value):.10g}"[:16] for value in values]


def _tell_deidentified(seg: Any) -> None:
    """Say in the file how it was de-identified (PS3.16 CID 7050)."""
    seg.PatientIdentityRemoved = "YES"
    seg.DeidentificationMethod = "Made without the source's identifiers; UIDs and geometry alone are kept"
    seg.DeidentificationMethodCodeSequence = [
        CodedConcept("113100", "DCM", "Basic Application Confidentiality Profile"),
        CodedConcept("113110", "DCM", "Retain UIDs Option"),
    ]
    today = datetime.now().astimezone()
    seg.SeriesDate, seg.SeriesTime = today.strftime("%Y%m%d"), today.strftime("%H%M%S")
