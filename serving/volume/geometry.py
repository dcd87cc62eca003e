"""The geometry of a NIfTI header: where voxels lie and how large they are, and whether its four accounts of that agree.

A header describes the grid by ``pixdim`` (voxel sizes), ``xyzt_units``, the qform (rotation and offset, with the sizes of
``pixdim``) and the sform (a matrix). The sform is used where it is valid, as the standard's method 3, with one
exception: an sform into the space of a template or atlas (code 3 and above) may stretch the head, so the qform gives
the voxel size where the scanner wrote one.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np

from infra.errors import CorruptFile
from serving.volume.voxels import check_affine

NO_ORIENTATION = (
    "The file does not say where left and right are (no orientation is stored); the usual order was taken, and sides may be swapped."
)
MIRRORED = "The file's two orientations (sform and qform) disagree on which side is left. The {} was used; check the sides."
SIZES_UNCERTAIN = "Volumes may be wrong by as much."
"""The end of a warning about voxel sizes that disagree without a way to tell which are right."""

MOST_DIFFERENCE = 0.01
"""Share by which two accounts of a voxel's size may differ before it is reported."""
MOST_TURN_DEGREES = 1.0
TEMPLATE_CODE = 3
"""``sform_code`` from which on the space is a template's or an atlas's: Talairach 3, MNI152 4, another template 5."""

_MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {1: "metres", 3: "micrometres"}
_PLAUSIBLE_MM = (0.05, 30.0)
"""Voxel sizes that a scan of a head can have, generously: tells metres from millimetres where the unit is wrong."""


def repair_geometry(header: nib.Nifti1Header) -> list[str]:
    """Make a header's geometry usable, in place, in millimetres; gives warnings about what was changed or disagrees.

    Raises:
        CorruptFile: no usable affine at all.
    """
    _repair_handedness(header)
    warnings = _to_millimetres(header)
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if sform > 0 and (wrong := check_affine(_sform(header))):
        warnings.append(f"The stored orientation matrix (sform) {wrong}; it was ignored.")
        header["sform_code"] = sform = 0
    if qform > 0 and (wrong := _qform_trouble(header)):
        warnings.append(f"The stored orientation (qform) {wrong}; it was ignored.")
        header["qform_code"] = qform = 0
    if sform <= 0 and qform <= 0:
        try:
            wrong = check_affine(np.asarray(header.get_base_affine(), dtype=float))
        except Exception:
            wrong = "cannot be read"
        if wrong:
            raise CorruptFile(f"The scan's geometry {wrong}: it says neither where it lies nor how large a voxel is. Export it again.")
        return [*warnings, NO_ORIENTATION]
    if sform > 0 and qform > 0:
        return warnings + _cross_check(header, sform, qform)
    if sform > 0:
        warnings += _check_sizes(header)
    return warnings


def sizes_uncertain(warning: str) -> bool:
    """Whether a warning says that voxel sizes, and with them volumes, may be wrong."""
    return warning.endswith(SIZES_UNCERTAIN)


def _repair_handedness(header: nib.Nifti1Header) -> None:
    """``pixdim[0]`` (qfac) is -1 or 1; everything that is not negative means 1 (nifti1.h)."""
    qfac = float(header["pixdim"][0])
    if qfac not in (-1.0, 1.0):
        header["pixdim"][0] = -1.0 if qfac < 0 else 1.0


def _to_millimetres(header: nib.Nifti1Header) -> list[str]:
    """Scale sizes and offsets to millimetres; a unit that makes no sense for a head is ignored, and reported."""
    unit = int(header["xyzt_units"]) & 0x07
    header["xyzt_units"] = 2
    factor = _MILLIMETRES.get(unit, 1.0)
    if factor == 1.0:
        return []
    stored = _stored_size(header)
    name = _UNIT_NAMES[unit]
    if not _PLAUSIBLE_MM[0] <= stored * factor <= _PLAUSIBLE_MM[1] and _PLAUSIBLE_MM[0] <= stored <= _PLAUSIBLE_MM[1]:
        return [f"The header gives sizes in {name}, which is not plausible for a voxel size of {stored:.3g}; millimetres were assumed."]
    for row in ("srow_x", "srow_y", "srow_z"):
        header[row] = np.asarray(header[row], dtype=float) * factor
    for name_ in ("qoffset_x", "qoffset_y", "qoffset_z"):
        header[name_] = float(header[name_]) * factor
    header["pixdim"][1:4] = np.asarray(header["pixdim"][1:4], dtype=float) * factor
    return [f"Sizes in the header are in {name}; they were converted to millimetres."]


