"""A study as a function, in this process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import WorkbenchError
from pipelines.imaging.cohort.outcomes import folder_name
from pipelines.imaging.inline import analyze_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.settings import Settings
    from pipelines.imaging.study.report import Study
    from serving.roles import Roles

    Told = Callable[[str, float, str], None]

# A scan's name, its ending, and the number of a second scan of that name.
_NAME = re.compile(r"(.+?)(?:\.nii\.gz|\.nii|\.mgz|\.mgh|\.nrrd|\.nhdr|\.zip|\.dcm)( \(\d+\))?", re.IGNORECASE)


def analyze_study(scans: Sequence[Path | str], out: Path | str, **options: Any) -> Study:
    """:func:`analyze_study_async` for code without an event loop."""
    return asyncio.run(analyze_study_async(scans, out, **options))


async def analyze_study_async(
    scans: Sequence[Path | str],
    out: Path | str,
    *,
    settings: Settings | None = None,
    roles: Roles | None = None,
    options: Mapping[str, Any] | None = None,
    told: Told | None = None,
) -> Study:
    """Analyse the sequences of one visit, and report their lesions once.

    Leaves each one's files in a folder of its own below ``out``, and beside them ``study.json`` and
    ``study_segmentation.nii.gz`` (the reference's structures, every sequence's lesions).

    Args:
        scans: files or DICOM folders, one a sequence.
        options: as of :func:`pipelines.imaging.analyze`, for every scan.
        told: called with a sequence's name, the share of it that is done (0 to 1) and a sentence.

    Raises:
        WorkbenchError: a scan cannot be used, or does not show the same head; the sentence names it.
    """
    from infra.settings import load_settings
    from pipelines.imaging.study.merge import merge_study

    settings = settings or load_settings()
    if roles is None:
        from serving.local import local_roles

        roles = local_roles(settings)
    folders = sequence_folders(scans, Path(out))
    for scan, (name, folder) in zip(scans, folders.items(), strict=True):

        def progress(fraction: float, message: str, name: str = name) -> None:
            if told:
                told(name, fraction, message)

        with naming(name):
            await analyze_async(scan, folder, settings=settings, roles=roles, options=options, progress=progress)
    return await asyncio.to_thread(merge_study, folders, Path(out))


def sequence_folders(scans: Sequence[Path | str], out: Path) -> dict[str, Path]:
    """A name of its own for each scan (its file's, or with its folder's where two are called the same), and its folder."""
    paths = [Path(scan) for scan in scans]
    names = [sequence_name(path.name) for path in paths]
    parents = [path.resolve().parent.name for path in paths]
    unique = [f"{parent}/{name}" if names.count(name) > 1 and parent else name for name, parent in zip(names, parents, strict=True)]
    found: dict[str, Path] = {}
    for name in unique:
        number = 2
        wanted = name
        while wanted in found:
            wanted, number = f"{name} {number}", number + 1
        found[wanted] = out / folder_name(wanted)
    return found


class naming:
    """Put a sequence's name before what is said of its error."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, WorkbenchError):
            raise type(error)(f"{self._name}: {error.message}", **error.details) from error


def sequence_name(name: str) -> str:
    """A scan's file name without its ending; the number of a second scan of that name stays."""
    found = _NAME.fullmatch(name)
    return found[1] + (found[2] or "") if found else name
