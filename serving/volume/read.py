"""One way in for every kind of scan."""

from __future__ import annotations

import stat
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import CorruptFile, InvalidInput, NotFound, TooLarge, UnsupportedFormat, WorkbenchError
from infra.settings import Imaging
from infra.telemetry import logger
from serving.roles.segmentation import Volume
from serving.volume.archive import folder_files, zip_members
from serving.volume.dicom.read import dicom_series, read_dicom
from serving.volume.kinds import Kind, kind_of_head, recognise
from serving.volume.mgh import read_mgh
from serving.volume.nifti import header_for, read_nifti
from serving.volume.nrrd import read_nrrd
from serving.volume.scan import ScanFile
from serving.volume.sources import Source, is_gzip, path_source, read_head, unpacked_head

log = logger(__name__)

UNFORESEEN = "The file is damaged: its header says what cannot be. Export or copy it again."


def read_scan(
    path: Path | str, limits: Imaging | None = None, *, volume_index: int | None = None, series: int | None = None, name: str | None = None
) -> ScanFile:
    """A scan from a file, a zip or a folder of DICOM files; what it is, is told by its content.

    Nothing is written, nothing is unpacked to disk, and no claim of a header is believed before it is checked against
    the file's size and ``limits``.

    Args:
        limits: ``settings.imaging``.
        volume_index: which volume of a 4-D series, from 0.
        series: which of several DICOM series, from 1; by default the best structural one.
        name: what the scan is called; by default the path's last part.

    Raises:
        InvalidInput: it cannot be used, and the sentence says what to do; its subclasses CorruptFile, UnsupportedFormat, TooLarge.
        NotFound: there is no such file.
    """
    path, limits = Path(path), limits or Imaging()
    try:
        return _read(path, limits, volume_index, series, name or path.name)
    except WorkbenchError:
        raise
    except MemoryError:
        raise TooLarge("There is not enough memory to read this scan. Send a smaller one.") from None
    except RecursionError:
        raise CorruptFile("The file's header is nested without end. It is damaged; export it again.") from None
    except Exception as error:
        # A library met what nobody foresaw. Its words may quote names and ids: only its kind and place are logged.
        place = traceback.extract_tb(error.__traceback__)[-1]
        log.warning("a scan could not be parsed", error=type(error).__name__, module=Path(place.filename).name, line=place.lineno)
        raise CorruptFile(UNFORESEEN) from None


def list_series(path: Path | str, limits: Imaging | None = None) -> list[dict[str, Any]]:
    """The DICOM series in a file, zip or folder, to choose from with ``series``: from headers alone, no pixel is read.

    Each is ``{"series", "sequence", "slices", "volumes", "rows", "columns", "spacing_mm", "best"}``; empty for other formats.

    Raises:
        InvalidInput, NotFound: as :func:`read_scan`.
    """
    path, limits = Path(path), limits or Imaging()
    if path.is_dir():
        return _series_of(folder_files(path, limits), limits)
    if not path.is_file():
        raise NotFound("There is no such file. Check its name.")
    source = path_source(path)
    kind, _ = recognise(source)
    if kind == "zip":
        with zip_members(path, limits) as members:
            return _series_of(members, limits)
    return dicom_series([source], limits=limits) if kind == "dicom" else []


def _series_of(members: list[Source], limits: Imaging) -> list[dict[str, Any]]:
    found = [member for member in members if _look(member)[0] == "dicom"]
    return dicom_series(found, limits=limits) if found else []


def _read(path: Path, limits: Imaging, volume_index: int | None, series: int | None, name: str) -> ScanFile:
    if path.is_dir():
        return _from_heap(folder_files(path, limits), limits, volume_index, series, name, what="folder")
    try:
        status = path.stat()
    except OSError:
        raise NotFound("There is no such file. Check its name.") from None
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput("This is not a plain file. Send the scan itself.")
    source = path_source(path)
    kind, packed = recognise(source)
    if kind == "zip":
        with zip_members(path, limits) as members:
            return _from_heap(members, limits, volume_index, series, name, what="zip")
    if kind == "dicom":
        return _from_dicom([source], limits, volume_index, series, name, format="DICOM")
    return _from_single(source, kind, packed, limits, volume_index, name, where="")


