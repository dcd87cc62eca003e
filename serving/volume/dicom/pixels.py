"""Pixels of a stack of frames, decoded one file at a time."""

from __future__ import annotations

import numpy as np
import pydicom
from pydicom.pixels import get_decoder

from infra.errors import CorruptFile, InvalidInput, UnsupportedFormat
from serving.volume.dicom.frames import Frame
from serving.volume.dicom.headers import Header
from serving.volume.dicom.stack import Stack
from serving.volume.sources import clamped

_PIXELS = ["PixelData", "FloatPixelData", "DoubleFloatPixelData"]
_SHAPE = [
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PlanarConfiguration", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
]  # fmt: skip


def read_pixels(stack: Stack) -> np.ndarray:
    """float32 ``(i, j, k)``: column, row, slice; rescaled, larger values brighter, Fortran order.

    Raises:
        InvalidInput: some slices are stored inverted and others are not.
        CorruptFile: pixels are missing or damaged.
        UnsupportedFormat: a compression that cannot be read here.
    """
    if len({frame.inverted for frame in stack.frames}) > 1:
        raise InvalidInput(
            "Some slices are stored with white as the lowest value (MONOCHROME1) and others are not. Export the series again."
        )
    volume = np.empty(stack.shape, dtype=np.float32, order="F")
    at: Header | None = None
    pixels = np.empty(0)
    for place, frame in enumerate(stack.frames):
        if frame.header is not at:
            pixels, at = _decode(frame.header), frame.header
        picture = _cut(pixels, frame)
        if picture.shape != (frame.rows, frame.columns):
            raise _damaged()
        plane = volume[:, :, place]
        plane[...] = picture.T
        if (frame.slope, frame.intercept) != (1.0, 0.0):
            plane *= np.float32(frame.slope)
            plane += np.float32(frame.intercept)
    if stack.frames[0].inverted:
        np.subtract(volume.max(), volume, out=volume)
    return volume


def _cut(pixels: np.ndarray, frame: Frame) -> np.ndarray:
    picture = pixels[frame.index] if pixels.ndim == 3 else pixels
    if frame.tile is None:
        return picture
    top, left = frame.tile[0] * frame.rows, frame.tile[1] * frame.columns
    return picture[top : top + frame.rows, left : left + frame.columns]


def _decode(header: Header) -> np.ndarray:
    """All pictures of a file, ``(rows, columns)`` or ``(frames, rows, columns)``."""
    syntax = header.syntax
    if not syntax.is_transfer_syntax:
        raise CorruptFile("The DICOM header names no way of storing pictures that exists. The file is damaged; export the series again.")
    if syntax.is_compressed:
        try:
            readable = get_decoder(syntax).is_available
        except NotImplementedError:
            readable = False
        if not readable:
            raise UnsupportedFormat(
                f"The pictures are compressed as '{syntax.name}', which cannot be read here. "
                "Export the series without compression (for example with dcmdjpeg or gdcmconv --raw)."
            )
    try:
        with clamped(header.source) as stream:
            data = pydicom.dcmread(stream, force=True, specific_tags=[*_SHAPE, *_PIXELS])
        if not any(name in data for name in _PIXELS):
            raise _damaged()
        if getattr(data, "file_meta", None) is None or "TransferSyntaxUID" not in data.file_meta:
            data.file_meta = pydicom.dataset.FileMetaDataset()
            data.file_meta.TransferSyntaxUID = syntax
        return np.asarray(data.pixel_array)
    except CorruptFile:
        raise
    except Exception:
        raise _damaged() from None


def _damaged() -> CorruptFile:
    return CorruptFile("The pictures in the DICOM file are damaged or cut off: their data do not fit the header. Export the series again.")
