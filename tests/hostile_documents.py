"""Documents that somebody might send to do harm, each made from code; small as files, whatever they unfold into."""

from __future__ import annotations

import gzip
import io
import json
import stat
import zipfile
import zlib
from collections.abc import Callable

from docx import Document as WordDocument

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
REL = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
WORD = 60_000_000
"""Letters of the word that once failed its batch."""


def pdf(*objects: bytes, root: int = 1, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1, with a right table of where they are."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer\n<< /Size %d /Root %d 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, root, trailer, start))


def stream(content: bytes, more: bytes = b"", *, length: int | None = None) -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content) if length is None else length, more, content)


def one_page(
    content: bytes = b"BT /F1 12 Tf 72 720 Td (Some words that can be read) Tj ET",
    *more: bytes,
    box: bytes = b"0 0 612 792",
    catalog: bytes = b"",
    resources: bytes = b"",
    filters: bytes = b"",
    count: bytes = b"1",
    length: int | None = None,
) -> bytes:
    """A PDF with one page; ``more`` are objects from 6 on."""
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        b"<< /Type /Pages /Kids [3 0 R] /Count %s >>" % count,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [%s] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> %s >> >>" % (box, resources),
        stream(content, filters, length=length),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *more,
    )


def page_chain(depth: int) -> bytes:
    nodes = [b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 3) for number in range(depth)]
    return pdf(b"<< /Type /Catalog /Pages 2 0 R >>", *nodes, b"<< /Type /Page /MediaBox [0 0 9 9] >>")


def many_pages(count: int) -> bytes:
    kids = b" ".join([b"3 0 R"] * count)
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    )


def lying_picture(side: int) -> bytes:
    picture = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8" % (side, side)
    return one_page(b"q 600 0 0 780 0 0 cm /I Do Q", stream(b"\x80" * 100, picture), resources=b"/XObject << /I 6 0 R >>")


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def docx(body: str | bytes = "", **others: bytes) -> bytes:
    """A DOCX with this main part (of a whole document, or what stands in its body) and these parts in place of its own."""
    base = io.BytesIO()
    WordDocument().save(base)
    with zipfile.ZipFile(base) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if isinstance(body, str):
        body = f"<w:document {W}><w:body>{body}</w:body></w:document>".encode()
    return zipped(*(parts | {"word/document.xml": body} | others).items())


