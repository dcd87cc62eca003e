"""Messages and web archives: head, body and attachments in one document; what cannot be read is named."""

from __future__ import annotations

import io
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from infra.errors import CorruptFile, UnsupportedFormat
from knowledge.reading import kinds
from knowledge.reading.dispatch import read_kind
from knowledge.reading.document import Limits

PLAIN = "Data are deleted within 30 days after the contract ends. The fee is €10,000 a year.\n"


def message(plain: str = PLAIN, html: str = "") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "Aufbewahrung für Akten"
    mail.set_content(plain, cte="quoted-printable")
    if html:
        mail.add_alternative(html, subtype="html", cte="base64")
    return mail


def read(mail: EmailMessage | bytes, name: str = "x.eml") -> tuple[str, dict[str, Any]]:
    file = io.BytesIO(mail if isinstance(mail, bytes) else mail.as_bytes())
    data = read_kind(kinds.sniff(file, Path(name).suffix), file, Limits(ocr=False), lambda *_: None, frozenset())
    return data["pages"][0]["text"], data


def test_a_message_is_decoded():
    text, data = read(message())
    assert text == f"From: a@example.org\nTo: b@example.org\nSubject: Aufbewahrung für Akten\n\n{PLAIN.strip()}"
    assert data["title"] == "Aufbewahrung für Akten" and data["media_type"] == kinds.EML and not data["warnings"]


def test_of_two_forms_the_fuller_is_read_once():
    text, _ = read(message(html="<p>Data are deleted within 30 days after the contract ends.</p>"))
    assert text.count("30 days") == 1 and text.count("€10,000") == 1
    text, data = read(message(plain="Only here: pay 5 euros.", html="<p>Nothing is due. <span hidden>DUTY</span></p>"))
    assert "Nothing is due." in text and "Only here" not in text and "DUTY" not in text
    told = " ".join(data["warnings"])
    assert "Only here: pay 5 euros." in told and "DUTY" in told


def test_attachments_stand_under_headings():
    mail = message()
    mail.add_attachment(b"<h1>Annex</h1><p>Gifts above 50<sup>1</sup> euros.</p>", maintype="text", subtype="html", filename="annex.html")
    inner = message("Forwarded duty.")
    mail.add_attachment(inner)
    mail.add_attachment(bytes(range(256)) * 10, maintype="application", subtype="octet-stream", filename="data.bin")
    mail.add_attachment(b"\x89PNG....", maintype="image", subtype="png", filename="logo.png")
    text, data = read(mail)
    assert "Attachment: annex.html\n\nAnnex\n\nGifts above 50[1] euros." in text and "Forwarded duty." in text
    told = " ".join(data["warnings"])
    assert "'data.bin' was not read" in told and "logo.png" in told
    blocks = [(kind, text[start:end]) for kind, start, end, _, _ in data["blocks"]]
    assert ("heading", "Attachment: annex.html") in blocks and ("heading", "Annex") in blocks


def test_a_table_in_an_attachment_keeps_its_cells():
    mail = message()
    mail.add_attachment(b"<table><tr><th>A<th>B<tr><td>1<td>2</table>", maintype="text", subtype="html", filename="t.html")
    text, data = read(mail)
    ((_, cells),) = data["cells"]
    assert [text[cell[4] : cell[5]] for cell in cells] == ["A", "B", "1", "2"]


def test_a_web_archive_is_read_as_its_page():
    archive = (
        b"From: <Saved by Blink>\r\nSnapshot-Content-Location: https://example.org/\r\nSubject: Terms\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/related; type="text/html"; boundary="B"\r\n\r\n--B\r\nContent-Type: text/html\r\n'
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Within 30 d=\r\nays.</p>\r\n--B\r\nContent-Type: image/png\r\n"
        b"Content-Location: https://example.org/a.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--B--\r\n"
    )
    text, data = read(archive, "page.mht")
    assert text == "Within 30 days." and data["media_type"] == kinds.MHT and "a.png" in data["warnings"][0]


def test_messages_inside_messages_end():
    mail = message("Innermost.")
    for _ in range(6):
        outer = message("Outer.")
        outer.add_attachment(mail)
        mail = outer
    _, data = read(mail)
    assert any("nested too deeply" in warning for warning in data["warnings"])


@pytest.mark.parametrize("text", ["From: here\nTo: there\n\nA letter.", "Note: this.\n\nIn 30 days.", "Date: 1 May\nPlace: Bern\n"])
def test_a_text_that_begins_like_a_message_is_none(text: str):
    assert kinds.sniff(io.BytesIO(text.encode()), ".txt") == kinds.TEXT


def test_other_compound_files_are_refused_by_name():
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4000)
    with pytest.raises(UnsupportedFormat, match="doc"):
        kinds.sniff(io.BytesIO(content), ".doc")
    with pytest.raises(CorruptFile, match="Outlook"):
        read(content + "__substg1.0_0037001F".encode("utf-16-le"), "x.msg")
