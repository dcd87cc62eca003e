"""What reading a scan gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from serving.roles.segmentation import Volume

if TYPE_CHECKING:
    from serving.volume.dicom.source import SourceNote


@dataclass(frozen=True)
class ScanFile:
    """One scan, read and understood.

    Attributes:
        volume: the voxels ``(1, i, j, k)`` float32 in the file's own order, and the affine to scanner mm (RAS+).
        name: the file's (or folder's) name as it was given, without its path.
        format: for example ``NIfTI``, ``MGZ``, ``DICOM series``.
        header: a NIfTI header with this grid's geometry (sform, qform, their codes, zooms, units) and nothing else of
            the file: no description, no extensions, no dates. Whatever is written in this grid starts from it.
        facts: what else is kept of the file, from a fixed list (``serving.volume.facts.KEPT``); never an identifier.
        warnings: sentences for a person.
        source: of a DICOM series, what a DICOM SEG refers to; never shown or logged.
    """

    volume: Volume
    name: str
    format: str
    header: nib.Nifti1Header
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    source: SourceNote | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.volume.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres along i, j, k."""
        return self.volume.spacing

    @property
    def orientation(self) -> str:
        """Where each axis leads, nearest: ``RAS`` is right, anterior, superior."""
        return orientation_of(self.volume.affine)


def orientation_of(affine: np.ndarray) -> str:
    """Three letters, one an axis: the direction in which the index grows (nearest for oblique grids)."""
    return "".join(str(code) for code in nib.aff2axcodes(affine))
