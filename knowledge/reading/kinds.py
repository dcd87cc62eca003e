"""What a file is, by its content; its name only decides between kinds of plain text."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

from infra.errors import CorruptFile, PasswordProtected, UnsupportedFormat

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = "text/html"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
CSV = "text/csv"
EML = "message/rfc822"
MHT = "multipart/related"
MSG = "application/vnd.ms-outlook"

READABLE_KINDS = "PDF, DOCX, HTML, Markdown, text, CSV, EML, MHT and MSG"
READABLE = f"Supported: {READABLE_KINDS}."
File = Path | io.BytesIO
"""A file, or the bytes of one inside another."""


def bytes_of(file: File) -> bytes:
    return file.read_bytes() if isinstance(file, Path) else file.getvalue()


_MAGIC = [
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"{\\rtf", "a Rich Text document; save it as .docx first"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"SQLite format 3", "a database"),
    (b"%!PS", "a PostScript file; save it as .pdf first"),
]
_ZIP_KINDS = [
    ("xl/", "an Excel workbook; save its sheets as .csv first"),
    ("ppt/", "a PowerPoint presentation; save it as .pdf first"),
    ("content.xml", "an OpenDocument file; save it as .docx first"),
    ("META-INF/container.xml", "an e-book; save it as .pdf first"),
]


def sniff(file: File, suffix: str = "") -> str:
    """The media type of a file.

    Args:
        file: the file.
        suffix: of its name, where ``file`` is bytes.

    Raises:
        CorruptFile: empty, or a damaged archive.
        PasswordProtected: an encrypted Office file.
        UnsupportedFormat: anything that is none of the kinds that can be read; the message says what it is.
    """
    if isinstance(file, Path):
        suffix = file.suffix
        with open(file, "rb") as opened:
            head = opened.read(65536)
    else:
        head = file.getvalue()[:65536]
    suffix = suffix.lower()
    if not head.strip(b"\x00 \t\r\n"):
        raise CorruptFile("The file is empty.")
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(b"PK"):
        return _office(file)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        if "__substg1.0_".encode("utf-16-le") in bytes_of(file)[: 1 << 24]:
            return MSG
        raise _ole(file)
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise UnsupportedFormat(f"The file is {what}. {READABLE}")
    if _binary(head):
        raise UnsupportedFormat(f"The file is binary data of an unknown kind. {READABLE}")
    text = head.decode("utf-8", "replace")
    return _mail_kind(text, suffix) or _text_kind(text, suffix)


def _mail_kind(text: str, suffix: str) -> str:
    """A message or a web archive begins with its headers; '' for what is neither."""
    head = re.split(r"\r?\n\r?\n", text.lstrip("\ufeff\r\n"), maxsplit=1)[0]
    names = {name.lower() for name in re.findall(r"^([A-Za-z][A-Za-z0-9-]*):[ \t]", head, re.M)}
    other = [line for line in head.splitlines() if line.strip() and not re.match(r"[A-Za-z][A-Za-z0-9-]*:|[ \t]|From ", line)]
    if other or not names:
        return ""
    if "mime-version" in names and "content-type" in names:
        return MHT if "multipart/related" in head.lower() and "to" not in names else EML
    if suffix in (".eml", ".mht", ".mhtml") and names & {"from", "subject", "content-type", "date"}:
        return EML
    return EML if {"from", "received"} <= names or {"from", "message-id", "date"} <= names else ""


def _office(file: File) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CorruptFile("The file begins as a zip archive (a .docx is one) but is damaged: it cannot be opened.") from error
    wordlike = "[Content_Types].xml" in names or any(re.fullmatch(r"word/document\d*\.xml", name) for name in names)
    if wordlike and not any(name.startswith(("xl/", "ppt/")) for name in names):
        return DOCX
    for mark, what in _ZIP_KINDS:
        if any(name.startswith(mark) for name in names):
            raise UnsupportedFormat(f"The file is {what}. {READABLE}")
    raise UnsupportedFormat(f"The file is a zip archive, not a Word document. Unpack it and add its files. {READABLE}")


def _ole(file: File) -> Exception:
    content = bytes_of(file)[: 1 << 22]
    if "EncryptedPackage".encode("utf-16-le") in content:
        return PasswordProtected("The document is password-protected. Remove the password in Word and upload it again.")
    return UnsupportedFormat(f"The file is an old binary Office document (.doc, .xls or .ppt); save it as .docx first. {READABLE}")


def _binary(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    zeros = head.count(0)
    if zeros:  # UTF-16 without a mark has its zeros in every other byte
        return not (zeros > len(head) * 0.3 and (head[1::2].count(0) < 3 or head[0::2].count(0) < 3))
    control = sum(head.count(byte) for byte in range(32) if byte not in (9, 10, 12, 13, 27))
    return control > len(head) * 0.02


def _text_kind(text: str, suffix: str) -> str:
    start = text.lstrip("\ufeff \t\r\n")[:4096].lower()
    if re.match(r"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype html|<html)", start, re.S) or re.match(
        r"<(head|body|div|p|h1|table)\b", start
    ):
        return HTML
    if suffix in (".html", ".htm", ".xhtml") and re.search(r"</?[a-z][^>]*>", start):
        return HTML
    if suffix == ".csv" or suffix == ".tsv" or (suffix not in (".md", ".markdown", ".txt") and looks_like_csv(text)):
        return CSV
    if suffix in (".md", ".markdown") or (suffix != ".txt" and looks_like_markdown(text)):
        return MARKDOWN
    return TEXT


def looks_like_markdown(text: str) -> bool:
    marks = len(re.findall(r"^(#{1,6} \S|[-*] \S|\d+\. \S|```|\|.*\|$|> )", text, re.M)) + len(re.findall(r"\[[^\]\n]+\]\([^)\n]+\)", text))
    return bool(re.search(r"^#{1,6} \S", text, re.M)) and marks >= 2


def looks_like_csv(text: str) -> bool:
    """At least three lines with the same number (>= 2) of delimited cells."""
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    if len(text) >= 65536 and lines:
        lines = lines[:-1]
    for delimiter in ",;\t":
        try:
            widths = {len(row) for row in csv.reader(lines, delimiter=delimiter)}
        except csv.Error:
            continue
        if len(lines) >= 3 and len(widths) == 1 and widths.pop() >= 2:
            return True
    return False
