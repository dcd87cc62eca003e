import csv
import zipfile

import openpyxl
import pytest

from infra.errors import InvalidInput, NotFound
from knowledge.requirements import read_requirements_file


def written(tmp_path, text: str):
    path = tmp_path / "requirements.csv"
    path.write_text(text)
    return path


def test_csv_with_all_columns(tmp_path):
    policy = read_requirements_file(
        written(
            tmp_path, 'id,text,severity,topic,modality\nR1,"Keep records, always.",high,Records,obligation\nR2,Staff may leave early.,,,\n'
        )
    )
    first, second = policy.requirements
    assert (first.id, first.text, first.severity, first.topic, first.modality) == (
        "R1",
        "Keep records, always.",
        "high",
        "Records",
        "obligation",
    )
    assert (second.modality, second.severity) == ("permission", "medium")  # from its words
    assert policy.name == "requirements.csv"


def test_one_a_line(tmp_path):
    policy = read_requirements_file(written(tmp_path, "\nStaff must not smoke.\nDoors must be locked.\n"))
    assert [(one.id, one.modality) for one in policy.requirements] == [("1", "prohibition"), ("2", "obligation")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no requirements"),
        ("id,text\n", "has no requirements"),
        ("text\nStaff must smile.\n", "no column 'id'"),
        ("id,text,colour\n1,Staff must smile.,red\n", "column 'colour'"),
        ("id,text\n1,Staff must smile.\n1,Staff must wave.\n", "have the id '1'"),
        ("id,text,severity\n1,Staff must smile.,huge\n", "Line 2"),
        ("id,text\n1,Staff must smile, and wave.\n", "more cells than columns"),
        ("id,text\n1,Staff must smile.\n2,\n", "Line 3"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(InvalidInput) as refused:
        read_requirements_file(written(tmp_path, text))
    assert said in refused.value.message


TABLE = [["id", "text", "severity"], ["a", "Visitors must sign the visitors' book.", "high"], ["b", "Waste, sorted; must be weighed.", ""]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_delimiter_and_the_encoding_are_found(tmp_path, delimiter, encoding):
    path = tmp_path / "requirements.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(TABLE)
    found = read_requirements_file(path).requirements
    assert [(one.id, one.text, one.severity) for one in found] == [
        ("a", "Visitors must sign the visitors' book.", "high"),
        ("b", "Waste, sorted; must be weighed.", "medium"),
    ]


def test_lines_above_the_header_are_passed_over(tmp_path):
    found = read_requirements_file(written(tmp_path, 'sep=;\n\nID;Text\nx;"Staff must smile; always."\n')).requirements
    assert [(one.id, one.text) for one in found] == [("x", "Staff must smile; always.")]


def test_sentences_with_semicolons_are_no_table(tmp_path):
    found = read_requirements_file(written(tmp_path, "Staff must smile; the text must be read.\nDoors must be locked.\n")).requirements
    assert len(found) == 2


def test_an_excel_workbook_is_read(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["About this file"])
    sheet = book.create_sheet("List")
    sheet.append(["Our requirements"])
    sheet.append(["Id", "Text", "Severity", None])
    sheet.append([1, "Staff must smile.", "high"])
    sheet.append([])
    sheet.append([2.0, "Staff must wave.", None])
    path = tmp_path / "requirements.xlsx"
    book.save(path)
    found = read_requirements_file(path).requirements
    assert [(one.id, one.text, one.severity) for one in found] == [("1", "Staff must smile.", "high"), ("2", "Staff must wave.", "medium")]
    book.remove(sheet)
    book.save(path)
    with pytest.raises(InvalidInput, match="No sheet"):
        read_requirements_file(path)


def test_a_zip_that_is_no_workbook_is_refused(tmp_path):
    path = tmp_path / "requirements.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "id,text")
    with pytest.raises(InvalidInput, match="Excel"):
        read_requirements_file(path)


def test_no_file(tmp_path):
    with pytest.raises(NotFound):
        read_requirements_file(tmp_path / "nothing.csv")
