"""Pictures of a result's planes: the scan as JPEG, its labels as a transparent PNG, drawn one slice at a time.

A scan and its labels are brought once into the closest RAS grid in the cache folder (:mod:`workbench.services.planes`)
and mapped into memory from there: drawing a slice touches one slice, and a process keeps no volume. The cache may be
deleted at any time.

Pictures are in the radiological convention (the person's right is on the picture's left); the viewer mirrors them for
the neurological one. Rows go from superior or anterior (top) downwards; a sagittal picture has anterior on its left.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import tempfile
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from infra.database.tables import User
from infra.datafolder import DataFolder
from infra.errors import InvalidInput
from infra.objectstore import ObjectInfo
from workbench.services.context import Services
from workbench.services.kept_pictures import kept_picture
from workbench.services.planes import Center, write_planes
from workbench.services.results import artifact_info, find_result
from workbench.services.structures import structure

Plane = Literal["sagittal", "coronal", "axial"]
PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")  # the plane's number is the axis it is cut along
KEPT_ON_DISK = 12
KEPT_OPEN = 6
DIMMED = 56  # alpha (of 255) of what is not highlighted
_FORMAT = 5  # raise it when what is prepared changes, so that old folders are not read


@dataclass(frozen=True)
class Prepared:
    """A scan and its labels in the closest RAS grid.

    Attributes:
        scan: uint8 ``(i, j, k)``, the intensities from their 0.5th to 99.8th percentile; mapped from the cache.
        labels: uint8 or int16 ``(i, j, k)``; mapped from the cache.
        affine: ``(4, 4)``, voxel indices of this grid to scanner millimetres.
        spacing: mm along i, j, k.
        centers: label id to its place.
        window: intensities that 0 and 255 stand for.
        windows: preset (``full``, ``brain``, ``narrow``) to its range of intensities.
    """

    scan: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    spacing: tuple[float, float, float]
    centers: dict[int, Center] = field(default_factory=dict)
    window: tuple[float, float] = (0.0, 1.0)
    windows: dict[str, list[float]] = field(default_factory=dict)


_open: OrderedDict[str, Prepared] = OrderedDict()
_locks: dict[str, asyncio.Lock] = {}


async def prepared(services: Services, user: User, job_id: str) -> Prepared:
    """The planes of a finished imaging job of ``user``, brought to the cache at first use.

    Raises:
        NotFound: no such job of this person, or it left no pictures.
        WorkbenchError: as :func:`workbench.services.results.find_result`.
    """
    result = await find_result(services, user, job_id)
    scan, labels = artifact_info(result, "scan.nii.gz"), artifact_info(result, "segmentation.nii.gz")
    key = f"{scan.sha256[:24]}-{labels.sha256[:24]}-{_FORMAT}"
    # One lock a scan: the viewer asks for three planes at once, and only the first prepares them.
    async with _locks.setdefault(key, asyncio.Lock()):
        found = _open.get(key)
        if found is None:
            found = await asyncio.to_thread(_load, services, key, scan, labels)
            _open[key] = found
        _open.move_to_end(key)
        while len(_open) > KEPT_OPEN:
            _open.popitem(last=False)
    return found


async def scan_slice(services: Services, user: User, job_id: str, plane: str, index: int) -> bytes:
    """One slice of the scan as JPEG.

    Raises:
        NotFound: see :func:`prepared`.
        InvalidInput: no such plane, or the slice is outside the scan.
    """
    volume = await prepared(services, user, job_id)
    return await asyncio.to_thread(draw_scan, volume.scan, plane, index)


async def label_slice(
    services: Services, user: User, job_id: str, plane: str, index: int, highlight: frozenset[int] = frozenset()
) -> bytes:
    """The labels of one slice as a transparent PNG in the structures' colours; what is not highlighted is dimmed.

    Raises:
        NotFound, InvalidInput: as :func:`scan_slice`.
    """
    volume = await prepared(services, user, job_id)
    return await asyncio.to_thread(draw_labels, volume.labels, plane, index, highlight)


async def viewer_facts(services: Services, user: User, job_id: str) -> dict[str, Any]:
    """What the viewer must know of a result: its grid, and each structure's name, colour and place. Plain JSON."""
    volume = await prepared(services, user, job_id)
    structures = [
        {"label": label, "name": info.name, "side": info.side, "colour": info.colour, "center": list(center.voxel), "mm": list(center.mm)}
        for label, center in sorted(volume.centers.items())
        for info in (structure(label),)
    ]
    return {
        "shape": list(volume.scan.shape),
        "spacing": list(volume.spacing),
        "affine": volume.affine.tolist(),
        "window": list(volume.window),
        "windows": volume.windows,
        "structures": structures,
    }


async def label_at(services: Services, user: User, job_id: str, voxel: tuple[int, int, int]) -> dict[str, Any]:
    """What is at a voxel of the RAS grid: ``{"label", "name", "mm"}``; label 0 and no name outside every structure."""
    volume = await prepared(services, user, job_id)
    if not all(0 <= index < size for index, size in zip(voxel, volume.labels.shape, strict=True)):
        raise InvalidInput("This voxel is outside the scan.")
    label = int(volume.labels[voxel])
    millimetres = (volume.affine @ np.array([*voxel, 1.0]))[:3]
    return {"label": label, "name": structure(label).full_name if label else None, "mm": [round(float(v), 1) for v in millimetres]}


