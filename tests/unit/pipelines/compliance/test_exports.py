"""What leaves the workbench says the same as the analysis, in four formats, and is safe to open."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

from docx import Document as WordDocument

from knowledge.reading import read_document
from pipelines.compliance.actions import draft, recommended
from pipelines.compliance.export_data import report_csv, report_json
from pipelines.compliance.export_docx import write_docx
from pipelines.compliance.export_pdf import write_pdf
from pipelines.compliance.wording import counted, deciding, explained, gaps, headline, standing
from serving.roles import Roles
from tests.unit.pipelines.compliance.analysed import analysed, verdict
from tests.unit.pipelines.questions.conftest import READER, WRITER, Script, SharedStems


def test_what_is_a_gap_and_what_is_none() -> None:
    report = analysed()
    assert [standing(one) for one in report.requirements] == ["satisfied", "violated", "missing", "silent", "permission", "satisfied"]
    assert [one.requirement.id for one in gaps(report)] == ["R2", "R3"]  # the severest first
    assert counted(report.requirements) == {"violated": 1, "missing": 1, "satisfied": 2, "silent": 1, "permission": 1}
    assert headline(report) == "1 violated and 1 not addressed, of 5 requirements."
    assert headline(analysed(report.requirements[0])) == "No gaps found in 1 requirement."


def test_the_explanation_names_a_requirement_by_its_words() -> None:
    one = verdict(1, "Contracts must be in writing.", "violated", evidence="By word of mouth.")
    found = replace(one, requirement=replace(one.requirement, id="361d84c578df393d"))
    grade = replace(analysed(one).grade, explanation=("The requirement 361d84c578df393d caps the score at 39.", "R2 is 0123456789abcdef."))
    report = replace(analysed(found), grade=grade)
    assert explained(report) == ["The requirement “Contracts must be in writing.” caps the score at 39.", "R2 is 0123456789abcdef."]


def test_an_action_cites_both_sides_and_there_is_none_without_a_gap() -> None:
    kept, violated, missing, silent, permission, _ = analysed().requirements
    change, add = recommended(violated), recommended(missing)
    assert change is not None and change.evidence is deciding(violated)
    assert "page 3" in change.text and "Outsourcing Policy, page 2" in change.text and "24 hours, not ten days" in change.text
    assert add is not None and add.text.startswith("Add a provision") and add.evidence is None
    assert recommended(kept) is recommended(silent) is recommended(permission) is None


async def test_a_draft_is_held_against_the_requirement_sentence_by_sentence() -> None:
    one = verdict(2, "Incidents must be reported within 24 hours.", "violated", evidence="Incidents are reported within ten days.")
    writer = Script("Incidents must be reported within 24 hours. Bananas grow on bright yellow planets.")
    made = await draft(one, Roles(llm=writer, entailment=SharedStems()))
    assert [sentence for sentence, _ in made.sentences] == [
        "Incidents must be reported within 24 hours.",
        "Bananas grow on bright yellow planets.",
    ]
    good, bad = (sure for _, sure in made.sentences)
    assert good > 0.9 and bad < 0.1
    assert made.models == (WRITER, READER)
    asked = writer.asked[0][-1].content
    assert one.requirement.text in asked and "ten days" in asked
    assert (await draft(one, Roles(llm=Script("  "), entailment=SharedStems()))).sentences == ()


def test_json_is_the_report_itself() -> None:
    report = analysed()
    assert json.loads(report_json(report)) == json.loads(json.dumps(report.as_dict()))


def test_csv_has_a_row_a_requirement_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(analysed()))))
    assert [row["id"] for row in rows] == ["R1", "R2", "R3", "R4", "R5", "R6"]
    assert rows[1]["evidence"] == "'=Incidents are reported within <b>ten</b> days."
    assert (rows[1]["standing"], rows[1]["violated"], rows[1]["page"], rows[1]["conflict"]) == ("Violated", "0.900", "3", "yes")
    assert rows[2]["action"].startswith("Add a provision") and rows[2]["evidence"] == ""
    assert (rows[5]["verdict"], rows[5]["reviewed"], rows[5]["standing"]) == ("violated", "satisfied", "Satisfied")


def test_pdf_says_score_gaps_and_models_and_is_the_same_again(tmp_path: Path) -> None:
    report = analysed()
    write_pdf(report, tmp_path / "one.pdf")
    write_pdf(report, tmp_path / "two.pdf")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    text = " ".join(read_document(tmp_path / "one.pdf").text.split())
    for said in (
        "41 of 100", "Critical risk", "1 violated and 1 not addressed, of 5 requirements.", "within <b>ten</b> days.", "Add a provision",
        "terms & conditions.pdf", "because a critical requirement is violated", "Staff must wear badges.",
        "workbench-entailment, version 3",
    ):  # fmt: skip
        assert said in text, said


def test_pdf_of_a_long_analysis_breaks_over_pages(tmp_path: Path) -> None:
    many = [verdict(n, f"Requirement {n} must be kept. " * 9, "violated", evidence="It is not kept. " * 60) for n in range(40)]
    write_pdf(analysed(*many), tmp_path / "long.pdf")
    document = read_document(tmp_path / "long.pdf")
    assert len(document.pages) > 8
    assert "Requirement 39 must be kept." in " ".join(document.text.split())


def test_docx_has_the_gaps_and_a_table_of_all(tmp_path: Path) -> None:
    report = analysed(*analysed().requirements, verdict(7, "Odd \x0c characters must\x00 go.", "violated", evidence="\x01Odd 中文."))
    write_docx(report, tmp_path / "report.docx")
    document = WordDocument(str(tmp_path / "report.docx"))
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    assert "Score 41 of 100: critical risk" in text
    assert "Difference: 24 hours, not ten days." in text
    assert "Odd 中文." in text
    assert len(document.tables[0].rows) == 8
    assert document.tables[0].rows[2].cells[2].text == "Violated"
