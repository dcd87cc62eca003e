"""A segmentation in a notebook: its quality and a table of its structures; saved as NIfTI."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.notebook import Block, Heading, Table
from serving.roles.segmentation import Segmentation, json_ready
from serving.segmentation.labels import STRUCTURES


def blocks(found: Segmentation) -> list[Block]:
    """The finding first: quality, then structures by volume, then the model."""
    names = {identifier: one.name for one in reversed(STRUCTURES) for identifier in (one.left, one.right)}
    sides = {one.left: "left" for one in STRUCTURES if one.lateral} | {one.right: "right" for one in STRUCTURES if one.lateral}
    rows = [
        [names.get(label, f"label {label}"), sides.get(label, ""), str(label), f"{one.volume_ml:.2f}", f"{one.confidence:.2f}"]
        for label, one in sorted(found.structures.items(), key=lambda item: -item[1].volume_ml)
    ]
    shape = " x ".join(map(str, found.labels.shape))
    return [
        Heading("Segmentation"),
        " ".join([f"Quality: {found.quality.verdict} ({found.quality.score:.2f}).", *found.quality.reasons]),
        Table(("Structure", "Side", "Label", "Volume (ml)", "Confidence"), rows, numbers=(2, 3, 4)),
        f"{shape} voxels. Model: {found.model.name}, version {found.model.version}. Research use only.",
    ]


def data(found: Segmentation) -> dict[str, Any]:
    """Everything but the arrays."""
    return json_ready(found)


def writers(found: Segmentation) -> Mapping[str, Callable[[], bytes]]:
    return {".nii.gz": lambda: _nifti(found)}


def _nifti(found: Segmentation) -> bytes:
    """The labels in the scan's own grid."""
    import nibabel as nib

    from serving.volume.write import write_labels

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "segmentation.nii.gz"
        write_labels(path, found.labels, nib.Nifti1Image(found.labels, found.affine).header)
        return path.read_bytes()
