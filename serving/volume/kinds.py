"""What a file is, by its content; its name is never asked."""

from __future__ import annotations

import struct
from typing import Literal

from infra.errors import CorruptFile, UnsupportedFormat
from serving.volume.sources import Source, is_gzip, read_head, unpacked_head

Kind = Literal["nifti", "mgh", "nrrd", "dicom", "zip"]

READS = "NIfTI (.nii, .nii.gz), MGZ or MGH, NRRD, DICOM, and a zip of a DICOM series"

_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"BM", "a bitmap picture"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (MINC 2, or MATLAB)"),
    (b"CDF\x01", "a NetCDF file (MINC 1)"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x93NUMPY", "a NumPy array without its affine"),
    (b"MATLAB", "a MATLAB file"),
    (b"ObjectType", "a MetaImage header"),
    (b"NDims", "a MetaImage header"),
)


def recognise(source: Source) -> tuple[Kind, bool]:
    """The file's kind, and whether it is inside a gzip.

    Raises:
        CorruptFile: it is empty, or its gzip cannot be opened.
        UnsupportedFormat: it is something else; the sentence says what.
    """
    if source.size == 0:
        raise CorruptFile("The file is empty (0 bytes). Copy or export it again.")
    head = read_head(source)
    if not is_gzip(head):
        return _by_content(head, inside=""), False
    head = unpacked_head(source)
    if is_gzip(head):
        raise UnsupportedFormat("The file is a gzip inside a gzip. Unpack it once and send the inner file.")
    if not head:
        raise CorruptFile("The compressed file has nothing in it. Copy or export it again.")
    kind = _by_content(head, inside=" (inside the gzip)")
    if kind in ("dicom", "zip"):
        raise UnsupportedFormat(f"The gzip holds a {'DICOM file' if kind == 'dicom' else 'zip'}. Unpack it and send that file itself.")
    return kind, True


def kind_of_head(head: bytes) -> Kind | None:
    """The kind that these first bytes show, or None."""
    if head[344:348] in (b"n+1\x00", b"ni1\x00") or head[4:8] in (b"n+2\x00", b"ni2\x00"):
        return "nifti"
    if head[:5] == b"NRRD0":
        return "nrrd"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head[128:132] == b"DICM" or _bare_dicom(head):
        return "dicom"
    if _mgh(head):
        return "mgh"
    return None


def _by_content(head: bytes, *, inside: str) -> Kind:
    kind = kind_of_head(head)
    if kind:
        return kind
    if len(head) >= 348 and (struct.unpack("<i", head[:4])[0] == 348 or struct.unpack(">i", head[:4])[0] == 348):
        raise UnsupportedFormat(
            "This is an ANALYZE header without its image, or an old ANALYZE file: it does not say where left is. Convert it to NIfTI."
        )
    for magic, name in _OTHERS:
        if head.startswith(magic):
            raise UnsupportedFormat(f"This is {name}{inside}, not a brain scan. What is read: {READS}.")
    if head[257:262] == b"ustar":
        raise UnsupportedFormat(f"This is a tar archive{inside}. Unpack it, and send the scan itself or a zip of the DICOM series.")
    if head[:1] in b"<{" and _is_text(head):
        raise UnsupportedFormat(
            f"This is a web page or a data file in text{inside}, not a scan: perhaps a download that failed. What is read: {READS}."
        )
    if _is_text(head):
        raise UnsupportedFormat(f"This is a text file{inside}, whatever its name says. What is read: {READS}.")
    raise UnsupportedFormat(f"This is no kind of scan that can be read{inside}. What is read: {READS}.")


def _bare_dicom(head: bytes) -> bool:
    """DICOM without the 128-byte preamble: it begins with an element of group 2 or 8, little endian, with a length that fits."""
    if len(head) < 16:
        return False
    group, element = struct.unpack("<HH", head[:4])
    if group not in (0x0002, 0x0008) or element > 0x0070:
        return False
    if head[4:6] in (b"UL", b"CS", b"UI", b"SH", b"LO", b"DA", b"OB"):
        return True
    return group == 8 and struct.unpack("<I", head[4:8])[0] <= 256


def _mgh(head: bytes) -> bool:
    if len(head) < 284:
        return False
    version, width, height, depth, frames, kind = struct.unpack(">6i", head[:24])
    return version == 1 and min(width, height, depth, frames) >= 1 and 0 <= kind <= 20


def _is_text(head: bytes) -> bool:
    sample = head[:2048]
    printable = sum(byte in b"\t\n\r\f\x1b" or 32 <= byte < 127 or byte >= 128 for byte in sample)
    return b"\x00" not in sample and printable >= 0.97 * len(sample)
