"""Parts of a DOCX, unpacked under limits and parsed without entities, network or files of the host."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from lxml import etree

from infra.errors import CorruptFile, PasswordProtected, TooLarge
from knowledge.reading.document import Limits

_RELATIONSHIPS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


class Package:
    """A DOCX's zip archive. Only the parts asked for are unpacked, in pieces, up to a common limit."""

    def __init__(self, path: Path | BinaryIO, limits: Limits) -> None:
        self._left = limits.max_unpacked_mb << 20
        self._limit_mb = limits.max_unpacked_mb
        self.damaged = False
        """A part that was parsed ends before its time, or is beyond what the parser takes."""
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise CorruptFile("The Word document is damaged: its archive cannot be opened.") from error
        members = self._archive.infolist()
        if len(members) > 20_000:
            raise TooLarge(f"The Word document has {len(members):,} parts, too many to open safely.")
        # XML is what gets parsed; pictures are never unpacked, so their size does not matter.
        text = sum(m.file_size for m in members if m.filename.endswith((".xml", ".rels")))
        if text > self._left:
            raise TooLarge(
                f"The Word document would unpack to {text >> 20} MB of text parts; at most {limits.max_unpacked_mb} MB are read. "
                "It was not unpacked."
            )
        self.names = {m.filename.lstrip("/"): m for m in members}

    def close(self) -> None:
        self._archive.close()

    def read(self, name: str) -> bytes:
        """The bytes of a part, whatever its directory entry claims, within what is left of the limit."""
        member = self.names[name]
        if member.flag_bits & 1:
            raise PasswordProtected("The document is password-protected. Remove the password and upload it again.")
        pieces = []
        try:
            with self._archive.open(member) as stream:
                while piece := stream.read(1 << 16):
                    self._left -= len(piece)
                    if self._left < 0:
                        raise TooLarge(f"The Word document unpacks to more than {self._limit_mb} MB; reading was stopped.")
                    pieces.append(piece)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise CorruptFile(f"The Word document is damaged: its part '{name}' cannot be unpacked.") from error
        return b"".join(pieces)

    def xml(self, name: str) -> etree._Element | None:
        """A part as a tree; None where the document has no such part.

        Entities are not expanded, whatever they name; a damaged tail is cut off, and what precedes it is kept.
        """
        if name not in self.names:
            return None
        content = self.read(name)
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            recover=True,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            root = etree.fromstring(content, parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise CorruptFile(f"The Word document is damaged: its part '{name}' is not XML.") from error
        if root is None:
            raise CorruptFile(f"The Word document is damaged: its part '{name}' is not XML.")
        self.damaged = self.damaged or any(fault.level == etree.ErrorLevels.FATAL for fault in parser.error_log)
        return root

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Relationship id -> (last word of its type, target part) of a part; '' for the package itself. External ones are left out."""
        folder, name = posixpath.split(part)
        root = self.xml(posixpath.join(folder, "_rels", f"{name}.rels"))
        found: dict[str, tuple[str, str]] = {}
        for item in root.iter(_RELATIONSHIPS) if root is not None else ():
            if item.get("TargetMode") == "External":
                continue
            target = item.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found[item.get("Id", "")] = (item.get("Type", "").rsplit("/", 1)[-1], path)
        return found

    def main_part(self) -> str:
        """The part that holds the text."""
        for kind, target in self.relations("").values():
            if kind == "officeDocument" and target in self.names:
                return target
        if "word/document.xml" in self.names:
            return "word/document.xml"
        raise CorruptFile("The file looks like a Word document but has no text part; it is damaged or another type of file.")
