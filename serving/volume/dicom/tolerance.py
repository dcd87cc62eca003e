"""Which frames belong together although their numbers differ a little: scanners and archives round, and jitter, what they write."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import pydicom

from serving.volume.dicom.frames import Frame
from serving.volume.dicom.headers import Header
from serving.volume.sources import clamped

Item = TypeVar("Item")

SAME_DIRECTION = 0.01
"""Largest difference of a direction cosine within one orientation (about half a degree)."""
SAME_PLACE_MM = 0.05
"""Positions along the normal that are no further apart are one."""
SAME_ECHO_MS, SAME_ECHO_SHARE = 0.1, 0.02
SAME_SPACING_SHARE = 0.01
EVEN_SHARE = 0.1
"""Share of the usual step by which steps of an even spacing may differ."""


def alike(items: Iterable[Item], same: Callable[[Item, Item], bool]) -> list[list[Item]]:
    """Items in groups: each is like the first of its group."""
    groups: list[list[Item]] = []
    for item in items:
        for group in groups:
            if same(group[0], item):
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def same_plane(one: Frame, other: Frame) -> bool:
    """Whether two frames are parallel, turned alike, and have pixels of one size."""
    turned = max(np.abs(one.row - other.row).max(), np.abs(one.column - other.column).max())
    return bool(turned <= SAME_DIRECTION and np.allclose(one.spacing, other.spacing, rtol=SAME_SPACING_SHARE, atol=0))


def same_echo(one: float, other: float) -> bool:
    return abs(one - other) <= max(SAME_ECHO_MS, SAME_ECHO_SHARE * max(one, other))


def by_echo(frames: Iterable[Frame]) -> list[list[Frame]]:
    """Frames by echo time; gaps between sorted times decide, so that jitter around one time is one group."""
    groups: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda frame: frame.echo):
        if groups and same_echo(groups[-1][-1].echo, frame.echo):
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups


def by_place(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames by their position along the normal, in its order."""
    along = np.array([float(frame.position @ frames[0].normal) for frame in frames])
    groups: list[list[Frame]] = []
    last = -np.inf
    for index in np.argsort(along, kind="stable"):
        if along[index] - last > SAME_PLACE_MM:
            groups.append([])
        groups[-1].append(frames[index])
        last = along[index]
    return groups


def interleaved(groups: Sequence[Sequence[Frame]]) -> list[list[int]]:
    """Which groups of parallel frames interleave at one spacing: indices of groups, those together that are one stack.

    Groups interleave where no position occurs twice, all positions together are evenly spaced (single gaps apart), and
    that spacing is finer than each group's own.
    """
    if len(groups) < 2:
        return [[index] for index in range(len(groups))]
    normal = groups[0][0].normal
    places = [np.sort([float(frame.position @ normal) for frame in group]) for group in groups]
    if _one_stack(places):
        return [list(range(len(groups)))]
    merged: list[list[int]] = []
    for index in range(len(groups)):
        for whole in merged:
            if len(places[index]) > 1 and _one_stack([places[other] for other in (*whole, index)]):
                whole.append(index)
                break
        else:
            merged.append([index])
    return merged


def _one_stack(places: Sequence[np.ndarray]) -> bool:
    steps = np.diff(np.sort(np.concatenate(places)))
    if steps.size < 2 or steps.min() <= SAME_PLACE_MM:
        return False
    usual = float(np.median(steps))
    multiples = np.round(steps / usual)
    even = np.abs(steps - multiples * usual).max() <= EVEN_SHARE * usual and multiples.min() >= 1 and (multiples == 1).mean() >= 0.8
    return bool(even) and all(len(own) < 2 or float(np.diff(own).min()) > 1.5 * usual for own in places)


def without_copies(frames: list[Frame]) -> tuple[list[Frame], int]:
    """The frames without identical copies (same place, same pixels), and how many copies there were.

    Pixels are compared only where a position occurs more often than another, or where the middle position has a copy.
    """
    cells = [cell for group in _groups(frames) for cell in by_place(group)]
    least, most = min(map(len, cells)), max(map(len, cells))
    if most == 1:
        return frames, 0
    if least == most and not _copies(cells[len(cells) // 2]):
        return frames, 0
    copies = {id(frame) for cell in cells if len(cell) > 1 for frame in _copies(cell)}
    kept = [frame for frame in frames if id(frame) not in copies]
    depths = {len(cell) for group in _groups(kept) for cell in by_place(group)}
    if least == most and len(depths) > 1:
        return frames, 0  # blank slices of a series of volumes are alike, and no copies
    return kept, len(copies)


def _groups(frames: list[Frame]) -> list[list[Frame]]:
    groups: dict[tuple[str, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.group].append(frame)
    return [part for group in groups.values() for part in by_echo(group)]


def _copies(cell: list[Frame]) -> list[Frame]:
    """Those frames of one position that equal an earlier one."""
    seen: set[tuple[object, ...]] = set()
    copies = []
    for frame in sorted(cell, key=lambda frame: frame.order):
        mark = (_digest(frame.header), frame.index, frame.tile, frame.slope, frame.intercept)
        if mark in seen:
            copies.append(frame)
        seen.add(mark)
    return copies


def _digest(header: Header) -> bytes:
    """A digest of a file's stored pixels; unique where they cannot be read (reading them properly will say why)."""
    try:
        with clamped(header.source) as stream:
            data = pydicom.dcmread(stream, force=True, specific_tags=["PixelData"])
        return hashlib.sha256(data.PixelData).digest()
    except Exception:
        return header.number.to_bytes(8, "big")
