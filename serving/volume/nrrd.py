"""NRRD with its data attached (raw or gzip), read with pynrrd's header parser."""

from __future__ import annotations

import io
import math
from typing import Any

import nrrd
import numpy as np

from infra.errors import CorruptFile, UnsupportedFormat
from infra.settings import Imaging
from serving.volume.geometry import NO_ORIENTATION
from serving.volume.sources import Source, check_claim, read_array, read_head
from serving.volume.voxels import check_affine, check_shape, finish, refuse_type

_TYPES = {
    "signed char": "i1", "int8": "i1", "int8_t": "i1", "uchar": "u1", "unsigned char": "u1", "uint8": "u1", "uint8_t": "u1",
    "short": "i2", "short int": "i2", "signed short": "i2", "signed short int": "i2", "int16": "i2", "int16_t": "i2",
    "ushort": "u2", "unsigned short": "u2", "unsigned short int": "u2", "uint16": "u2", "uint16_t": "u2",
    "int": "i4", "signed int": "i4", "int32": "i4", "int32_t": "i4", "uint": "u4", "unsigned int": "u4", "uint32": "u4", "uint32_t": "u4",
    "longlong": "i8", "long long": "i8", "int64": "i8", "int64_t": "i8", "ulonglong": "u8", "unsigned long long": "u8", "uint64": "u8",
    "uint64_t": "u8", "float": "f4", "double": "f8",
}  # fmt: skip
_TO_RAS = {
    "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1),
}  # fmt: skip
_HEADER = 1 << 18


def read_nrrd(source: Source, *, limits: Imaging, volume_index: int | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Voxels ``(1, i, j, k)``, affine, warnings. Raises as :func:`serving.volume.nifti.read_nifti`."""
    header, start = _header(source)
    packed = _encoding(header)
    name = str(header.get("type", "")).strip().lower()
    if name not in _TYPES:
        raise refuse_type(name or "unnamed")
    dtype = np.dtype(("<" if str(header.get("endian", "little")).lower() == "little" else ">") + _TYPES[name])
    sizes = tuple(int(size) for size in np.atleast_1d(header.get("sizes", ())))
    if any(size < 1 for size in sizes):
        raise CorruptFile("The header gives impossible sizes. The file is damaged; export it again.")
    check_claim(source, need=(0 if packed else start) + math.prod(sizes) * dtype.itemsize, packed=packed)
    axes, other = _spatial_axes(header, sizes)
    order = (*axes, *other)
    grid, index, count = check_shape(tuple(sizes[axis] for axis in order), limits, volume_index)
    affine, warnings = _affine(header, axes)
    if count > 1 and other == (len(sizes) - 1,):  # whole volumes one after the other: read only the one that is wanted
        skip = index * math.prod(grid) * dtype.itemsize
        stored = read_array(
            source, packed=packed, offset=skip + (0 if packed else start), gzip_offset=start if packed else 0, dtype=dtype, shape=grid
        )
    else:
        # Interleaved: everything must pass, so everything counts against the limit.
        check_shape((*grid[:2], grid[2] * count), limits, None)
        stored = read_array(
            source, packed=packed, offset=0 if packed else start, gzip_offset=start if packed else 0, dtype=dtype, shape=sizes
        )
        stored = stored.transpose(order).reshape((*grid, count))[..., index]
    data, more = finish(stored)
    if count > 1:
        more.insert(0, f"Volume {index} of {count} was read.")
    return data, affine, warnings + more


def _header(source: Source) -> tuple[dict[str, Any], int]:
    head = read_head(source, _HEADER)
    ends = [place + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if (place := head.find(mark)) >= 0]
    if not ends:
        raise CorruptFile(
            "The NRRD header does not end (or its data are in another file). Save the scan as one .nrrd file with its data attached."
        )
    start = min(ends)
    try:
        header = dict(nrrd.read_header(io.BytesIO(head[:start])))
    except Exception:
        raise CorruptFile("The NRRD header makes no sense. The file is damaged; export it again.") from None
    if any(key.replace(" ", "") == "datafile" for key in header):
        raise UnsupportedFormat("This NRRD header points to data in another file. Save the scan as one .nrrd file with its data attached.")
    if any(int(header.get(key, 0) or 0) != 0 for key in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise UnsupportedFormat("This NRRD file asks to skip lines or bytes before its data. Save it again without that.")
    return header, start


def _encoding(header: dict[str, Any]) -> bool:
    encoding = str(header.get("encoding", "raw")).lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise UnsupportedFormat(f"NRRD data in the encoding '{encoding[:20]}' are not read. Save the scan with raw or gzip data.")
    return encoding != "raw"


def _spatial_axes(header: dict[str, Any], sizes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The three axes of space, and the others."""
    directions = header.get("space directions")
    if directions is not None and len(directions) == len(sizes):
        axes = tuple(axis for axis, row in enumerate(directions) if row is not None and np.isfinite(np.asarray(row, dtype=float)).all())
    else:
        axes = tuple(range(min(3, len(sizes))))
    if len(axes) != 3:
        axes = tuple(range(min(3, len(sizes))))
    return axes, tuple(axis for axis in range(len(sizes)) if axis not in axes)


def _affine(header: dict[str, Any], axes: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    directions, warnings = header.get("space directions"), []
    affine = np.eye(4)
    if directions is None:
        spacings = np.atleast_1d(header.get("spacings", np.ones(3)))
        affine[:3, :3] = np.diag([float(spacings[axis]) if axis < len(spacings) and np.isfinite(spacings[axis]) else 1.0 for axis in axes])
        warnings.append(NO_ORIENTATION)
    else:
        try:
            affine[:3, :3] = np.array([np.asarray(directions[axis], dtype=float) for axis in axes]).T
            affine[:3, 3] = np.asarray(header.get("space origin", np.zeros(3)), dtype=float)
        except (TypeError, ValueError, IndexError):
            raise CorruptFile("The NRRD header's directions or origin make no sense. Export the scan again.") from None
        flip = _TO_RAS.get(str(header.get("space", "")).strip().lower())
        if flip is None:
            warnings.append(NO_ORIENTATION)
        affine[:3] *= np.array(flip or (-1, -1, 1), dtype=float)[:, None]
    if wrong := check_affine(affine):
        raise CorruptFile(f"The scan's stored orientation {wrong}. Export it again.")
    return affine, warnings
