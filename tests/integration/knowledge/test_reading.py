"""Documents of every kind, whole, awkward, broken and hostile, read in a real child process."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import awkward_files as make

from infra.errors import CorruptFile, NotFound, PasswordProtected, TooLarge, UnsupportedFormat, WorkbenchError
from knowledge.reading import Document, Limits, as_kb_read, read_document

LINES = ["Scanned pages are pictures of text", "The auditor signed in Geneva", "on 14 March 2019"]


def kinds(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def check_offsets(document: Document) -> None:
    text = document.text
    assert text == "\f".join(page.text for page in document.pages)
    for page in document.pages:
        assert text[page.start : page.end] == page.text and "\f" not in page.text and "\x00" not in page.text
    end = 0
    for block in document.blocks:
        assert end <= block.start < block.end <= len(text) and text[block.start : block.end].strip()
        assert not text[end : block.start].strip()
        end = block.end


def test_two_columns_are_read_one_after_the_other(tmp_path: Path):
    document = read_document(make.two_columns(tmp_path / "x.pdf"))
    check_offsets(document)
    text = document.text
    assert text.index("both of the columns") < text.index("Left column line 0") < text.index("Left column line 11")
    assert text.index("Left column line 11") < text.index("Right column line 0") < text.index("Right column line 11")


def test_rows_of_a_table_stay_together(tmp_path: Path):
    document = read_document(make.table(tmp_path / "x.pdf"))
    assert [kind for kind, _ in kinds(document)] == ["table"]
    assert "Net sales\t32,765\t31,657\nOperating income\t7,207\t7,692" in document.text


def test_headers_and_footers_are_known(tmp_path: Path):
    document = read_document(make.with_margins(tmp_path / "x.pdf"))
    check_offsets(document)
    assert [kind for kind, _ in kinds(document)] == ["header", "paragraph", "footer"] * 4
    assert document.pages_of(*[(b.start, b.end) for b in document.blocks][4]) == (2, 2)


def test_kb_read_is_the_contract(tmp_path: Path):
    read = as_kb_read(read_document(make.with_margins(tmp_path / "report.pdf")))
    assert set(read) == {"document", "title", "media_type", "language", "pages", "warnings"}
    assert read["document"] == "report.pdf" and read["media_type"] == "application/pdf" and read["language"] == "en"
    assert [page["page"] for page in read["pages"]] == [1, 2, 3, 4]
    text = "\f".join(page["text"] for page in read["pages"])
    assert all(text[page["start"] :].startswith(page["text"]) for page in read["pages"])


def test_one_bad_page_does_not_lose_the_others(tmp_path: Path):
    document = read_document(make.with_a_bad_page(tmp_path / "x.pdf"))
    assert len(document.pages) == 3
    assert "First page" in document.pages[0].text and "Third page" in document.pages[2].text


def test_a_scanned_page_is_recognised_and_said_to_be(tmp_path: Path):
    document = read_document(make.scanned(tmp_path / "x.pdf", LINES))
    assert document.pages[0].recognised and any("OCR" in warning for warning in document.warnings)
    words = set(document.text.lower().split())
    assert len(words & set(" ".join(LINES).lower().split())) >= 13


def test_a_scanned_page_without_ocr_is_said_to_hold_no_text(tmp_path: Path):
    document = read_document(make.scanned(tmp_path / "x.pdf", LINES), Limits(ocr=False))
    assert document.empty and any("picture" in warning for warning in document.warnings)


def test_a_blank_page_is_said_to_hold_nothing(tmp_path: Path):
    document = read_document(make.pdf(tmp_path / "x.pdf", []))
    assert document.empty and any("No text" in warning for warning in document.warnings)


def test_encryption(tmp_path: Path):
    source = make.pdf(tmp_path / "x.pdf", [(60, 60, "Printed only by permission")])
    with pytest.raises(PasswordProtected, match="password"):
        read_document(make.encrypted(source, tmp_path / "locked.pdf", "secret", "owner"))
    assert "by permission" in read_document(make.encrypted(source, tmp_path / "open.pdf", "", "owner")).text


def test_word(tmp_path: Path):
    document = read_document(make.word(tmp_path / "leave.docx"))
    check_offsets(document)
    assert document.title == "Leave policy" and not document.paged and document.pages_of(0, 5) is None
    found = kinds(document)
    assert ("heading", "Scope") in found and ("table", "Kind\tDays\nSick\t30") in found
    assert ("list", "1. Ask in advance") in found and ("list", "2. Tell your team") in found
    assert ("header", "Company confidential") in found and ("footer", "Version 3") in found
    assert "Words in a box" in document.text and "Inserted words." in document.text and "Deleted" not in document.text
    duty = next(block for block in document.blocks if "Ask in advance" in document.text[block.start : block.end])
    assert duty.headings == ("Scope", "Duties")


def test_html(tmp_path: Path):
    path = tmp_path / "x.html"
    path.write_text(
        "<html lang=en><head><title>Rules</title><script>alert('no')</script></head><body><nav>Home</nav><h1>Part\n one</h1>"
        "<p>Some <b>bold</b>\n text.<br>Next line.</p><ul><li>first</li><li>second</li></ul>"
        "<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table><img src='http://127.0.0.1:9/x.png'></body></html>"
    )
    document = read_document(path)
    check_offsets(document)
    assert document.title == "Rules" and "alert" not in document.text
    assert kinds(document) == [
        ("header", "Home"),
        ("heading", "Part one"),
        ("paragraph", "Some bold text.\nNext line."),
        ("list", "first"),
        ("list", "second"),
        ("table", "A\tB\n1\t2"),
    ]


def test_markdown_text_and_csv_are_their_own_text(tmp_path: Path):
    for name, text, kind in (
        ("a.md", "# Title\n\nWords *here*.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", "text/markdown"),
        ("a.txt", "Plain words.\n\nMore of them, naïve ones.\n", "text/plain"),
        ("a.csv", 'id,text\n1,"two, words"\n2,"a\nb"\n', "text/csv"),
    ):
        path = tmp_path / name
        path.write_text(text)
        document = read_document(path)
        check_offsets(document)
        assert (document.media_type, document.text, document.paged) == (kind, text, False)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str):
    text = "Überprüfung der Jahresabschlüsse für Größe und Maß.\n" * 5
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    document = read_document(path)
    assert document.text == text and document.language == "de"


def test_the_content_decides_not_the_name(tmp_path: Path):
    source = make.pdf(tmp_path / "x.pdf", [(60, 60, "Really a PDF")])
    source.rename(tmp_path / "x.docx")
    assert read_document(tmp_path / "x.docx").media_type == "application/pdf"


REFUSED = {
    "empty": (b"", CorruptFile, "empty"),
    "blank": (b"  \n\n", CorruptFile, "empty"),
    "program": (b"MZ" + bytes(range(256)) * 40, UnsupportedFormat, "program"),
    "noise": (bytes(range(256)) * 40, UnsupportedFormat, "binary"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(200), UnsupportedFormat, "picture"),
    "old word": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), UnsupportedFormat, "docx"),
    "encrypted word": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), PasswordProtected, "password"),
    "half a pdf": (b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog", CorruptFile, "damaged"),
    "half a zip": (b"PK\x03\x04" + bytes(100), CorruptFile, "damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, name: str):
    content, error, word = REFUSED[name]
    path = tmp_path / "x.pdf"
    path.write_bytes(content)
    with pytest.raises(error, match=word) as refusal:
        read_document(path)
    assert refusal.value.message.endswith(".") and str(tmp_path) not in refusal.value.message


def test_other_archives_are_named(tmp_path: Path):
    with pytest.raises(UnsupportedFormat, match="zip archive"):
        read_document(make.zipped(tmp_path / "x.docx", {"a.txt": b"hello"}))
    with pytest.raises(UnsupportedFormat, match="Excel"):
        read_document(make.zipped(tmp_path / "y.docx", {"[Content_Types].xml": b"<a/>", "xl/workbook.xml": b"<a/>"}))
    with pytest.raises(NotFound):
        read_document(tmp_path / "none.pdf")


def test_entities_are_not_expanded(tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the host's own words")
    body = (
        f'<!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}"><!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        f"<w:document {make.W}><w:body><w:p><w:r><w:t>Before &x; &b; after</w:t></w:r></w:p></w:body></w:document>"
    )
    document = read_document(make.word_with(tmp_path / "x.docx", body.encode()))
    assert "Before" in document.text and "after" in document.text and "own words" not in document.text and "aaaa" not in document.text


@pytest.mark.parametrize("lies", [False, True])
def test_a_bomb_is_refused_before_it_costs_anything(tmp_path: Path, lies: bool):
    path = tmp_path / "x.docx"
    if lies:
        make.lying_bomb(path)
    else:
        make.word_with(path, b"<a>" + b"a" * (130 << 20) + b"</a>")
    started = time.process_time()
    with pytest.raises((TooLarge, CorruptFile)):
        read_document(path)
    assert time.process_time() - started < 2


def test_limits_hold(tmp_path: Path):
    source = make.with_margins(tmp_path / "x.pdf", 30)
    with pytest.raises(TooLarge, match="30 pages"):
        read_document(source, Limits(max_pages=10))
    with pytest.raises(TooLarge, match="characters"):
        read_document(source, Limits(max_characters=500))
    with pytest.raises(TooLarge, match="memory"):
        read_document(source, Limits(max_memory_mb=12))
    with pytest.raises(TooLarge, match="timed out"):
        read_document(source, Limits(stall_cpu_seconds=0.0))
    with pytest.raises(TooLarge, match="MB"):
        read_document(source, Limits(max_file_mb=0))


def test_progress_is_told(tmp_path: Path):
    told: list[tuple[int, int, str]] = []
    read_document(make.with_margins(tmp_path / "x.pdf", 5), on_progress=lambda *at: told.append(at))
    assert told == [(number, 5, "reading") for number in range(1, 6)]


def test_nothing_is_written_beside_the_file(tmp_path: Path):
    path = make.scanned(tmp_path / "x.pdf", LINES)
    read_document(path)
    assert [item.name for item in tmp_path.iterdir()] == ["x.pdf"]


def test_errors_are_the_houses_own(tmp_path: Path):
    path = tmp_path / "deep.html"
    path.write_text("<div>" * 200_000 + "deep")
    try:
        read_document(path)
    except WorkbenchError as error:
        assert error.message
