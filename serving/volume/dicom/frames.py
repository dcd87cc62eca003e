"""Frames: one slice each, with its place in space, whatever kind of DICOM file it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from infra.errors import CorruptFile, InvalidInput, TooLarge
from infra.settings import Imaging
from serving.volume.dicom.headers import Header, words
from serving.volume.dicom.mosaic import Tiling, tiling_of


@dataclass(frozen=True)
class Frame:
    """One slice.

    Attributes:
        header: the file it is in.
        index: its number in the file.
        tile: row and column of its tile in a mosaic, else None.
        rows, columns: its size in pixels.
        position: mm (DICOM's LPS) of its first pixel's centre.
        row, column: unit vectors (LPS) along which the column index, and the row index, grow.
        spacing: mm between rows, mm between columns.
        slope, intercept: rescale.
        order: sorts the volumes of a series (echo, time, acquisition, instance).
        echo: echo time in ms; -1 where it is not known.
        group: frames of different groups are never stacked together (phase and magnitude, stack).
    """

    header: Header
    index: int
    tile: tuple[int, int] | None
    rows: int
    columns: int
    position: np.ndarray
    row: np.ndarray
    column: np.ndarray
    spacing: tuple[float, float]
    slope: float
    intercept: float
    order: tuple[float, ...]
    echo: float
    group: tuple[str, ...]

    @property
    def inverted(self) -> bool:
        """Whether the lowest value is white (PS3.3 C.7.6.3.1.2)."""
        return str(self.header.data.get("PhotometricInterpretation", "")).strip().upper() == "MONOCHROME1"

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.column)


def frames_of(header: Header, limits: Imaging) -> list[Frame]:
    """All frames of one file, from its header alone.

    Raises:
        CorruptFile: sizes or places are missing or impossible.
        TooLarge: it claims more voxels than are read.
    """
    data = header.data
    rows, columns = _size(data.get("Rows")), _size(data.get("Columns"))
    count = max(1, int(_number(data.get("NumberOfFrames"), 1)))
    if rows < 1 or columns < 1:
        raise CorruptFile("The DICOM header gives a picture without rows or columns. The file is damaged; export it again.")
    if rows * columns * count > limits.max_voxels:
        raise TooLarge(
            f"The DICOM header claims {rows * columns * count / 1e6:,.0f} million voxels, "
            f"and up to {limits.max_voxels / 1e6:,.0f} million are read. "
            "Send a smaller scan (the limit is the setting imaging.max_voxels)."
        )
    if int(_number(data.get("SamplesPerPixel"), 1)) != 1:
        raise InvalidInput(
            "This DICOM holds colour pictures (a screenshot or a rendered map), not a scanner's intensities. Send the original series."
        )
    if "PerFrameFunctionalGroupsSequence" in data:
        return _enhanced(header, rows, columns, count)
    if count > 1:
        raise InvalidInput("This DICOM is a film of pictures without places in space. Send the original series.")
    tiling = tiling_of(data, rows, columns)
    return _mosaic(header, tiling) if tiling else [_classic(header, rows, columns)]


def _classic(header: Header, rows: int, columns: int) -> Frame:
    data = header.data
    return Frame(
        header, 0, None, rows, columns,
        *_plane(data.get("ImagePositionPatient"), data.get("ImageOrientationPatient"), data.get("PixelSpacing")),
        *_rescale(data),
        order=_order(data),
        echo=_number(data.get("EchoTime"), -1.0),
        group=(str(data.get("ComplexImageComponent", "")), _component(data.get("ImageType"))),
    )  # fmt: skip


def _mosaic(header: Header, tiling: Tiling) -> list[Frame]:
    data = header.data
    position, row, column, spacing = _plane(data.get("ImagePositionPatient"), data.get("ImageOrientationPatient"), data.get("PixelSpacing"))
    # The stored place is that of a slice as large as the whole mosaic: move it to the tile's own corner.
    position = (
        position
        + row * spacing[1] * (tiling.mosaic_columns - tiling.columns) / 2
        + column * spacing[0] * (tiling.mosaic_rows - tiling.rows) / 2
    )
    normal = tiling.normal if tiling.normal is not None else np.cross(row, column)
    step = _number(data.get("SpacingBetweenSlices"), 0.0) or _number(data.get("SliceThickness"), 0.0)
    if step <= 0:
        raise CorruptFile("The DICOM mosaic does not say how far its slices are apart. Export it from the scanner again.")
    return [
        Frame(header, 0, divmod(slice_, tiling.across), tiling.rows, tiling.columns,
              position + normal * step * slice_, row, column, spacing, *_rescale(data), order=_order(data),
              echo=_number(data.get("EchoTime"), -1.0), group=())
        for slice_ in range(tiling.count)
    ]  # fmt: skip


def _enhanced(header: Header, rows: int, columns: int, count: int) -> list[Frame]:
    shared = _first(header.data.get("SharedFunctionalGroupsSequence")) or Dataset()
    items = header.data.PerFrameFunctionalGroupsSequence
    if len(items) != count:
        raise CorruptFile(f"The DICOM header tells of {count} frames and describes {len(items)}. The file is damaged; export it again.")
    frames = []
    for index, item in enumerate(items):

        def find(sequence: str, keyword: str, item: Dataset = item) -> Any:
            for place in (item, shared):
                group = _first(place.get(sequence))
                if group is not None and keyword in group:
                    return group.get(keyword)
            return None

        rescale = (
            _first(item.get("PixelValueTransformationSequence")) or _first(shared.get("PixelValueTransformationSequence")) or header.data
        )
        frames.append(
            Frame(
                header, index, None, rows, columns,
                *_plane(
                    find("PlanePositionSequence", "ImagePositionPatient"),
                    find("PlaneOrientationSequence", "ImageOrientationPatient"),
                    find("PixelMeasuresSequence", "PixelSpacing"),
                ),
                *_rescale(rescale),
                order=(_number(find("FrameContentSequence", "TemporalPositionIndex"), 0.0), float(index)),
                echo=_number(find("MREchoSequence", "EffectiveEchoTime"), -1.0),
                group=(
                    str(find("MRImageFrameTypeSequence", "ComplexImageComponent")),
                    str(find("FrameContentSequence", "StackID")),
                ),
            )
        )  # fmt: skip
    return frames


def _plane(position: Any, orientation: Any, spacing: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float]]:
    place, directions, distances = _vector(position, 3), _vector(orientation, 6), _vector(spacing, 2)
    if place is None or directions is None or distances is None:
        raise InvalidInput(
            "The DICOM does not say where its slices lie (position, orientation or pixel spacing is missing), so nothing can be measured. "
            "Send the original series from the scanner, not a screenshot or a secondary capture."
        )
    row, column = directions[:3], directions[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.5 or abs(float(row @ column)) > 0.05 * lengths[0] * lengths[1] or min(distances) <= 0:
        raise CorruptFile("The DICOM header's orientation or spacing makes no sense. The file is damaged; export it again.")
    return place, row / lengths[0], column / lengths[1], (float(distances[0]), float(distances[1]))


def _rescale(data: Dataset) -> tuple[float, float]:
    slope = _number(data.get("RescaleSlope"), 1.0)
    return (slope if slope != 0 else 1.0), _number(data.get("RescaleIntercept"), 0.0)


def _order(data: Dataset) -> tuple[float, ...]:
    return tuple(_number(data.get(name), 0.0) for name in ("TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber"))


def _component(image_type: Any) -> str:
    found = set(words(image_type))
    for mark, name in (({"P", "PHASE"}, "phase"), ({"R", "REAL"}, "real"), ({"I", "IMAGINARY"}, "imaginary")):
        if found & mark:
            return name
    return ""


def _first(sequence: Any) -> Dataset | None:
    return sequence[0] if sequence is not None and len(sequence) else None


def _vector(value: Any, count: int) -> np.ndarray | None:
    try:
        found = np.array([float(part) for part in value], dtype=float)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and np.isfinite(found).all() else None


def _size(value: Any) -> int:
    """Rows or columns; 0 where that is not one number."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _number(value: Any, default: float) -> float:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if len(value) else None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return default
    return found if math.isfinite(found) else default
