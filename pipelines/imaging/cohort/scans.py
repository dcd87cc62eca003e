"""Which scans a folder holds.

- A BIDS dataset (``dataset_description.json`` or ``sub-*`` folders): every structural image, see :mod:`.bids`.
- Any other folder, nested: each file that is a scan by its ending or, where it has none, by its content; the DICOM
  slices that lie together in one folder are one scan, a DICOM file of many frames is one by itself.

A file that has a scan's ending and is broken is listed all the same, so that its analysis can say what is wrong
with it. Hidden files, and folders that an earlier cohort left its results in, are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.errors import InvalidInput, NotFound, WorkbenchError
from pipelines.imaging.cohort.bids import bids_scans, is_bids
from pipelines.imaging.cohort.outcomes import STATE

ENDINGS = (".nii", ".nii.gz", ".mgz", ".mgh", ".nrrd", ".nhdr", ".zip")
DICOM_ENDINGS = (".dcm", ".ima", ".dicom")


@dataclass(frozen=True)
class CohortScan:
    """One scan of a cohort.

    Attributes:
        name: its path below the cohort's folder, with ``/``; unique in the cohort.
        files: its file, or the DICOM slices it is stacked from, by name.
        facts: what the file's name tells (BIDS: participant, session, sequence).
    """

    name: str
    files: tuple[Path, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundScans:
    """What a folder holds.

    Attributes:
        folder: it.
        scans: by name.
        bids: whether it was read as a BIDS dataset.
        passed_over: how many files are no scans.
    """

    folder: Path
    scans: tuple[CohortScan, ...]
    bids: bool
    passed_over: int

    @property
    def one_series(self) -> bool:
        """Whether the folder is itself one DICOM series: a scan, not a cohort."""
        return len(self.scans) == 1 and len(self.scans[0].files) > 1 and self.scans[0].files[0].parent == self.folder


def find_scans(folder: Path) -> FoundScans:
    """The scans of a folder, by name; nothing is read but the heads of files without an ending.

    Raises:
        NotFound: there is no such folder.
        InvalidInput: no scan is in it.
    """
    if not folder.is_dir():
        raise NotFound("Folder not found. Check its name.")
    bids = is_bids(folder)
    if bids:
        scans = [CohortScan(path.relative_to(folder).as_posix(), (path,), facts) for path, facts in bids_scans(folder)]
        passed_over = 0
    else:
        scans, passed_over = _scans_below(folder)
    if not scans:
        raise InvalidInput("No scans found: the folder has no NIfTI, MGZ, NRRD, DICOM or zip file. Check the folder.")
    return FoundScans(folder, tuple(sorted(scans, key=lambda scan: scan.name)), bids, passed_over)


def _scans_below(root: Path) -> tuple[list[CohortScan], int]:
    scans: list[CohortScan] = []
    passed_over = 0
    for place, folders, names in os.walk(root):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        if (here / STATE).is_dir():  # an earlier cohort's results
            folders[:] = []
            continue
        slices: list[Path] = []
        for name in sorted(names):
            path = here / name
            if name.startswith(".") or name in ("DICOMDIR", "Thumbs.db"):
                continue
            if name.lower().endswith(ENDINGS):
                scans.append(_single(root, path))
            elif _is_dicom(path):
                if _is_slice(path):
                    slices.append(path)
                else:
                    scans.append(_single(root, path))
            else:
                passed_over += 1
        if slices:
            name = here.relative_to(root).as_posix() if here != root else root.resolve().name
            scans.append(CohortScan(name, tuple(slices)))
    return scans, passed_over


def _single(root: Path, path: Path) -> CohortScan:
    return CohortScan(path.relative_to(root).as_posix(), (path,))


def _is_dicom(path: Path) -> bool:
    from serving.volume.kinds import kind_of_head

    if path.name.lower().endswith(DICOM_ENDINGS):
        return True
    if path.suffix and not path.suffix[1:].isdigit():  # names made of a UID end in digits
        return False
    try:
        with open(path, "rb") as file:
            return kind_of_head(file.read(1024)) == "dicom"
    except OSError:
        return False


def _is_slice(path: Path) -> bool:
    """Whether a DICOM file holds one picture; one that holds many, or cannot be read, is a scan of its own."""
    from serving.volume.dicom.headers import NoImage, read_header
    from serving.volume.sources import path_source

    try:
        header = read_header(path_source(path), 0)
    except NoImage:
        return True  # a report or presentation state beside the slices: reading the series skips it
    except (WorkbenchError, OSError):
        return False
    return (
        header is not None and "PerFrameFunctionalGroupsSequence" not in header.data and str(header.data.get("NumberOfFrames") or 1) == "1"
    )
