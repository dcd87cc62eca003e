"""Siemens mosaics: the slices of one volume as tiles of one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from infra.errors import CorruptFile
from serving.volume.dicom.headers import words


@dataclass(frozen=True)
class Tiling:
    """How a mosaic is tiled: ``count`` slices of ``rows`` x ``columns``, ``across`` tiles in a line.

    ``normal`` (LPS) is the direction in which slices follow each other; None where the file does not tell.
    """

    count: int
    across: int
    rows: int
    columns: int
    mosaic_rows: int
    mosaic_columns: int
    normal: np.ndarray | None


def tiling_of(data: Dataset, rows: int, columns: int) -> Tiling | None:
    """The tiling, or None where the picture is no mosaic. Raises CorruptFile where it is one that cannot be cut."""
    if "MOSAIC" not in words(data.get("ImageType")):
        return None
    csa = _csa(data)
    count = _count(data, csa)
    across = math.ceil(math.sqrt(count)) if count else 0
    if not count or across > 64 or rows % across or columns % across:
        raise CorruptFile("This DICOM is a mosaic that does not say into how many slices it is cut. Export it as single slices.")
    return Tiling(count, across, rows // across, columns // across, rows, columns, _normal(csa))


def _count(data: Dataset, csa: dict) -> int:
    for value in (data.get_item(0x0019100A), csa.get("NumberOfImagesInMosaic")):
        if value is None:
            continue
        try:
            if isinstance(value, int):
                return value
            raw = value.value
            return int.from_bytes(raw[:2], "little") if isinstance(raw, bytes) else int(raw)
        except (AttributeError, TypeError, ValueError):
            continue
    return 0


def _csa(data: Dataset) -> dict:
    """Two facts of Siemens' own header; nothing where it is missing or broken."""
    raw = data.get(0x00291010)
    if raw is None or not isinstance(raw.value, bytes):
        return {}
    from nibabel.nicom import csareader

    try:
        tags = csareader.read(raw.value)["tags"]
        found: dict = {}
        for name in ("NumberOfImagesInMosaic", "SliceNormalVector"):
            items = tags.get(name, {}).get("items") or []
            found[name] = int(items[0]) if name.startswith("Number") and items else items
        return found
    except Exception:
        return {}


def _normal(csa: dict) -> np.ndarray | None:
    try:
        normal = np.array([float(value) for value in csa.get("SliceNormalVector") or ()])
    except (TypeError, ValueError):
        return None
    if normal.shape != (3,) or not np.isfinite(normal).all() or not 0.9 < np.linalg.norm(normal) < 1.1:
        return None
    return normal
