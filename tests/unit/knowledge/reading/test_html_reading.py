"""What a browser shows is what is read: boundaries, visibility, list numbers, form fields and tables of HTML pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowledge.reading.document import Document, Limits, Page, with_paths
from knowledge.reading.html import read_html
from knowledge.reading.tables import described


def read(tmp_path: Path, body: str, head: str = "") -> Document:
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><html><head>{head}</head><body>{body}</body></html>", encoding="utf-8")
    data = read_html(path, Limits())
    pages = tuple(Page(p["number"], p["start"], p["text"]) for p in data["pages"])
    blocks = with_paths(data["blocks"], pages[0].text, dict(data["cells"]))
    return Document("page.html", "text/html", pages, blocks, False, warnings=tuple(data["warnings"]))


SHOWN = {
    "line break": ("10<br>200", "10\n200"),
    "blocks by style": ('Team lead<span style="display:block">Finance</span>', "Team lead\n\nFinance"),
    "items of a flex box": ('<div style="display:flex"><span>10</span><span>200</span></div>', "10 200"),
    "footnote mark": ("within 30<sup>1</sup> days", "within 30[1] days"),
    "footnote mark by style": ('within 30<span style="vertical-align:super">1</span> days', "within 30[1] days"),
    "footnote mark after 10": ("within 10<sup>2</sup> days", "within 10[2] days"),
    "linked footnote mark": ('kept 5<sup><a href="#n">[3]</a></sup> years', "kept 5[3] years"),
    "power of ten": ("above 10<sup>6</sup> records", "above 10^6 records"),
    "negative power": ("3 × 10<sup>−5</sup> mol", "3 × 10^−5 mol"),
    "square metres": ("20 m<sup>2</sup> of floor", "20 m^2 of floor"),
    "ordinal": ("the 1<sup>st</sup> of May", "the 1st of May"),
    "chemical formula": ("CO<sub>2</sub> and H<sub>2</sub>O", "CO2 and H2O"),
    "index": ("x<sub>i</sub> is", "x_i is"),
    "inserted text": ("in <del>30</del><ins>60</ins> days", "in 60 days"),
    "letters from a start": ('<ol type="a" start="4"><li>Fourth</li><li>Fifth</li></ol>', "d. Fourth\ne. Fifth"),
    "roman by style": ('<ol style="list-style-type:upper-roman"><li>One</li><li>Two</li></ol>', "I. One\nII. Two"),
    "reversed list": ("<ol reversed><li>a</li><li>b</li><li>c</li></ol>", "3. a\n2. b\n1. c"),
    "value of an item": ('<ol><li>a</li><li value="7">b</li><li>c</li></ol>', "1. a\n7. b\n8. c"),
    "number before a paragraph": ("<ol><li><p>First</p></li></ol>", "1. First"),
    "list without numbers": ('<ol style="list-style:none"><li>a</li></ol>', "a"),
    "boxes": ("<input type=checkbox> yes <input type=checkbox checked> no", "☐ yes ☑ no"),
    "drop-down": ("Country: <select><option>Chad<option selected>Mali</select>", "Country: Mali"),
    "text field": ('Name: <input value="Ann"> <input type="hidden" value="x">', "Name: Ann"),
    "generated text": ("<p class=q>Scope</p>", "§ Scope"),
    "white on blue": ('<p style="background:#00f;color:#fff">Notice</p>', "Notice"),
    "shown again": ('<p style="visibility:hidden">a<b style="visibility:visible">b</b></p>', "b"),
    "for print only": ("<p class=print>Duty</p>", "Duty"),
    "closed details": ("<details><summary>More</summary>Duty</details>", "More\n\nDuty"),
    "formula": ("<math><msup><mi>x</mi><mn>2</mn></msup></math>", "x^2"),
    "ruby": ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>", "漢(kan)"),
}
SHEET = "<style>.q::before{content:'§ '} @media print{.print{display:none}}</style>"


@pytest.mark.parametrize("name", SHOWN)
def test_shown_text_is_read(tmp_path: Path, name: str):
    body, text = SHOWN[name]
    assert read(tmp_path, body, SHEET).text == text


HIDDEN = {
    "display": ("<p class=x>DUTY</p>", ".x{display:none}", "hidden"),
    "attribute": ("<p hidden>DUTY</p>", "", "hidden"),
    "visibility": ("<p class=x>DUTY</p>", ".x{visibility:hidden}", "hidden"),
    "white on white": ("<p class=x>DUTY</p>", ".x{color:white}", "background"),
    "nearly white": ("<p class=x>DUTY</p>", ".x{color:#fdfdfd}", "background"),
    "old colour attribute": ('<font color="#ffffff">DUTY</font>', "", "background"),
    "transparent": ("<p class=x>DUTY</p>", ".x{color:rgba(0,0,0,0)}", "transparent"),
    "opacity": ("<div class=x><p>DUTY</p></div>", ".x{opacity:0}", "transparent"),
    "size": ("<p class=x>DUTY</p>", ".x{font-size:1pt}", "small"),
    "no size": ("<p class=x>DUTY</p>", ".x{font:0/0 a}", "small"),
    "off the page": ("<p class=x>DUTY</p>", ".x{position:absolute;left:-9999px}", "outside"),
    "indented away": ("<p class=x>DUTY</p>", ".x{text-indent:-9999px}", "outside"),
    "clipped": ("<p class=x>DUTY</p>", ".x{position:absolute;clip:rect(0,0,0,0)}", "hidden"),
    "no height": ("<p class=x>DUTY</p>", ".x{height:0;overflow:hidden}", "hidden"),
    "variable": ("<p class=x>DUTY</p>", ":root{--d:none}.x{display:var(--d)}", "hidden"),
    "important": ('<p class=x style="display:block">DUTY</p>', ".x{display:none!important}", "hidden"),
    "struck": ("<s>DUTY</s>", "", "struck"),
    "struck by style": ("<span class=x>DUTY</span>", ".x{text-decoration:red line-through}", "struck"),
    "row of a table": ("<table><tr><td>a<td>b<tr class=x><td>DUTY<td></table>", ".x{display:none}", "hidden"),
    "template": ("<template><p>DUTY</p></template>", "", "hidden"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_text_is_left_out_and_quoted(tmp_path: Path, name: str):
    body, sheet, why = HIDDEN[name]
    document = read(tmp_path, f"<p>Before.</p>{body}<p>After.</p>", f"<style>{sheet}</style>")
    assert "DUTY" not in document.text and document.text.startswith("Before.") and document.text.endswith("After.")
    assert len(document.warnings) == 1 and '"DUTY"' in document.warnings[0] and why in document.warnings[0]


def test_what_is_not_read_is_named(tmp_path: Path):
    body = '<p>Text</p><img src="a/org.png" alt="Organisation chart"><iframe src="inner.html"></iframe><canvas></canvas>'
    document = read(tmp_path, body, '<link rel="stylesheet" href="site.css">')
    told = " ".join(document.warnings)
    assert all(word in told for word in ("Organisation chart", "inner.html", "drawing", "site.css"))


def test_a_table_is_a_grid(tmp_path: Path):
    rows = (
        (
            "<tr><th rowspan=2>Region</th><th colspan=2>2024</th></tr><tr><th>Q1</th><th>Q2</th></tr>"
            "<tr><td rowspan=2>South<td>$<td>230<td>(5<td>)</tr><tr><td colspan=2>n/a<td colspan=2>7</tr>"
        )
        .replace("colspan=2>2024", "colspan=4>2024")
        .replace("<th>Q", "<th colspan=2>Q")
    )
    document = read(tmp_path, f"<table>{rows}</table>")
    (table,) = document.blocks
    assert document.text == "Region\t2024\nRegion\tQ1\tQ2\nSouth\t$230\t(5)\nSouth\tn/a\t7"
    for cell in table.cells:
        assert "\t" not in document.text[cell.start : cell.end]
    assert described(table.cells, document.text) == {
        2: "South, 2024 Q1: $230; South, 2024 Q2: (5)",
        3: "South, 2024 Q1: n/a; South, 2024 Q2: 7",
    }


def test_cells_are_read_like_the_page(tmp_path: Path):
    body = (
        "<table><tr><th>Item<th>Limit<tr><td>Travel<br>Hotel<td><p>10</p><p>200<sup>1</sup></p>"
        "<tr><td><s>Gifts</s>Meals<td hidden>50</table>"
    )
    document = read(tmp_path, body)
    assert document.text == "Item\tLimit\nTravel Hotel\t10 200[1]\nMeals"
    assert any("Gifts" in warning for warning in document.warnings) and any('"50"' in warning for warning in document.warnings)
