"""A picture of what was found: three planes without and with the labels, and what the colours mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from pipelines.imaging.labels import CSF, LABELS, LESION
from pipelines.imaging.planes import PLANES, Plane, Turned, best_slices, cut, letters, turned, window

GROUND = (13, 17, 23)
INK = (220, 226, 233)
FAINT = (130, 142, 156)
_EDGE = (20, 20, 20)
_TILE = 520
_GAP = 14
_MARGIN = 28
_HEAD = 44
_OPACITY = 0.5
# White matter is nearly white: at full opacity it would hide the scan.
_OPACITIES = {2: 0.28, 41: 0.28, CSF: 0.3, LESION: 0.75}


def draw_overlay(data: np.ndarray, labels: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """A PNG of three planes, plain above and labelled below, with a legend.

    Args:
        data, labels: ``(i, j, k)`` in one grid.
    """
    picture, shown = turned(data, affine), turned(labels, affine)
    places = best_slices(shown, lesion=LESION)
    levels = window(picture.data, shown.data > 0)
    present = [int(id) for id in np.flatnonzero(np.bincount(labels.ravel(order="K"))) if int(id) in LABELS]
    rows = _legend_rows(present)
    width = 2 * _MARGIN + 3 * _TILE + 2 * _GAP
    height = _HEAD + 2 * (_TILE + _GAP) + 30 * len(rows) + 2 * _MARGIN
    canvas = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(canvas)
    box = _box(shown)
    for column, plane in enumerate(PLANES):
        left = _MARGIN + column * (_TILE + _GAP)
        draw.text((left, _MARGIN - 4), _title(plane, places[plane], shown), fill=FAINT, font=_font(20))
        for row, with_labels in enumerate((False, True)):
            tile = _tile(picture, shown if with_labels else None, plane, places[plane], levels, box)
            canvas.paste(tile, (left, _HEAD + _MARGIN // 2 + row * (_TILE + _GAP)))
    _draw_legend(draw, rows, _HEAD + 2 * (_TILE + _GAP) + _MARGIN, width)
    canvas.save(path, compress_level=4)  # the next levels cost seconds and save a tenth


def labelled_box(size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Where the labelled planes are in an overlay of this size (left, top, right, bottom); None where it is not one of ours."""
    top = _HEAD + _MARGIN // 2 + _TILE + _GAP
    right = _MARGIN + 3 * _TILE + 2 * _GAP
    return (_MARGIN, top, right, top + _TILE) if size[0] == right + _MARGIN and size[1] >= top + _TILE else None


def _tile(
    picture: Turned, labels: Turned | None, plane: Plane, index: int, levels: tuple[float, float], box: tuple[np.ndarray, np.ndarray]
) -> Image.Image:
    """One square: the slice cropped to the brain's surroundings, in true proportions, on the dark ground."""
    cropped = Turned(picture.data[tuple(slice(a, b) for a, b in zip(*box, strict=True))], picture.spacing)
    index = index - int(box[0][{"sagittal": 0, "coronal": 1, "axial": 2}[plane]])
    grey, size = cut(cropped, plane, index)
    scale = min(_TILE / (grey.shape[0] * size[0]), _TILE / (grey.shape[1] * size[1]))
    target = max(1, round(grey.shape[1] * size[1] * scale)), max(1, round(grey.shape[0] * size[0] * scale))
    low, high = levels
    bytes_ = (np.clip((grey - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(bytes_).resize(target, Image.Resampling.BICUBIC)
    rgb = np.repeat(np.asarray(image)[:, :, None], 3, axis=2).astype(np.float32)
    if labels is not None:
        ids, _ = cut(Turned(labels.data[tuple(slice(a, b) for a, b in zip(*box, strict=True))], labels.spacing), plane, index)
        ids = np.asarray(Image.fromarray(ids.astype(np.uint8)).resize(target, Image.Resampling.NEAREST))
        rgb = _coloured(rgb, ids)
    tile = Image.new("RGB", (_TILE, _TILE), (0, 0, 0))
    tile.paste(Image.fromarray(rgb.clip(0, 255).astype(np.uint8)), ((_TILE - target[0]) // 2, (_TILE - target[1]) // 2))
    _letters(ImageDraw.Draw(tile), plane)
    return tile


def _coloured(rgb: np.ndarray, ids: np.ndarray) -> np.ndarray:
    colours, opacity = np.zeros((256, 3), np.float32), np.zeros(256, np.float32)
    for id, label in LABELS.items():
        colours[id], opacity[id] = label.colour, _OPACITIES.get(id, _OPACITY)
    share = opacity[ids][:, :, None]
    out = rgb * (1 - share) + colours[ids] * share
    marked = ids == LESION
    if marked.any():  # a dark outline separates small lesions from bright tissue
        edge = ndimage.binary_dilation(marked, iterations=2) & ~marked
        out[edge] = _EDGE
    return out


def _letters(draw: ImageDraw.ImageDraw, plane: Plane) -> None:
    left, right, top, bottom = letters(plane)
    font, middle = _font(20), _TILE // 2
    for text, place, anchor in (
        (left, (10, middle), "lm"), (right, (_TILE - 10, middle), "rm"), (top, (middle, 8), "mt"), (bottom, (middle, _TILE - 8), "mb"),
    ):  # fmt: skip
        draw.text(place, text, fill=INK, font=font, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))


def _box(labels: Turned) -> tuple[np.ndarray, np.ndarray]:
    """The part that is shown: the labels with 14 mm around them, the same for all planes."""
    shape = np.array(labels.data.shape)
    low, high = np.zeros(3, dtype=int), shape.copy()
    margin = np.ceil(14.0 / np.array(labels.spacing)).astype(int)
    for axis in range(3):
        there = np.flatnonzero((labels.data > 0).any(axis=tuple(other for other in range(3) if other != axis)))
        if len(there):
            low[axis], high[axis] = max(0, there[0] - margin[axis]), min(shape[axis], there[-1] + 1 + margin[axis])
    return low, high


def _title(plane: Plane, index: int, labels: Turned) -> str:
    count = labels.data.shape[{"sagittal": 0, "coronal": 1, "axial": 2}[plane]]
    return f"{plane.capitalize()}   slice {index + 1} of {count}"


def _legend_rows(present: list[int]) -> list[list[tuple[str, tuple[int, int, int]]]]:
    """Names and colours, both sides together, five a row."""
    items: dict[str, tuple[int, int, int]] = {}
    for id in present:
        items.setdefault(LABELS[id].name, LABELS[id].colour)
    pairs = list(items.items())
    return [pairs[start : start + 5] for start in range(0, len(pairs), 5)]


def _draw_legend(draw: ImageDraw.ImageDraw, rows: list[list[tuple[str, tuple[int, int, int]]]], top: int, width: int) -> None:
    step = (width - 2 * _MARGIN) // 5
    for row, items in enumerate(rows):
        for column, (name, colour) in enumerate(items):
            x, y = _MARGIN + column * step, top + row * 30
            draw.rounded_rectangle((x, y, x + 18, y + 18), radius=4, fill=colour, outline=FAINT)
            draw.text((x + 28, y + 9), name, fill=INK, font=_font(18), anchor="lm")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