def _from_single(source: Source, kind: Kind, packed: bool, limits: Imaging, volume_index: int | None, name: str, *, where: str) -> ScanFile:
    if kind == "nifti":
        data, header, warnings = read_nifti(source, packed=packed, limits=limits, volume_index=volume_index)
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        form = ("NIfTI-2" if header["sizeof_hdr"] == 540 else "NIfTI") + (", gzip" if packed else "")
    else:
        if kind == "mgh":
            data, affine, warnings = read_mgh(source, packed=packed, limits=limits, volume_index=volume_index)
            form = "MGZ" if packed else "MGH"
        else:
            if packed:
                raise UnsupportedFormat("This is an NRRD file inside a gzip. Unpack it and send the .nrrd itself.")
            data, affine, warnings = read_nrrd(source, limits=limits, volume_index=volume_index)
            form = "NRRD"
        header = header_for(affine, data.shape[1:])
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    return ScanFile(Volume(data, affine), name, form + where, header, {}, tuple(warnings))


def _from_dicom(
    sources: list[Source], limits: Imaging, volume_index: int | None, series: int | None, name: str, *, format: str
) -> ScanFile:
    scan = read_dicom(sources, limits=limits, volume_index=volume_index, series=series)
    header = header_for(scan.affine, scan.data.shape[1:])
    affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    form = format.replace("DICOM", "DICOM enhanced", 1) if scan.enhanced else format
    return ScanFile(Volume(scan.data, affine, (scan.facts["sequence"],)), name, form, header, scan.facts, tuple(scan.warnings), scan.source)


def _from_heap(members: list[Source], limits: Imaging, volume_index: int | None, series: int | None, name: str, *, what: str) -> ScanFile:
    """A zip's or folder's files: a DICOM series, or one scan of another kind."""
    kinds: list[tuple[Source, Kind | None, bool]] = [(member, *_look(member)) for member in members]
    dicom = [member for member, kind, _ in kinds if kind == "dicom"]
    if dicom:
        return _from_dicom(dicom, limits, volume_index, series, name, format=f"DICOM series, {what}")
    if any(kind == "zip" for _, kind, _ in kinds):
        raise InvalidInput(f"The {what} holds another zip and no DICOM files. Unpack the inner one and send that.")
    scans: list[tuple[Source, Kind, bool]] = [(member, kind, packed) for member, kind, packed in kinds if kind]
    if len(scans) == 1:
        member, kind, packed = scans[0]
        return _from_single(member, kind, packed, limits, volume_index, name, where=f", {what}")
    if scans:
        raise InvalidInput(f"The {what} holds {len(scans)} scans and no DICOM series. Send one of them.")
    if any(_is_numpy(member) for member in members):
        raise UnsupportedFormat(
            "This holds NumPy arrays without an affine: nothing says how large a voxel is, or where left is. Save the scan as NIfTI."
        )
    raise InvalidInput(
        f"The {what} holds no scan: none of its {len(members)} files is DICOM, NIfTI, MGZ or NRRD. "
        "Send the folder of a DICOM series, zipped."
    )


def _is_numpy(member: Source) -> bool:
    try:
        return read_head(member, 6) == b"\x93NUMPY"
    except WorkbenchError:
        return False


def _look(member: Source) -> tuple[Kind | None, bool]:
    """What a member is; a damaged one is told later, with the others."""
    try:
        head = read_head(member, 1024)
        if is_gzip(head):
            kind = kind_of_head(unpacked_head(member, 1024))
            return (kind if kind in ("nifti", "mgh") else None), True
        return kind_of_head(head), False
    except CorruptFile:
        return None, False
