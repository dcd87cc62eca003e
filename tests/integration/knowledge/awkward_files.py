"""Makes awkward, broken and hostile documents."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from docx import Document as WordDocument
from docx.oxml import parse_xml
from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
LEFT = [f"Left column line {i} tells the first part of it" for i in range(12)]
RIGHT = [f"Right column line {i} tells the second part too" for i in range(12)]


def pdf(path: Path, *pages: list[tuple[float, float, str]], size: float = 10, picture: bool = False) -> Path:
    """A PDF whose pages hold ``(x, y from the top, text)``."""
    canvas = Canvas(str(path), pagesize=A4)
    for page in pages:
        canvas.setFont("Helvetica", size)
        for x, y, text in page:
            canvas.drawString(x, A4[1] - y, text)
        canvas.showPage()
    canvas.save()
    return path


def two_columns(path: Path) -> Path:
    """Drawn row by row, as a typesetter's PDF never should but some do."""
    page = [(60, 60, "A title that runs over both of the columns of this page")]
    for i, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        page += [(60, 100 + 14 * i, left), (320, 100 + 14 * i, right)]
    return pdf(path, page)


def table(path: Path) -> Path:
    rows = [("Item", "2018", "2017"), ("Net sales", "32,765", "31,657"), ("Operating income", "7,207", "7,692"), ("Total", "1", "2")]
    return pdf(path, [(x, 100 + 16 * i, cell) for i, row in enumerate(rows) for x, cell in zip((60, 300, 420), row, strict=True)])


def with_margins(path: Path, pages: int = 4) -> Path:
    body = "This is an ordinary sentence of the body, long enough to fill most of its line."
    return pdf(
        path,
        *[
            [
                (60, 30, "Annual report of the company"),
                *[(60, 100 + 14 * i, f"{body} {number}{i}") for i in range(8)],
                (290, 810, str(number)),
            ]
            for number in range(1, pages + 1)
        ],
    )


def encrypted(source: Path, path: Path, user: str, owner: str) -> Path:
    writer = PdfWriter(clone_from=PdfReader(source))
    writer.encrypt(user, owner, algorithm="AES-256")
    writer.write(path)
    return path


def scanned(path: Path, lines: list[str]) -> Path:
    """A page that is only a picture."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (1240, 1754), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(34)
    for i, line in enumerate(lines):
        draw.text((120, 150 + 60 * i), line, "black", font=font)
    image.save(path, "PDF", resolution=150)
    return path


def with_a_bad_page(path: Path) -> Path:
    """Page 2 of 3 refers to contents that are not there."""
    pdf(path, [(60, 60, "First page")], [(60, 60, "Second page")], [(60, 60, "Third page")])
    writer = PdfWriter(clone_from=PdfReader(path))
    from pypdf.generic import NameObject, NumberObject

    writer.pages[1][NameObject("/Contents")] = NumberObject(7)
    writer.write(path)
    return path


def word(path: Path) -> Path:
    document = WordDocument()
    document.core_properties.title = "Leave policy"
    document.add_heading("Scope", 1)
    document.add_paragraph("It holds for all employees.")
    document.add_heading("Duties", 2)
    document.add_paragraph("Ask in advance", style="List Number")
    document.add_paragraph("Tell your team", style="List Number")
    cells = document.add_table(2, 2).rows
    for row, texts in zip(cells, (("Kind", "Days"), ("Sick", "30")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    box = f"<w:r {W}><w:pict><w:txbxContent><w:p><w:r><w:t>Words in a box</w:t></w:r></w:p></w:txbxContent></w:pict></w:r>"
    document.add_paragraph("Beside a box.")._p.append(parse_xml(box))
    inserted = f'<w:ins {W} w:id="1" w:author="a"><w:r><w:t> Inserted words.</w:t></w:r></w:ins>'
    deleted = f'<w:del {W} w:id="2" w:author="a"><w:r><w:delText>Deleted words.</w:delText></w:r></w:del>'
    paragraph = document.add_paragraph("Tracked.")._p
    paragraph.append(parse_xml(inserted))
    paragraph.append(parse_xml(deleted))
    document.sections[0].header.paragraphs[0].text = "Company confidential"
    document.sections[0].footer.paragraphs[0].text = "Version 3"
    document.save(str(path))
    return path


def zipped(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def word_with(path: Path, body: bytes, **others: bytes) -> Path:
    """A DOCX whose main part is ``body``."""
    base = io.BytesIO()
    WordDocument().save(base)
    with zipfile.ZipFile(base) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return zipped(path, parts | {"word/document.xml": body} | others)


def lying_bomb(path: Path, megabytes: int = 130) -> Path:
    """Its directory says that the main part is small; it is not."""
    body = f"<w:document {W}><w:body><w:p><w:r><w:t>".encode() + b"a" * (megabytes << 20) + b"</w:t></w:r></w:p></w:body></w:document>"
    word_with(path, body)
    data = bytearray(path.read_bytes())
    size = len(body).to_bytes(4, "little")
    at = 0
    while (at := data.find(size, at)) >= 0:  # in the local header and in the directory
        data[at : at + 4] = (1000).to_bytes(4, "little")
        at += 4
    path.write_bytes(data)
    return path
