"""What Word shows is what is read: formatting that hides, numbers of lists, notes, boxes and fields, tables with merged cells."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from knowledge.reading.document import Document, Limits, Page, with_paths
from knowledge.reading.docx import read_docx
from knowledge.reading.tables import described

SPACES = " ".join(
    f'xmlns:{prefix}="{address}"'
    for prefix, address in {
        "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
    }.items()
)
TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def read(tmp_path: Path, body: str, **parts: str) -> Document:
    """A Word document with ``body`` and other parts (styles, numbering, footnotes, ...) by name."""
    extra = {name: content for name, content in parts.items() if name != "chunk"}
    links = [f'<Relationship Id="x{name}" Type="{TYPE}/{name}" Target="{name}.xml"/>' for name in extra]
    if "chunk" in parts:
        links.append(f'<Relationship Id="chunk" Type="{TYPE}/aFChunk" Target="chunk.html"/>')
    relations = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
    path = tmp_path / "x.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("_rels/.rels", relations.format(f'<Relationship Id="m" Type="{TYPE}/officeDocument" Target="word/document.xml"/>'))
        archive.writestr("word/_rels/document.xml.rels", relations.format("".join(links)))
        archive.writestr("word/document.xml", f"<w:document {SPACES}><w:body>{body}</w:body></w:document>")
        for name, content in extra.items():
            archive.writestr(f"word/{name}.xml", f"<w:{name} {SPACES}>{content}</w:{name}>")
        if "chunk" in parts:
            archive.writestr("word/chunk.html", parts["chunk"])
    data = read_docx(path, Limits())
    pages = tuple(Page(p["number"], p["start"], p["text"]) for p in data["pages"])
    blocks = with_paths(data["blocks"], pages[0].text, dict(data["cells"]))
    return Document("x.docx", data["media_type"], pages, blocks, False, warnings=tuple(data["warnings"]))


def r(text: str, look: str = "") -> str:
    return f'<w:r><w:rPr>{look}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def p(content: str, about: str = "") -> str:
    content = content if content.startswith("<") else r(content)
    return f"<w:p><w:pPr>{about}</w:pPr>{content}</w:p>"


def listed(text: str, list_id: int = 1, depth: int = 0) -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{list_id}"/></w:numPr>')


STYLES = (
    '<w:style w:type="paragraph" w:styleId="Gone"><w:rPr><w:vanish/></w:rPr></w:style>'
    '<w:style w:type="paragraph" w:styleId="Base"><w:basedOn w:val="Gone"/></w:style>'
    '<w:style w:type="character" w:styleId="Old"><w:rPr><w:strike/></w:rPr></w:style>'
    '<w:style w:type="character" w:styleId="Back"><w:rPr><w:vanish/></w:rPr></w:style>'
)
HIDDEN = {
    "vanish": (p(r("DUTY", "<w:vanish/>")), "hidden text"),
    "vanish by a style's base": (p("DUTY", '<w:pStyle w:val="Base"/>'), "hidden text"),
    "strike": (p(r("DUTY", '<w:strike w:val="true"/>')), "struck"),
    "double strike": (p(r("DUTY", "<w:dstrike/>")), "struck"),
    "strike by a character style": (p(r("DUTY", '<w:rStyle w:val="Old"/>')), "struck"),
    "white on white": (p(r("DUTY", '<w:color w:val="FFFFFF"/>')), "background"),
    "blue on blue": (p(r("DUTY", '<w:color w:val="0000FF"/><w:shd w:val="clear" w:fill="0000FE"/>')), "background"),
    "size": (p(r("DUTY", '<w:sz w:val="2"/>')), "small"),
    "deleted": (p('<w:del w:id="1"><w:r><w:delText>DUTY</w:delText></w:r></w:del>'), "tracked change"),
    "moved away": (p("<w:moveFrom><w:r><w:t>DUTY</w:t></w:r></w:moveFrom>"), "tracked change"),
    "deleted row": ("<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc>" + p("DUTY") + "</w:tc></w:tr><w:tr/></w:tbl>", "tracked change"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_text_is_left_out_and_quoted(tmp_path: Path, name: str):
    body, why = HIDDEN[name]
    document = read(tmp_path, p("Before.") + body + p("After."), styles=STYLES)
    assert document.text == "Before.\n\nAfter."
    assert len(document.warnings) == 1 and '"DUTY"' in document.warnings[0] and why in document.warnings[0]


SHOWN = {
    "not struck after all": (p(r("Duty", '<w:strike w:val="0"/>')), "Duty"),
    "shown against its style": (p(r("Duty", '<w:vanish w:val="false"/>'), '<w:pStyle w:val="Gone"/>'), "Duty"),
    "styles that cancel each other": (p(r("Duty", '<w:rStyle w:val="Back"/>'), '<w:pStyle w:val="Gone"/>'), "Duty"),
    "white on black": (p(r("Duty", '<w:color w:val="FFFFFF"/><w:shd w:val="clear" w:fill="000000"/>')), "Duty"),
    "formatting before a change": (p(r("Duty", "<w:rPrChange><w:rPr><w:strike/></w:rPr></w:rPrChange>")), "Duty"),
    "footnote mark": (p(r("in 30") + r("1", '<w:vertAlign w:val="superscript"/>') + r(" days")), "in 30[1] days"),
    "raised by position": (p(r("in 30") + r("1", '<w:position w:val="8"/>') + r(" days")), "in 30[1] days"),
    "power": (p(r("10") + r("6", '<w:vertAlign w:val="superscript"/>')), "10^6"),
    "line break": (p("<w:r><w:t>10</w:t><w:br/><w:t>200</w:t></w:r>"), "10\n200"),
    "symbol": (
        p('<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>' + r(" yes ") + r("\uf0a8", '<w:rFonts w:ascii="Wingdings"/>')),
        "☑ yes ☐",
    ),
    "symbol of a font without shift": (p(r("þ", '<w:rFonts w:ascii="Wingdings"/>') + r(" no")), "☑ no"),
    "greek": (p('<w:r><w:sym w:font="Symbol" w:char="F0B3"/></w:r>' + r(" 5")), "≥ 5"),
    "legacy boxes": (
        p(
            '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData></w:fldChar></w:r>'
            '<w:r><w:instrText> FORMCHECKBOX </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
            + r(" yes ")
            + '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:default w:val="0"/></w:checkBox></w:ffData></w:fldChar></w:r>'
            '<w:r><w:instrText> FORMCHECKBOX </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>' + r(" no")
        ),
        "☒ yes ☐ no",
    ),
    "legacy drop-down": (
        p(
            '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="Low"/><w:listEntry '
            'w:val="High"/></w:ddList></w:ffData></w:fldChar></w:r><w:r><w:instrText> FORMDROPDOWN </w:instrText></w:r>'
            '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
        ),
        "High",
    ),
    "content control": ("<w:sdt><w:sdtPr><w14:checkbox/></w:sdtPr><w:sdtContent>" + p("☒ yes") + "</w:sdtContent></w:sdt>", "☒ yes"),
    "content control in a line": (p(r("Risk: ") + "<w:sdt><w:sdtContent>" + r("high") + "</w:sdtContent></w:sdt>"), "Risk: high"),
    "field of a symbol": (p('<w:fldSimple w:instr=" SYMBOL 254 \\f Wingdings "/>' + r(" yes")), "☑ yes"),
    "result of a field": (p('<w:fldSimple w:instr=" REF a ">' + r("12 May") + "</w:fldSimple>"), "12 May"),
    "ruby": (p("<w:r><w:ruby><w:rt>" + r("kan") + "</w:rt><w:rubyBase>" + r("漢") + "</w:rubyBase></w:ruby></w:r>"), "漢(kan)"),
    "frame": ("<w:tbl><w:tr><w:tc>" + p("One.") + p("Two.") + "</w:tc></w:tr></w:tbl>", "One.\n\nTwo."),
    "deleted end of a paragraph": (p("Every ", "<w:rPr><w:del/></w:rPr>") + p("duty"), "Every duty"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_shown_text_is_read(tmp_path: Path, name: str):
    body, text = SHOWN[name]
    document = read(tmp_path, body, styles=STYLES)
    assert document.text == text and not document.warnings


def level(depth: int, pattern: str, form: str = "decimal", more: str = "") -> str:
    return f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>{more}<w:lvlText w:val="{pattern}"/></w:lvl>'


def lists(*levels: str, more: str = "", number: str = "") -> str:
    return (
        f'<w:abstractNum w:abstractNumId="0">{"".join(levels)}</w:abstractNum>{more}'
        f'<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="0"/>{number}</w:num>'
    )


NUMBERED = {
    "restart": (
        lists(level(0, "%1."), number='<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'),
        listed("a") + listed("b") + listed("c", 2),
        "1. a\n2. b\n1. c",
    ),
    "going on in another list": (lists(level(0, "%1.")), listed("a") + listed("b", 2), "1. a\n2. b"),
    "restart after a given level": (
        lists(level(0, "%1"), level(1, "%2"), level(2, "%3", more='<w:lvlRestart w:val="1"/>')),
        listed("a") + listed("b", 1, 1) + listed("c", 1, 2) + listed("d", 1, 1) + listed("e", 1, 2) + listed("f") + listed("g", 1, 2),
        "1 a\n1 b\n1 c\n2 d\n2 e\n2 f\n1 g",
    ),
    "words": (lists(level(0, "%1:", "ordinalText")), listed("a") + listed("b"), "First: a\nSecond: b"),
    "zeros": (lists(level(0, "%1", "decimalZero")), listed("a"), "01 a"),
    "legal": (
        lists(level(0, "Art. %1", "upperRoman"), level(1, "%1.%2", more="<w:isLgl/>")),
        listed("a") + listed("b", 1, 1),
        "Art. I a\n1.1 b",
    ),
    "empty paragraph counts": (lists(level(0, "%1.")), listed("a") + listed("<w:r/>") + listed("b"), "1. a\n3. b"),
    "hidden paragraph does not": (
        lists(level(0, "%1.")),
        listed("a")
        + p(r("x", "<w:vanish/>"), '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr><w:rPr><w:vanish/></w:rPr>')
        + listed("b"),
        "1. a\n2. b",
    ),
}


@pytest.mark.parametrize("name", NUMBERED)
def test_numbers_of_lists(tmp_path: Path, name: str):
    numbering, body, text = NUMBERED[name]
    assert read(tmp_path, body, numbering=numbering).text == text


def test_notes_stand_at_their_marks(tmp_path: Path):
    body = p(r("within 30") + '<w:r><w:footnoteReference w:id="4"/></w:r>' + r(" days")) + p("After.")
    notes = '<w:footnote w:id="4">' + p(r(" Working days.")) + '</w:footnote><w:footnote w:id="5">' + p("Loose.") + "</w:footnote>"
    document = read(tmp_path, body, footnotes=notes)
    assert document.text == "within 30[1] days\n\n[1] Working days.\n\nAfter."
    assert [block.kind for block in document.blocks] == ["paragraph", "footnote", "paragraph"]
    assert len(document.warnings) == 1 and "Loose." in document.warnings[0]


def test_another_document_inside_is_read(tmp_path: Path):
    document = read(tmp_path, p("Before.") + '<w:altChunk r:id="chunk"/>', chunk="<p>Inner <s>old</s> duty.</p>")
    assert document.text == "Before.\n\nInner duty."
    document = read(tmp_path, p("Before.") + '<w:altChunk r:id="none"/>')
    assert "inside the document" in document.warnings[0]


def test_merged_cells_are_a_grid(tmp_path: Path):
    def tc(text: str, about: str = "") -> str:
        return f"<w:tc><w:tcPr>{about}</w:tcPr>{p(text)}</w:tc>"

    rows = [
        tc("Region", '<w:vMerge w:val="restart"/>') + tc("2024", '<w:gridSpan w:val="2"/>'),
        tc("<w:r/>", "<w:vMerge/>") + tc("Q1") + tc("Q2"),
        tc("South") + tc("230") + tc("240"),
    ]
    document = read(tmp_path, "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>")
    assert document.text == "Region\t2024\nRegion\tQ1\tQ2\nSouth\t230\t240"
    assert described(document.blocks[0].cells, document.text) == {2: "South, 2024 Q1: 230; South, 2024 Q2: 240"}


def test_what_is_not_read_is_named(tmp_path: Path):
    comment = '<w:comment w:id="0">' + p("Check this.") + "</w:comment>"
    unknown = p('<w:r><w:sym w:font="Company Dingbats" w:char="F041"/></w:r>' + r(" a"))
    document = read(tmp_path, unknown, comments=comment)
    told = " ".join(document.warnings)
    assert "Check this." in told and "Company Dingbats" in told
