"""A scan and a plausible label map to show on pages: the MNI152 template, cut into structures by its tissue maps.

Good for looking at pages, and for nothing else: nothing here measures anything.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

# Ellipsoids in MNI millimetres on the right side: label left, label right, centre, half axes. The left side mirrors them.
PAIRED = (
    (10, 49, (11, -18, 8), (10, 14, 9)),
    (11, 50, (14, 10, 11), (6, 15, 9)),
    (12, 51, (26, 4, 1), (6, 14, 10)),
    (13, 52, (19, -3, -1), (4.5, 9, 6)),
    (17, 53, (27, -23, -13), (6, 17, 6)),
    (18, 54, (24, -4, -18), (7, 7, 7)),
    (26, 58, (10, 12, -8), (4, 5, 4)),
    (28, 60, (11, -15, -9), (6, 8, 5)),
)


def template_folder() -> Path:
    import nilearn

    return Path(nilearn.__file__).parent / "datasets" / "data"


def write_brain(folder: Path) -> tuple[Path, Path, dict[int, float]]:
    """Write ``scan.nii.gz`` and ``segmentation.nii.gz``; their paths, and millilitres by label."""
    data = template_folder()
    image = nib.load(data / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
    scan = np.asanyarray(image.dataobj).astype(np.float32)
    grey = np.asanyarray(nib.load(data / "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz").dataobj).astype(np.float32)
    white = np.asanyarray(nib.load(data / "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz").dataobj).astype(np.float32)
    grey, white = grey / grey.max(), white / white.max()
    i, j, k = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in scan.shape), indexing="ij", sparse=True)
    a = image.affine
    x, y, z = (a[row, row] * axis + a[row, 3] for row, axis in enumerate((i, j, k)))
    labels = np.zeros(scan.shape, np.int16)
    inside = ndimage.binary_fill_holes(ndimage.binary_closing((grey + white) > 0.25, iterations=3))
    right = np.broadcast_to(x > 0, scan.shape)
    fluid = inside & (grey + white < 0.35)
    below = np.broadcast_to((z < -14 + 0.35 * (y + 60)) & (y < -36) & (z < -6), scan.shape)

    def put(mask: np.ndarray, left: int, other: int) -> None:
        labels[mask & ~right] = left
        labels[mask & right] = other

    put(inside & (grey >= white) & (grey > 0.35), 3, 42)
    put(inside & (white > grey) & (white > 0.35), 2, 41)
    put(below & inside & (grey >= white) & (grey > 0.35), 8, 47)
    put(below & inside & (white > grey) & (white > 0.35), 7, 46)
    labels[fluid] = 24
    ventricles = fluid & (abs(x) < 34) & (y > -48) & (y < 38) & (z > -2) & (z < 30)
    put(ventricles, 4, 43)
    labels[fluid & (abs(x) < 3) & (y > -32) & (y < 6) & (z > -12) & (z < 6)] = 14
    labels[fluid & (abs(x) < 9) & (y > -52) & (y < -34) & (z > -46) & (z < -18)] = 15
    stem = inside & (((x / 13) ** 2 + ((y + 28) / 13) ** 2 < 1) & (z < -12) & (z > -62)) & (labels != 15) & ~(y < -38)
    labels[stem] = 16
    for left, other, (cx, cy, cz), (rx, ry, rz) in PAIRED:
        ball = (((abs(x) - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 < 1) & (grey + white > 0.4)
        put(np.broadcast_to(ball, scan.shape) & inside & (labels != 16), left, other)

    scan_path, labels_path = folder / "scan.nii.gz", folder / "segmentation.nii.gz"
    nib.save(nib.Nifti1Image((255 * scan / scan.max()).astype(np.uint8), image.affine), scan_path)
    nib.save(nib.Nifti1Image(labels, image.affine), labels_path)
    voxel_ml = abs(np.linalg.det(image.affine[:3, :3])) / 1000
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    return scan_path, labels_path, {int(label): float(count * voxel_ml) for label, count in zip(ids, counts, strict=True)}
