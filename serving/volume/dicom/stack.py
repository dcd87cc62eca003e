"""Frames to a volume: sorted by where they lie, checked for gaps, turned to RAS."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from infra.errors import CorruptFile, InvalidInput, TooLarge
from infra.settings import Imaging
from serving.volume.dicom.frames import Frame
from serving.volume.dicom.tolerance import by_echo, by_place, interleaved
from serving.volume.voxels import check_affine, choose_volume, grid_of

_COMPLEX = {"phase", "real", "imaginary"}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Stack:
    """The frames of one volume in order, and where they lie.

    Attributes:
        frames: by position along the normal; the volume's axes are (column index, row index, slice).
        affine: voxel to scanner mm, RAS+.
        volumes: how many volumes the series has.
        warnings: sentences.
    """

    frames: tuple[Frame, ...]
    affine: np.ndarray
    volumes: int
    warnings: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        first = self.frames[0]
        return first.columns, first.rows, len(self.frames)


def volumes_of(frames: list[Frame]) -> list[list[Frame]]:
    """Frames of one orientation and size sorted into volumes: every position once in each.

    Frames of several echo times whose positions interleave at one spacing are one volume.

    Raises:
        InvalidInput: some positions have more frames than others.
    """
    groups: dict[tuple[str, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.group].append(frame)
    stacks: list[list[Frame]] = []
    for members in groups.values():
        echoes = by_echo(members)
        stacks += [[frame for index in part for frame in echoes[index]] for part in interleaved(echoes)]
    volumes: list[list[Frame]] = []
    for members in sorted(stacks, key=lambda members: min(frame.order for frame in members)):
        places = by_place(members)
        depths = {len(found) for found in places}
        if len(depths) > 1:
            raise InvalidInput(
                f"The series is incomplete: of its {len(places)} slice positions some have {min(depths)} "
                f"and some {max(depths)} pictures. "
                "Send the whole series, and only one."
            )
        for found in places:
            found.sort(key=lambda frame: frame.order)
        volumes.extend([found[index] for found in places] for index in range(depths.pop()))
    return volumes


def stack(frames: list[Frame], limits: Imaging, volume_index: int | None) -> Stack:
    """One volume of ``frames``.

    Raises:
        InvalidInput: a single slice, a series of volumes without a choice, missing slices.
        TooLarge: more voxels than are read.
    """
    frames, warnings = magnitude(frames)
    volumes = volumes_of(frames)
    first = frames[0]
    index = choose_volume(len(volumes), volume_index, f"{first.columns} × {first.rows} × {len(volumes[0])} × {len(volumes)}")
    chosen = volumes[index]
    if len(chosen) < 2:
        raise InvalidInput(
            "This is one slice, and a whole volume is needed. Send the series: put the folder with all its files into one zip."
        )
    if len(chosen) * first.rows * first.columns > limits.max_voxels:
        raise TooLarge(
            f"The series has {grid_of((first.columns, first.rows, len(chosen)))} voxels, more than are read (setting imaging.max_voxels)."
        )
    if len(volumes) > 1:
        warnings.append(f"Volume {index} of {len(volumes)} was read.")
    affine = np.eye(4)
    affine[:3, 0] = first.row * chosen[0].spacing[1]
    affine[:3, 1] = first.column * chosen[0].spacing[0]
    affine[:3, 2] = (chosen[-1].position - chosen[0].position) / (len(chosen) - 1)
    affine[:3, 3] = chosen[0].position
    warnings += _check_gaps(chosen)
    affine = LPS_TO_RAS @ affine
    if wrong := check_affine(affine):
        raise CorruptFile(f"The geometry of the DICOM series {wrong}. Export it again.")
    return Stack(tuple(chosen), affine, len(volumes), tuple(warnings))


def magnitude(frames: list[Frame]) -> tuple[list[Frame], list[str]]:
    """The magnitude pictures, where phase, real or imaginary ones come along with them."""
    kept = [frame for frame in frames if not _COMPLEX & {word.lower() for word in frame.group}]
    if not kept or len(kept) == len(frames):
        return frames, []
    return kept, ["Phase, real or imaginary pictures were in the series too; the magnitude was read."]


def _check_gaps(chosen: list[Frame]) -> list[str]:
    places = np.array([float(frame.position @ chosen[0].normal) for frame in chosen])
    steps = np.diff(places)
    usual = float(np.median(steps))
    missing = int(np.round(steps / usual - 1).clip(min=0).sum()) if usual > 0 else 0
    if missing:
        where = int(np.argmax(steps)) + 1
        raise InvalidInput(
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing: slices lie {usual:.3g} mm apart, "
            f"and after slice {where} of {len(chosen)} there is a gap of {steps.max():.3g} mm. Send the whole series.",
            missing=missing,
        )
    if float(np.abs(steps - usual).max()) > max(0.05, 0.1 * usual):
        return [f"Slices are not evenly spaced ({steps.min():.3g} to {steps.max():.3g} mm); their mean was taken."]
    return []