def _stored_size(header: nib.Nifti1Header) -> float:
    """The typical voxel size in the header's own unit."""
    if int(header["sform_code"]) > 0:
        sizes = np.linalg.norm(_sform(header)[:3, :3], axis=0)
    else:
        sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))
    return float(np.median(sizes)) if np.isfinite(sizes).all() else 0.0


def _cross_check(header: nib.Nifti1Header, sform: int, qform: int) -> list[str]:
    """Warnings where sform and qform differ; a template's sform gives way to the scanner's qform where it changes sizes."""
    first, second = _sform(header)[:3, :3], np.asarray(header.get_qform(), dtype=float)[:3, :3]
    warnings = []
    mirrored = np.linalg.det(first) * np.linalg.det(second) < 0
    difference = _size_difference(first, second)
    used = "sform"
    if difference > MOST_DIFFERENCE:
        template = sform >= TEMPLATE_CODE and 1 <= qform < TEMPLATE_CODE
        said = (
            f"Voxel sizes of the header's two orientations differ by {100 * difference:.3g} %: "
            f"sform {_size(first)} mm, qform {_size(second)} mm."
        )
        if template:
            used = "qform"
            header["sform_code"] = 0
            said += f" The sform leads to a template's space (code {sform}), so the scanner's qform was used."
        else:
            said += f" The sform was used. {SIZES_UNCERTAIN}"
        warnings.append(said)
    if mirrored:
        warnings.append(MIRRORED.format(used))
    elif used == "sform" and sform < TEMPLATE_CODE and (turn := _turn(first, second)) > MOST_TURN_DEGREES:
        warnings.append(f"The header's two orientations (sform and qform) differ by a rotation of {turn:.0f} degrees. The sform was used.")
    return warnings


def _check_sizes(header: nib.Nifti1Header) -> list[str]:
    """``pixdim`` against the only orientation there is, the sform."""
    matrix = _sform(header)[:3, :3]
    pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))
    if not np.isfinite(pixdim).all() or (pixdim <= 0).any():
        return []
    lengths = np.linalg.norm(matrix, axis=0)
    difference = float(np.abs(lengths / pixdim - 1).max())
    if difference <= MOST_DIFFERENCE:
        return []
    sizes = " × ".join(f"{value:.4g}" for value in pixdim)
    return [
        f"Voxel sizes in the header differ by {100 * difference:.3g} %: sform {_size(matrix)} mm, pixdim {sizes} mm. "
        f"The sform was used. {SIZES_UNCERTAIN}"
    ]


def _size_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Largest relative difference of the voxel's three sizes and its volume."""
    lengths = np.linalg.norm(first, axis=0) / np.linalg.norm(second, axis=0)
    volume = abs(np.linalg.det(first) / np.linalg.det(second))
    return float(max(np.abs(lengths - 1).max(), abs(volume - 1)))


def _turn(first: np.ndarray, second: np.ndarray) -> float:
    """Degrees between two grids' axes."""
    rotation = (first / np.linalg.norm(first, axis=0)) @ np.linalg.inv(second / np.linalg.norm(second, axis=0))
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def _size(matrix: np.ndarray) -> str:
    return " × ".join(f"{value:.4g}" for value in np.linalg.norm(matrix, axis=0))


def _sform(header: nib.Nifti1Header) -> np.ndarray:
    return np.asarray(header.get_sform(), dtype=float)


def _qform_trouble(header: nib.Nifti1Header) -> str | None:
    try:
        return check_affine(np.asarray(header.get_qform(), dtype=float))
    except Exception:
        return "cannot be read"
