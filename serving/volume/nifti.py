"""NIfTI-1 and NIfTI-2, single files, plain or inside a gzip."""

from __future__ import annotations

import math

import nibabel as nib
import numpy as np

from infra.errors import CorruptFile, UnsupportedFormat
from infra.settings import Imaging
from serving.volume.geometry import repair_geometry
from serving.volume.sources import Source, check_claim, read_array, read_head, unpacked_head
from serving.volume.voxels import PLAIN, check_shape, finish, refuse_type

_GEOMETRY = (
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
)


def read_nifti(
    source: Source, *, packed: bool, limits: Imaging, volume_index: int | None
) -> tuple[np.ndarray, nib.Nifti1Header, list[str]]:
    """Voxels ``(1, i, j, k)``, a clean header with the file's geometry, and warnings.

    Raises:
        CorruptFile, InvalidInput, TooLarge, UnsupportedFormat: see the sentences.
    """
    head = (unpacked_head if packed else read_head)(source)
    original = parse_header(head)
    shape = tuple(int(size) for size in original["dim"][1 : 1 + _dimensions(original)])
    dtype = _dtype(original)
    offset = _offset(original)
    _check_bytes(source, shape, dtype, offset, packed)
    grid, index, count = check_shape(shape, limits, volume_index)
    affine_warnings = repair_geometry(original)
    volume_bytes = math.prod(grid) * dtype.itemsize
    stored = read_array(source, packed=packed, offset=offset + index * volume_bytes, dtype=dtype, shape=grid)
    slope, intercept = float(original["scl_slope"]), float(original["scl_inter"])
    data, warnings = finish(stored, slope=slope, intercept=intercept)
    if count > 1:
        warnings.insert(0, f"Volume {index} of {count} was read.")
    return data, clean_header(original, grid), affine_warnings + warnings


def parse_header(head: bytes) -> nib.Nifti1Header:
    """The header of a single file, either version, either byte order; nothing of it believed yet."""
    two = head[4:7] in (b"n+2", b"ni2")
    kind, size = (nib.Nifti2Header, 540) if two else (nib.Nifti1Header, 348)
    if len(head) < size:
        raise CorruptFile("The file ends inside its header. It is damaged or incomplete; copy it again.")
    if head[344:347] == b"ni1" or head[4:7] == b"ni2":
        raise UnsupportedFormat("This is one half of a NIfTI pair (.hdr and .img). Convert both to a single .nii.gz.")
    try:
        return kind(binaryblock=head[:size], check=False)
    except Exception:
        raise CorruptFile("The NIfTI header makes no sense. The file is damaged; export it again.") from None


def clean_header(original: nib.Nifti1Header, grid: tuple[int, int, int]) -> nib.Nifti1Header:
    """A new header with the geometry of ``original`` (in mm) to the last bit, and no other word of it."""
    header = type(original)()
    header.set_data_shape(grid)
    for name in _GEOMETRY:
        header[name] = original[name]
    header["pixdim"][:4] = original["pixdim"][:4]
    header["xyzt_units"] = 2
    return header


def header_for(affine: np.ndarray, grid: tuple[int, int, int]) -> nib.Nifti1Header:
    """A header for a grid that did not come from NIfTI: sform and, where it can hold the affine, qform; both "scanner"."""
    header = nib.Nifti1Header()
    header.set_data_shape(grid)
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1, strip_shears=True)
    if not np.allclose(np.asarray(header.get_qform(), dtype=float), affine, atol=1e-2):
        header.set_qform(affine, code=0, strip_shears=True)
    header.set_xyzt_units("mm")
    return header


def _dimensions(header: nib.Nifti1Header) -> int:
    count = int(header["dim"][0])
    if not 1 <= count <= 7:
        raise CorruptFile(f"The header claims {count} dimensions. The file is damaged; export it again.")
    return count


def _dtype(header: nib.Nifti1Header) -> np.dtype:
    code = int(header["datatype"])
    try:
        dtype = np.dtype(header.get_data_dtype())
        name = str(nib.nifti1.data_type_codes.label[code])
    except Exception:
        raise CorruptFile(
            f"The header names a kind of voxel that does not exist (code {code}). The file is damaged; export it again."
        ) from None
    if dtype.newbyteorder("=") not in PLAIN:
        raise refuse_type(name)
    return dtype


def _offset(header: nib.Nifti1Header) -> int:
    value = float(header["vox_offset"])
    smallest = 544 if int(header["sizeof_hdr"]) == 540 else 352
    if not math.isfinite(value) or value < 0 or value > 1 << 28:
        raise CorruptFile("The header gives an impossible place for the first voxel. The file is damaged; export it again.")
    return max(int(value), smallest)


def _check_bytes(source: Source, shape: tuple[int, ...], dtype: np.dtype, offset: int, packed: bool) -> None:
    if all(size >= 1 for size in shape):
        check_claim(source, need=offset + math.prod(shape) * dtype.itemsize, packed=packed)