async def thumbnail(services: Services, user: User, job_id: str) -> bytes:
    """A small JPEG of the axial slice through the thalami with its labels, kept in the cache."""
    result = await find_result(services, user, job_id)
    key = f"{artifact_info(result, 'scan.nii.gz').sha256[:24]}-{artifact_info(result, 'segmentation.nii.gz').sha256[:24]}"
    path = services.folder.cache / "thumbnails" / f"{key}-{_FORMAT}.jpg"

    async def draw() -> bytes:
        return await asyncio.to_thread(draw_thumbnail, await prepared(services, user, job_id))

    return await kept_picture(path, draw)


def draw_thumbnail(volume: Prepared, *, width: int = 480, height: int = 300) -> bytes:
    """JPEG of ``width`` by ``height``: the axial slice where the thalami are (else the middle), cropped to the head."""
    place = volume.centers.get(10) or volume.centers.get(16)
    index = place.voxel[2] if place else volume.scan.shape[2] // 2
    grey = picture(volume.scan, "axial", index)
    colours = Image.open(io.BytesIO(draw_labels(volume.labels, "axial", index))).convert("RGBA")
    colours.putalpha(colours.getchannel("A").point([alpha * 35 // 100 for alpha in range(256)]))
    dark = np.array([8, 12, 20], np.uint8)
    image = Image.fromarray(np.maximum(grey[..., None], dark))  # no darker than the ground around it
    image.paste(colours, (0, 0), colours)
    head = np.argwhere(grey > 24)
    if len(head):
        (top, left), (bottom, right) = head.min(axis=0), head.max(axis=0) + 1
        image = image.crop((int(left), int(top), int(right), int(bottom)))
    wide, high = image.width * volume.spacing[0], image.height * volume.spacing[1]
    scale = min((width - 24) / wide, (height - 24) / high)
    image = image.resize((max(1, round(wide * scale)), max(1, round(high * scale))), Image.Resampling.LANCZOS)
    ground = Image.new("RGB", (width, height), tuple(int(v) for v in dark))
    ground.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    buffer = io.BytesIO()
    ground.save(buffer, "JPEG", quality=86)
    return buffer.getvalue()


def draw_scan(scan: np.ndarray, plane: str, index: int) -> bytes:
    """JPEG of one slice of a uint8 ``(i, j, k)`` array in RAS."""
    buffer = io.BytesIO()
    Image.fromarray(picture(scan, plane, index)).save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def draw_labels(labels: np.ndarray, plane: str, index: int, highlight: frozenset[int] = frozenset()) -> bytes:
    """Palette PNG of one slice of a label array ``(i, j, k)`` in RAS; 0 is transparent."""
    plane_labels = picture(labels, plane, index)
    values, inverse = np.unique(plane_labels, return_inverse=True)
    # More than 256 labels in one slice does not happen with FreeSurfer ids; the rarest would share the last colour.
    indices = np.minimum(inverse.reshape(plane_labels.shape), 255).astype(np.uint8)
    palette, alpha = [], []
    for value in (int(v) for v in values[:256]):
        palette.extend(structure(value).rgb if value else (0, 0, 0))
        alpha.append(0 if value == 0 else 255 if not highlight or value in highlight else DIMMED)
    image = Image.fromarray(indices, mode="P")
    image.putpalette(palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=bytes(alpha), compress_level=4)
    return buffer.getvalue()


def picture(volume: np.ndarray, plane: str, index: int) -> np.ndarray:
    """The ``(rows, columns)`` of a slice as a person looks at it (see the module's text for the convention).

    Raises:
        InvalidInput: no such plane, or the slice is outside the volume.
    """
    if plane not in PLANES:
        raise InvalidInput(f"Unknown plane '{plane[:20]}'. Use sagittal, coronal or axial.")
    axis = PLANES.index(plane)  # type: ignore[arg-type]
    if not 0 <= index < volume.shape[axis]:
        raise InvalidInput(f"Slice out of range: {plane} slices go from 0 to {volume.shape[axis] - 1}.")
    # All three reverse both axes: right and anterior first along the columns, superior or anterior first along the rows.
    flat = np.take(volume, index, axis=axis)
    return np.ascontiguousarray(flat[::-1, ::-1].T)


def _load(services: Services, key: str, scan: ObjectInfo, labels: ObjectInfo) -> Prepared:
    root = DataFolder(services.settings.home).cache / "planes"
    folder = root / key
    if not (folder / "facts.json").is_file():
        root.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
        try:
            write_planes(
                _named(services, scan, making, "scan.nii.gz"),
                _named(services, labels, making, "labels.nii.gz"),
                making,
            )
            for link in ("scan.nii.gz", "labels.nii.gz"):
                (making / link).unlink()
            making.rename(folder)
        except OSError:
            if not (folder / "facts.json").is_file():  # another process may have been faster
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
        _forget_old(root)
    os.utime(folder)
    facts = json.loads((folder / "facts.json").read_text())
    return Prepared(
        scan=np.load(folder / "scan.npy", mmap_mode="r"),
        labels=np.load(folder / "labels.npy", mmap_mode="r"),
        affine=np.array(facts["affine"]),
        spacing=tuple(facts["spacing"]),
        centers={int(label): Center(tuple(c["voxel"]), tuple(c["mm"])) for label, c in facts["centers"].items()},
        window=tuple(facts["window"]),
        windows=facts["windows"],
    )


def _named(services: Services, artifact: ObjectInfo, folder: Path, name: str) -> Path:
    """The artifact under a name that nibabel knows: an object's key may have no suffix."""
    link = folder / name
    link.symlink_to(services.store.local_path(artifact.bucket, artifact.key, folder=folder))
    return link


def _forget_old(root: Path) -> None:
    folders = sorted(
        (p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")), key=lambda p: p.stat().st_mtime, reverse=True
    )
    for old in folders[KEPT_ON_DISK:]:
        shutil.rmtree(old, ignore_errors=True)  # what is mapped stays readable until it is let go
