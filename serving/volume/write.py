"""Writing NIfTI in a scan's own grid: the header's geometry to the last bit, nothing else of the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

_SMALLEST = (np.uint8, np.int16, np.uint16)


def write_scan(path: Path, data: np.ndarray, header: nib.Nifti1Header) -> None:
    """``data`` float32 ``(i, j, k)`` as ``.nii.gz``, without loss: as small integers where every value is one."""
    _write(path, _smallest(data), header, level=1)


def write_labels(path: Path, labels: np.ndarray, header: nib.Nifti1Header) -> None:
    """Labels ``(i, j, k)`` as ``.nii.gz``. Raises ValueError where they do not lie in the header's grid."""
    if tuple(labels.shape) != tuple(header.get_data_shape()):
        raise ValueError(f"labels of {labels.shape} do not fit a grid of {header.get_data_shape()}")
    _write(path, labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.int16), header, level=5)


def _write(path: Path, data: np.ndarray, header: nib.Nifti1Header, *, level: int) -> None:
    header = header.copy()
    header.set_data_dtype(data.dtype)
    kind = nib.Nifti2Image if header["sizeof_hdr"] == 540 else nib.Nifti1Image
    image = kind(data, header.get_best_affine(), header=header)
    # No name and no time in the gzip: the same scan gives the same bytes.
    with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=level, mtime=0) as stream:
        image.to_stream(stream)


def _smallest(data: np.ndarray) -> np.ndarray:
    low, high = float(data.min()), float(data.max())
    for kind in _SMALLEST:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            small = data.astype(kind)
            if np.array_equal(small, data):
                return small
    return data
