"""FreeSurfer's MGH and MGZ."""

from __future__ import annotations

import math
import struct

import numpy as np

from infra.errors import CorruptFile
from infra.settings import Imaging
from serving.volume.geometry import NO_ORIENTATION
from serving.volume.sources import Source, check_claim, read_array, read_head, unpacked_head
from serving.volume.voxels import check_affine, check_shape, finish, refuse_type

_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}
_DATA = 284


def read_mgh(source: Source, *, packed: bool, limits: Imaging, volume_index: int | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Voxels ``(1, i, j, k)``, affine, warnings. Raises as :func:`serving.volume.nifti.read_nifti`."""
    head = (unpacked_head if packed else read_head)(source)
    if len(head) < _DATA:
        raise CorruptFile("The file ends inside its header. It is damaged or incomplete; copy it again.")
    _, *shape, kind, _dof, oriented = struct.unpack(">7ih", head[:30])
    if kind not in _TYPES:
        raise refuse_type(f"number {kind}")
    dtype = np.dtype(_TYPES[kind])
    check_claim(source, need=_DATA + math.prod(shape) * dtype.itemsize, packed=packed)
    grid, index, count = check_shape(tuple(shape), limits, volume_index)
    affine = _affine(head, grid, oriented=oriented == 1)
    stored = read_array(source, packed=packed, offset=_DATA + index * math.prod(grid) * dtype.itemsize, dtype=dtype, shape=grid)
    data, warnings = finish(stored)
    if count > 1:
        warnings.insert(0, f"Volume {index} of {count} was read.")
    if oriented != 1:
        warnings.insert(0, NO_ORIENTATION)
    return data, affine, warnings


def _affine(head: bytes, grid: tuple[int, int, int], *, oriented: bool) -> np.ndarray:
    """Voxel to scanner mm: the header keeps spacing, direction cosines and the centre's place."""
    numbers = np.array(struct.unpack(">15f", head[30:90]), dtype=float)
    spacing, cosines, centre = numbers[:3], numbers[3:12].reshape(3, 3).T, numbers[12:15]
    if not oriented:
        # FreeSurfer's rule for files that do not say: coronal slices, 1 mm, centred.
        cosines, centre = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), np.zeros(3)
        spacing = np.where(np.isfinite(spacing) & (spacing > 0), spacing, 1.0)
    affine = np.eye(4)
    affine[:3, :3] = cosines * spacing
    affine[:3, 3] = centre - affine[:3, :3] @ (np.array(grid) / 2.0)
    if wrong := check_affine(affine):
        raise CorruptFile(f"The scan's stored orientation {wrong}. Export it again.")
    return affine