def words(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return docx(f'<!DOCTYPE d [<!ENTITY l0 "ha">{entities}]><w:document {W}><w:body>{words("&l11;")}</w:body></w:document>'.encode())


def outside(address: str) -> bytes:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"
    link = f'<Relationships {REL}><Relationship Id="r1" Type="{kind}" Target="{address}" TargetMode="External"/></Relationships>'
    return docx(words("A template elsewhere."), **{"word/_rels/document.xml.rels": link.encode()})


def linked() -> bytes:
    link = zipfile.ZipInfo("word/media/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(io.BytesIO(docx(words("A link.")))) as archive:
        return zipped(*((name, archive.read(name)) for name in archive.namelist()), (link, b"/etc/passwd"))


def twice() -> bytes:
    out = io.BytesIO(docx(words("The first.")))
    import warnings

    with zipfile.ZipFile(out, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("word/document.xml", f"<w:document {W}><w:body>{words('The second.')}</w:body></w:document>")
    return out.getvalue()


def records(*lines: object) -> bytes:
    return b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines) + b"\n"


GOOD = {"id": "good", "text": "A record that is in order and stays."}
DOCUMENTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "PDF: page tree with itself in it": (
        "a.pdf",
        lambda: pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"),
    ),
    "PDF: page tree of 5,000 levels": ("a.pdf", lambda: page_chain(5_000)),
    "PDF: two billion pages claimed": ("a.pdf", lambda: one_page(count=b"2000000000")),
    "PDF: a negative number of pages": ("a.pdf", lambda: one_page(count=b"-7")),
    "PDF: 20,000 pages": ("a.pdf", lambda: many_pages(20_000)),
    "PDF: JavaScript": ("a.pdf", lambda: one_page(catalog=b"/OpenAction << /S /JavaScript /JS (while (true) {}) >>")),
    "PDF: starts a program": ("a.pdf", lambda: one_page(catalog=b"/OpenAction << /S /Launch /F (/bin/sh) >>")),
    "PDF: a form that is XML": ("a.pdf", lambda: one_page(b"", stream(b"<xdp>" * 9000), catalog=b"/AcroForm << /XFA 6 0 R /Fields [] >>")),
    "PDF: 300 MB in a stream": ("a.pdf", lambda: one_page(zlib.compress(b" " * 300_000_000, 9), filters=b"/Filter /FlateDecode")),
    "PDF: packed eight times": (
        "a.pdf",
        lambda: one_page(_packed(b" " * 30_000_000, 8), filters=b"/Filter [" + b"/FlateDecode " * 8 + b"]"),
    ),
    "PDF: 200,000 nested lists": ("a.pdf", lambda: one_page(catalog=b"/X " + b"[" * 200_000 + b"]" * 200_000)),
    "PDF: a page of a million metres": ("a.pdf", lambda: one_page(box=b"0 0 3e9 3e9")),
    "PDF: a page without an area": ("a.pdf", lambda: one_page(box=b"0 0 0 0")),
    "PDF: a page that is no numbers": ("a.pdf", lambda: one_page(box=b"nan inf -inf /x")),
    "PDF: tables of places in a circle": ("a.pdf", lambda: one_page().replace(b"/Root 1 0 R ", b"/Root 1 0 R /Prev 9 ")),
    "PDF: a picture that lies of its size": ("a.pdf", lambda: lying_picture(60_000)),
    "PDF: a drawing that draws itself": (
        "a.pdf",
        lambda: one_page(
            b"/X Do",
            stream(b"/X Do /X Do", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>"),
            resources=b"/XObject << /X 6 0 R >>",
        ),
    ),
    "PDF: a stream that lies of its length": ("a.pdf", lambda: one_page(length=2_000_000_000)),
    "PDF: a million saved states": ("a.pdf", lambda: one_page(b"q " * 1_000_000)),
    "PDF: a million words at one place": ("a.pdf", lambda: one_page(b"BT /F1 9 Tf " + b"(ab) Tj " * 1_000_000 + b"ET")),
    "PDF: encrypted by nonsense": (
        "a.pdf",
        lambda: pdf(b"<< /Type /Catalog >>", trailer=b"/Encrypt << /Filter /X /V 99 /R 99 /O () /U () /P -1 >>"),
    ),
    "PDF: cut off": ("a.pdf", lambda: one_page()[:300]),
    "PDF: 5 kB of noise before it": ("a.pdf", lambda: b"\x01\x02" * 2500 + one_page()),
    "DOCX: 130 MB in a part": ("a.docx", lambda: docx(b"<a>" + b"a" * (130 << 20) + b"</a>")),
    "DOCX: a billion laughs": ("a.docx", laughs),
    "DOCX: reads a file of the host": (
        "a.docx",
        lambda: docx(
            f'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><w:document {W}><w:body>{words("&x;")}</w:body></w:document>'.encode()
        ),
    ),
    "DOCX: 50,000 nested tables": (
        "a.docx",
        lambda: docx("<w:tbl><w:tr><w:tc>" * 50_000 + words("deep") + "</w:tc></w:tr></w:tbl>" * 50_000),
    ),
    "DOCX: a word of 60 MB": ("a.docx", lambda: docx(words("a" * WORD))),
    "DOCX: a cell over two billion columns": (
        "a.docx",
        lambda: docx(f'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2147483647"/></w:tcPr>{words("wide")}</w:tc></w:tr></w:tbl>'),
    ),
    "DOCX: a template of the host": ("a.docx", lambda: outside("file:///etc/passwd")),
    "DOCX: a template of the network": ("a.docx", lambda: outside("http://127.0.0.1:9/t.dotm")),
    "DOCX: a part that leads outside": ("a.docx", lambda: docx(words("Out."), **{"../../evil.xml": b"<a/>"})),
    "DOCX: a part that is a link": ("a.docx", linked),
    "DOCX: two main parts": ("a.docx", twice),
    "DOCX: no main part": ("a.docx", lambda: zipped(("[Content_Types].xml", b"<Types/>"), ("word/x.xml", b"<a/>"))),
    "DOCX: bytes that no XML has": ("a.docx", lambda: docx(f"<w:document {W}><w:body>".encode() + b"\x00\x01\xff</w:body></w:document>")),
    "HTML: 200,000 nested parts": ("a.html", lambda: b"<html><body>" + b"<div>" * 200_000 + b"deep"),
    "HTML: a word of 60 MB": ("a.html", lambda: b"<html><body><p>" + b"a" * WORD),
    "HTML: a comment without end": ("a.html", lambda: b"<html><body>Words<!-- " + b"-" * 1_000_000),
    "HTML: a cell over two billion columns": (
        "a.html",
        lambda: b'<html><table><tr><td colspan="2147483647" rowspan="2147483647">wide</td></tr></table>',
    ),
    "HTML: 5,000 nested tables": ("a.html", lambda: b"<html>" + b"<table><tr><td>" * 5_000 + b"deep"),
    "HTML: an encoding that lies": ("a.html", lambda: b'<html><meta charset="utf-7"><body>+ADw-script+AD4- \xff\xfe\x00'),
    "text: NUL bytes": ("a.txt", lambda: b"Words\x00with\x00zeros " * 100),
    "text: broken UTF-8": ("a.txt", lambda: b"Words \xc3\x28 \xe2\x82 \xf0\x9f\x92 \xed\xa0\x80 more words. " * 50),
    "text: half of UTF-16": ("a.txt", lambda: b"\xff\xfe" + "words".encode("utf-16-le") + b"\xd8"),
    "text: turned round": ("a.txt", lambda: "Pay \u202e001$\u202c to \u2066nobody\u2069. ".encode() * 100),
    "text: a line of 60 MB": ("a.txt", lambda: b"a" * WORD),
    "text: gzipped bomb": ("a.txt", lambda: gzip.compress(bytes(200_000_000))),
    "CSV: a cell of 20 MB": ("a.csv", lambda: b"a,b\n1," + b"x" * 20_000_000 + b"\n"),
    "CSV: a quotation without end": ("a.csv", lambda: b'a,b\n1,"' + b"x,\n" * 100_000),
    "CSV: 100,000 columns": ("a.csv", lambda: (b",".join([b"a"] * 100_000) + b"\n") * 3),
    "Markdown: 100,000 nested quotations": ("a.md", lambda: b"> " * 100_000 + b"deep"),
    "records: nested without end": ("a.jsonl", lambda: records(GOOD, b"[" * 500_000, b'{"id": ' * 100_000)),
    "records: half a surrogate": (
        "a.jsonl",
        lambda: records(
            GOOD,
            b'{"id": "\\ud800", "text": "half \\udfff of it"}',
            b'{"id": "t", "title": "\\ud800", "text": "words of it", "kind": "\\udc00"}',
        ),
    ),
    "records: a number of 10,000 digits": (
        "a.jsonl",
        lambda: records(
            GOOD, b'{"id": ' + b"9" * 10_000 + b', "text": "x"}', b'{"id": "n", "text": "words", "year": ' + b"9" * 4_000 + b"}"
        ),
    ),
    "records: an id of 1 MB": ("a.jsonl", lambda: records(GOOD, {"id": "x" * 1_000_000, "text": "Words."})),
    "records: NUL in id and text": (
        "a.jsonl",
        lambda: records(GOOD, {"id": "a\x00b", "text": "Wor\x00ds."}, {"id": "../../x", "text": "Words."}, {"id": "", "text": "No id."}),
    ),
    "records: no objects": ("a.jsonl", lambda: records(GOOD, 1, [], None, {"id": {}, "text": []}, {"text": "no id"}, b"\xff\xfe")),
}


def _packed(content: bytes, times: int) -> bytes:
    for _ in range(times):
        content = zlib.compress(content, 9)
    return content
