"""What a PDF page shows is what is read: hidden, covered and struck text, marks above the line, form fields, fonts without letters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText, Text
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, RectangleObject
from reportlab.lib.colors import Color, black, lightgrey, white
from reportlab.pdfgen.canvas import Canvas

from knowledge.reading.document import Limits
from knowledge.reading.letters import LIKELY, UNLIKELY, likeness
from knowledge.reading.pdf import read_pdf
from knowledge.reading.tables import Cell, described


def read(path: Path, *, ocr: bool = False) -> tuple[str, list[str]]:
    data = read_pdf(path, Limits(ocr=ocr), lambda *_: None)
    return "\f".join(page["text"] for page in data["pages"]), data["warnings"]


def drawn(tmp_path: Path, draw: Callable[[Canvas], None]) -> Path:
    """A page with a line above and a line below what ``draw`` draws at height 700."""
    canvas = Canvas(str(tmp_path / "x.pdf"), pagesize=(595, 842))
    canvas.setFont("Helvetica", 11)
    canvas.drawString(72, 760, "Before it stands a sentence.")
    draw(canvas)
    canvas.setFillColor(black)
    canvas.setFont("Helvetica", 11)
    canvas.drawString(72, 600, "After it stands another one.")
    canvas.save()
    return tmp_path / "x.pdf"


def in_colour(color: Color, *, behind: Color | None = None) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        if behind is not None:
            canvas.setFillColor(behind)
            canvas.rect(60, 690, 400, 30, stroke=0, fill=1)
        canvas.setFillColor(color)
        canvas.drawString(72, 700, "DUTY of the board")

    return draw


def tiny(canvas: Canvas) -> None:
    canvas.setFont("Helvetica", 0.8)
    canvas.drawString(72, 700, "DUTY of the board")


def covered(canvas: Canvas) -> None:
    canvas.drawString(72, 700, "DUTY of the board")
    canvas.rect(60, 690, 400, 30, stroke=0, fill=1)


def off_the_page(canvas: Canvas) -> None:
    canvas.drawString(72, -40, "DUTY of the board")


def invisible(canvas: Canvas) -> None:
    canvas.drawString(72, 700, "DUTY of the board", mode=3)


def struck(canvas: Canvas) -> None:
    canvas.drawString(72, 700, "DUTY of the board")
    width = canvas.stringWidth("DUTY of the board", "Helvetica", 11)
    canvas.line(72, 703.3, 72 + width, 703.3)


HIDDEN = {
    "white": (in_colour(white), "not visible"),
    "nearly white": (in_colour(Color(0.97, 0.97, 0.97)), "not visible"),
    "transparent": (in_colour(Color(0, 0, 0, alpha=0.0)), "not visible"),
    "covered by a box": (covered, "not visible"),
    "tiny": (tiny, "too small"),
    "off the page": (off_the_page, "outside the page"),
    "invisible": (invisible, "invisibly"),
    "struck": (struck, "struck"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_text_is_left_out_and_quoted(tmp_path: Path, name: str):
    draw, why = HIDDEN[name]
    text, warnings = read(drawn(tmp_path, draw))
    assert text.split() == ["Before", "it", "stands", "a", "sentence.", "After", "it", "stands", "another", "one."]
    assert len(warnings) == 1 and "DUTY of the board" in warnings[0] and why in warnings[0] and "page 1" in warnings[0]


def underlined(canvas: Canvas) -> None:
    canvas.drawString(72, 700, "DUTY of the board")
    canvas.line(72, 698.5, 170, 698.5)


def crossed_by_a_rule(canvas: Canvas) -> None:
    canvas.drawString(72, 700, "DUTY of the board")
    canvas.line(20, 703.3, 580, 703.3)


SHOWN = {
    "white on black": in_colour(white, behind=black),
    "grey on white": in_colour(Color(0.6, 0.6, 0.6)),
    "black on a shaded cell": in_colour(black, behind=lightgrey),
    "underlined": underlined,
    "crossed by a rule of the page": crossed_by_a_rule,
}


@pytest.mark.parametrize("name", SHOWN)
def test_shown_text_is_read(tmp_path: Path, name: str):
    text, warnings = read(drawn(tmp_path, SHOWN[name]))
    assert "DUTY of the board" in text and not warnings


def test_outside_the_crop_box(tmp_path: Path):
    path = drawn(tmp_path, in_colour(black))
    writer = PdfWriter(clone_from=PdfReader(path))
    writer.pages[0].cropbox = RectangleObject((0, 710, 595, 842))
    writer.write(path)
    text, warnings = read(path)
    assert text == "Before it stands a sentence." and "DUTY of the board After" in warnings[0]


def test_a_layer_that_is_off(tmp_path: Path):
    def draw(canvas: Canvas) -> None:
        canvas._code.append("/OC /L0 BDC")  # no method of reportlab's writes layers
        canvas.drawString(72, 700, "DUTY of the board")
        canvas._code.append("EMC")

    path = drawn(tmp_path, draw)
    writer = PdfWriter(clone_from=PdfReader(path))
    layer = writer._add_object(DictionaryObject({NameObject("/Type"): NameObject("/OCG")}))
    resources = writer.pages[0]["/Resources"].get_object()
    resources[NameObject("/Properties")] = DictionaryObject({NameObject("/L0"): layer})
    default = DictionaryObject({NameObject("/OFF"): ArrayObject([layer])})
    root = writer._root_object
    root[NameObject("/OCProperties")] = DictionaryObject({NameObject("/OCGs"): ArrayObject([layer]), NameObject("/D"): default})
    writer.write(path)
    text, warnings = read(path)
    assert "DUTY" not in text and "DUTY of the board" in warnings[0]
    default[NameObject("/OFF")] = ArrayObject()
    writer.write(path)
    assert "DUTY of the board" in read(path)[0]


@pytest.mark.parametrize(
    ("before", "mark", "rise", "after", "text"),
    [
        ("within 30", "1", 4, " days", "within 30[1] days"),
        ("above 10", "6", 4, " records", "above 10^6 records"),
        ("of CO", "2", -2, " a year", "of CO2 a year"),
        ("the 1", "st", 4, " of May", "the 1st of May"),
        ("20 m", "2", 4, " of floor", "20 m^2 of floor"),
    ],
)
def test_marks_above_and_below_the_line(tmp_path: Path, before: str, mark: str, rise: float, after: str, text: str):
    def draw(canvas: Canvas) -> None:
        line = canvas.beginText(72, 700)
        line.setFont("Helvetica", 11)
        line.textOut(before)
        line.setFont("Helvetica", 6.5)
        line.setRise(rise)
        line.textOut(mark)
        line.setFont("Helvetica", 11)
        line.setRise(0)
        line.textOut(after)
        canvas.drawText(line)

    assert text in read(drawn(tmp_path, draw))[0]


def test_form_fields(tmp_path: Path):
    def draw(canvas: Canvas) -> None:
        form = canvas.acroForm
        canvas.drawString(72, 700, "Exported:")
        canvas.drawString(160, 700, "yes")
        canvas.drawString(230, 700, "no")
        form.checkbox(name="yes", checked=False, x=140, y=697, size=14)
        form.checkbox(name="no", checked=True, x=210, y=697, size=14)
        canvas.drawString(72, 670, "Country:")
        form.textfield(name="country", value="Mali", x=140, y=664, width=120, height=18)

    path = drawn(tmp_path, draw)
    text, _ = read(path)
    assert "Exported: ☐ yes ☑ no" in " ".join(text.split()) and "Country: Mali" in " ".join(text.split())
    # The values are read where the file does not say how they look.
    writer = PdfWriter(clone_from=PdfReader(path))
    for annotation in writer.pages[0]["/Annots"]:
        if annotation.get_object().get("/FT") == "/Tx":
            annotation.get_object().pop("/AP", None)
    writer.write(path)
    assert "Country: Mali" in " ".join(read(path)[0].split())


def test_notes_are_told_and_words_typed_on_the_page_are_read(tmp_path: Path):
    path = drawn(tmp_path, in_colour(black))
    writer = PdfWriter(clone_from=PdfReader(path))
    writer.add_annotation(0, Text(text="Check this with the lawyer", rect=(400, 700, 420, 720)))
    writer.add_annotation(0, FreeText(text="Typed on it", rect=(72, 500, 300, 530), font_size="12pt", font_color="000000"))
    writer.write(path)
    _, warnings = read(path)
    assert any("Check this with the lawyer" in warning for warning in warnings)


def test_letters():
    assert (likeness("The supplier must delete personal data within thirty days of the request.") or 0) > LIKELY
    assert (likeness("Der Lieferant muss personenbezogene Daten innerhalb von dreißig Tagen löschen.") or 0) > LIKELY
    assert (likeness("7KH VXSSOLHU PXVW GHOHWH SHUVRQDO GDWD ZLWKLQ WKLUWB GDBV RI WKH UHTXHVW.") or 1) < UNLIKELY
    assert likeness("30 days") is None


def test_cells_of_a_table_stay_in_their_columns(tmp_path: Path):
    rows = [("", "2024", ""), ("Region", "Q1", "Q2"), ("South", "$ 230", "240"), ("North", "", "7"), ("East", "8", "9")]

    def draw(canvas: Canvas) -> None:
        for number, row in enumerate(rows):
            for text, x in zip(row, (72, 250, 400), strict=True):
                canvas.drawString(x + (80 if text == "2024" else 0), 700 - 15 * number, text)

    data = read_pdf(drawn(tmp_path, draw), Limits(ocr=False), lambda *_: None)
    text = data["pages"][0]["text"]
    assert "Region\tQ1\tQ2\nSouth\t$ 230\t240\nNorth\t\t7\nEast\t8\t9" in text
    ((_, cells),) = data["cells"]
    told = described([Cell(*cell[:6], bool(cell[6])) for cell in cells], text)
    assert "North, Q2: 7" in told.values() and "South, Q1: $ 230; South, Q2: 240" in told.values()
