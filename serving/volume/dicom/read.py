"""From DICOM files to one volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from infra.errors import InvalidInput, WorkbenchError
from infra.settings import Imaging
from serving.volume.dicom.headers import Header, NoImage, read_header
from serving.volume.dicom.pixels import read_pixels
from serving.volume.dicom.series import Series, find_series
from serving.volume.dicom.source import SourceNote, note_of
from serving.volume.dicom.stack import stack
from serving.volume.sources import Source
from serving.volume.voxels import finish


@dataclass(frozen=True)
class DicomScan:
    """Voxels ``(1, i, j, k)``, affine (RAS+), kept facts, warnings, whether one enhanced file held it all, and what a
    DICOM SEG refers to."""

    data: np.ndarray
    affine: np.ndarray
    facts: dict[str, Any]
    warnings: list[str]
    enhanced: bool
    source: SourceNote | None = None


def read_dicom(sources: Iterable[Source], *, limits: Imaging, volume_index: int | None, series: int | None) -> DicomScan:
    """The chosen series (numbered from 1), or the best structural one; what else there was is told in the warnings.

    Raises:
        InvalidInput, CorruptFile, UnsupportedFormat, TooLarge: nothing usable; the sentence says why. Where ``series``
            is not there, ``details["series"]`` lists the choices.
    """
    headers, unread, skipped, reason = _headers(sources)
    if not headers:
        raise reason or InvalidInput("There is no DICOM picture in what was sent. Send a zip of one MR series.")
    found, notes = find_series(headers, limits)
    number = _choose(found, series)
    chosen = found[number - 1]
    built = stack(chosen.frames, limits, volume_index)
    data, warnings = finish(read_pixels(built))
    warnings = [*notes, *chosen.notes, *warnings]
    if skipped:
        what = "file without images was" if skipped == 1 else "files without images were"
        warnings.insert(0, f"{skipped} DICOM {what} skipped (structured reports, presentation states and the like).")
    if unread:
        warnings.insert(0, f"{unread} of {unread + len(headers)} files could not be read and were left out.")
    if len(found) > 1:
        others = "; ".join(_in_words(item.describe(index)) for index, item in enumerate(found, 1) if index != number)
        how = "as chosen" if series is not None else "the best structural one"
        warnings.insert(0, f"{len(found)} series were sent; series {number} was read ({how}). The others: {others}.")
    facts = {**chosen.facts, "slices": len(built.frames)}
    enhanced = "PerFrameFunctionalGroupsSequence" in chosen.frames[0].header.data
    return DicomScan(data, built.affine, facts, [*built.warnings, *warnings], enhanced, note_of(built))


def dicom_series(sources: Iterable[Source], *, limits: Imaging) -> list[dict[str, Any]]:
    """The choices: number, sequence, slices, volumes, size and spacing of every series; ``best`` marks what is read unasked.

    Raises as :func:`read_dicom`.
    """
    headers, _, _, reason = _headers(sources)
    if not headers:
        raise reason or InvalidInput("There is no DICOM picture in what was sent. Send a zip of one MR series.")
    found, _ = find_series(headers, limits)
    best = _choose(found, None)
    return [{**series.describe(number), "best": number == best} for number, series in enumerate(found, 1)]


def _headers(sources: Iterable[Source]) -> tuple[list[Header], int, int, WorkbenchError | None]:
    """Headers of images, how many files could not be read, how many hold none, and the first reason of the former."""
    headers: list[Header] = []
    unread, skipped, reason = 0, 0, None
    for number, source in enumerate(sources):
        try:
            header = read_header(source, number)
        except NoImage:
            skipped += 1
            continue
        except WorkbenchError as error:
            unread, reason = unread + 1, reason or error
            continue
        if header is not None:
            headers.append(header)
    return headers, unread, skipped, reason


def _choose(found: list[Series], series: int | None) -> int:
    if series is None:
        return max(range(len(found)), key=lambda index: found[index].score()) + 1
    if not 1 <= series <= len(found):
        choices = [item.describe(number) for number, item in enumerate(found, 1)]
        raise InvalidInput(
            f"There is no series {series}. What was sent: " + "; ".join(_in_words(choice) for choice in choices) + ".", series=choices
        )
    return series


def _in_words(choice: dict[str, Any]) -> str:
    spacing = " × ".join(f"{value:g}" for value in choice["spacing_mm"])
    volumes = f", {choice['volumes']} volumes" if choice["volumes"] > 1 else ""
    return f"series {choice['series']} ({choice['sequence']}, {choice['slices']} slices{volumes}, {spacing} mm)"
