"""DICOM headers from files that may be broken or hostile: only the elements that are needed, never a stack trace."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass

import pydicom
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.multival import MultiValue
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from infra.errors import CorruptFile, UnsupportedFormat
from serving.volume.sources import Source, clamped

# pydicom's own words quote values (names, ids, UIDs): they must reach no log.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom(\..*)?")

TAGS = [
    "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID",
    "Modality", "Manufacturer", "SeriesDescription", "ProtocolName", "SequenceName",
    "BodyPartExamined", "ScanningSequence", "SequenceVariant", "MRAcquisitionType", "SliceThickness", "RepetitionTime", "EchoTime",
    "InversionTime", "MagneticFieldStrength", "SpacingBetweenSlices", "FlipAngle", "SeriesInstanceUID", "SeriesNumber", "AcquisitionNumber",
    "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "TemporalPositionIdentifier", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleIntercept", "RescaleSlope", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "VolumetricProperties", "ComplexImageComponent", "PatientPosition", "SpecificCharacterSet",
    0x00190010, 0x0019100A, 0x00290010, 0x00291010,  # Siemens: images in a mosaic, CSA image header
]  # fmt: skip

# Storage classes that hold pictures: MR, enhanced MR (and legacy converted), CT, enhanced CT, secondary capture.
_PICTURES = {f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("4", "4.1", "4.4", "2", "2.1", "7")}
_DICOMDIR = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class Header:
    """One file's header; ``number`` is the file's place in what was sent (its name is forgotten)."""

    number: int
    source: Source
    data: Dataset
    syntax: UID


class NoImage(Exception):
    """A DICOM object without pixels, such as a structured report or a presentation state."""


def read_header(source: Source, number: int) -> Header | None:
    """The header, or None for the directory of a disc (DICOMDIR).

    Raises:
        NoImage: an object without pixels.
        CorruptFile: it cannot be parsed.
        UnsupportedFormat: its transfer syntax hides how large it is.
    """
    with clamped(source) as stream:
        try:
            preamble = read_preamble(stream, True)
            meta = _meta(stream) if preamble else Dataset()
            stored_as = str(meta.get("MediaStorageSOPClassUID", ""))
            syntax = UID(str(meta.get("TransferSyntaxUID", "") or "1.2.840.10008.1.2"))
        except Exception:
            raise _broken() from None
        if syntax == DeflatedExplicitVRLittleEndian:
            raise UnsupportedFormat("This DICOM file is deflated as a whole, which is not read here. Export it without compression.")
        if stored_as == _DICOMDIR:
            return None
        stream.seek(0)
        try:
            data = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(TAGS))
            if "Rows" not in data or "Columns" not in data:
                kinds = {stored_as, str(data.get("SOPClassUID", ""))} - {""}
                if not kinds or kinds & _PICTURES:
                    raise ValueError  # it should have a picture: cut off before it
                raise NoImage
            # Values are parsed when they are first used: use them here, where a broken one is expected.
            for element in data.iterall():
                _ = element.value
            syntax = UID(str(data.file_meta.get("TransferSyntaxUID", syntax)) if hasattr(data, "file_meta") else syntax)
        except NoImage:
            raise
        except Exception:
            raise _broken() from None
    return Header(number, source, data, syntax)


def words(value: object) -> list[str]:
    """The texts of an element with several values, in capitals; a broken header may hold a number or nothing instead."""
    parts = value if isinstance(value, list | tuple | MultiValue) else () if value is None else (value,)
    return [str(part).upper() for part in parts]


def _meta(stream) -> Dataset:
    """The file's own group (transfer syntax), read before anything is believed or inflated."""
    return read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, vr, length: tag.group != 2)


def _broken() -> CorruptFile:
    return CorruptFile("The DICOM file is damaged: its header cannot be read to the end. Export it from the scanner or the archive again.")
