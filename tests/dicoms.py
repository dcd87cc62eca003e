"""DICOM files made from an array and an affine (RAS+): classic slices, one enhanced file, one mosaic. Full of identifiers to lose."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SECRETS = ("Zaphod^Beeblebrox", "ID-4711-SECRET", "19520311", "Betelgeuse General", "Dr Trillian", "STUDY-DESC-Zaphod")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def new_dataset(
    sop_class: str = "1.2.840.10008.5.1.4.1.1.4", *, series_uid: str = "1.2.3.4", description: str = "t1_mprage_Zaphod"
) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.PatientBirthDate, data.InstitutionName = SECRETS[:4]
    data.ReferringPhysicianName, data.StudyDescription = SECRETS[4:]
    data.StudyDate = data.SeriesDate = "20240229"
    data.Modality, data.Manufacturer, data.SeriesDescription = "MR", "SIEMENS", description
    data.StudyInstanceUID, data.SeriesInstanceUID, data.SeriesNumber = "1.2.3", series_uid, 3
    data.MagneticFieldStrength, data.EchoTime, data.RepetitionTime, data.InversionTime, data.FlipAngle = 3.0, 2.9, 2300.0, 900.0, 9.0
    data.ImageType, data.MRAcquisitionType, data.ScanningSequence = ["ORIGINAL", "PRIMARY", "M", "NORM"], "3D", "GR"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    return data


def geometry(affine: np.ndarray) -> tuple[list[float], list[float], np.ndarray, np.ndarray]:
    """Pixel spacing, orientation, origin, step between slices (LPS) of an array (column, row, slice)."""
    lps = RAS_TO_LPS @ affine
    across, down = np.linalg.norm(lps[:3, 0]), np.linalg.norm(lps[:3, 1])
    return [float(down), float(across)], [*(lps[:3, 0] / across), *(lps[:3, 1] / down)], lps[:3, 3], lps[:3, 2]


def _text(values: Any) -> list[str]:
    return [f"{float(value):.10g}"[:16] for value in values]


def classic(array: np.ndarray, affine: np.ndarray, **extra: Any) -> list[FileDataset]:
    """One dataset a slice; ``array`` is uint16 ``(column, row, slice)``."""
    spacing, orientation, origin, step = geometry(affine)
    found = []
    for number in range(array.shape[2]):
        data = new_dataset(**{key: extra[key] for key in ("series_uid", "description") if key in extra})
        data.Rows, data.Columns = array.shape[1], array.shape[0]
        data.PixelSpacing, data.ImageOrientationPatient = _text(spacing), _text(orientation)
        data.ImagePositionPatient = _text(origin + step * number)
        data.InstanceNumber, data.SliceThickness = number + 1, f"{np.linalg.norm(step):.6g}"
        data.PixelData = array[:, :, number].T.astype("<u2").tobytes()
        for key, value in extra.items():
            if key not in ("series_uid", "description"):
                setattr(data, key, value)
        found.append(data)
    return found


def enhanced(array: np.ndarray, affine: np.ndarray) -> FileDataset:
    spacing, orientation, origin, step = geometry(affine)
    data = new_dataset("1.2.840.10008.5.1.4.1.1.4.1")
    data.Rows, data.Columns, data.NumberOfFrames = array.shape[1], array.shape[0], array.shape[2]
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = _text(spacing), "1"
    plane.ImageOrientationPatient = _text(orientation)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    items = []
    for number in range(array.shape[2]):
        item, position, values = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = _text(origin + step * number)
        values.RescaleSlope, values.RescaleIntercept = "2", "-3"
        item.PlanePositionSequence, item.PixelValueTransformationSequence = Sequence([position]), Sequence([values])
        items.append(item)
    data.PerFrameFunctionalGroupsSequence = Sequence(items)
    data.PixelData = np.ascontiguousarray(array.transpose(2, 1, 0)).astype("<u2").tobytes()
    return data


def mosaic(array: np.ndarray, affine: np.ndarray) -> FileDataset:
    spacing, orientation, origin, step = geometry(affine)
    columns, rows, count = array.shape
    across = math.ceil(math.sqrt(count))
    picture = np.zeros((rows * across, columns * across), dtype="<u2")
    for number in range(count):
        line, place = divmod(number, across)
        picture[line * rows : (line + 1) * rows, place * columns : (place + 1) * columns] = array[:, :, number].T
    data = new_dataset()
    data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    data.Rows, data.Columns = picture.shape
    data.PixelSpacing, data.ImageOrientationPatient = _text(spacing), _text(orientation)
    right, down = np.array(orientation[:3]), np.array(orientation[3:])
    corner = origin - right * spacing[1] * (picture.shape[1] - columns) / 2 - down * spacing[0] * (picture.shape[0] - rows) / 2
    data.ImagePositionPatient = _text(corner)
    data.SliceThickness = data.SpacingBetweenSlices = f"{np.linalg.norm(step):.6g}"
    block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", count)
    data.PixelData = picture.tobytes()
    return data


def save(data: FileDataset, path: Path) -> Path:
    data.save_as(path, enforce_file_format=True)
    return path
