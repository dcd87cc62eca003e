"""No export gives a spreadsheet a formula: the writer, and every export there is, found from the code."""

from __future__ import annotations

import ast
import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra.csv_export import guarded, unguarded, write_csv
from knowledge.requirements import read_requirements_file
from knowledge.requirements.contract import Source
from pipelines.compliance.contract import Evidence
from pipelines.compliance.export_data import report_csv
from pipelines.imaging.cohort.entries import Entry
from pipelines.imaging.cohort.table import measurements_csv
from pipelines.imaging.report import Measurement
from pipelines.imaging.statistics import statistics_csv
from tests.unit.pipelines.compliance.analysed import analysed, verdict
from tests.unit.pipelines.imaging.test_pictures import a_report

ROOT = Path(__file__).parents[3]
ROOMS = ("workbench", "pipelines", "serving", "knowledge", "infra")
STARTS = ("=", "+", "-", "@", "\t", "\r")
HOSTILE = "{}cmd|' /C calc'!A0"


def _compliance(start: str) -> str:
    text = HOSTILE.format(start)
    one = verdict(1, text + " must hold", "violated", evidence=text, difference=text)
    source = Source(text, text, 1, 0, 5, text, "c1")
    requirement = replace(one.requirement, id=text, topic=text, source=source)
    assert isinstance(one.evidence[0], Evidence)
    return report_csv(analysed(replace(one, requirement=requirement)))


def _statistics(start: str) -> str:
    text = HOSTILE.format(start)
    return statistics_csv(a_report(measurements=[Measurement(name=text, value=-3.5, unit=text, definition=text)])[0])


def _cohort(start: str) -> str:
    text = HOSTILE.format(start)
    facts = dict.fromkeys(("participant", "session", "run", "sequence"), text)
    done = Entry(text, "done", facts, {"quality": text, text: -3.5, "change (ml)": -3.5}, (text,), same_as=text)
    return measurements_csv([done, Entry("b", "failed", error={"code": text, "message": text})])


EXPORTS: dict[str, Callable[[str], str]] = {"report_csv": _compliance, "statistics_csv": _statistics, "measurements_csv": _cohort}


def _called(name: str) -> set[tuple[str, str]]:
    """``(file, function)`` of every call of ``name`` in the program (``writer``: the module csv's)."""
    found = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "node_modules" not in path.parts):
        source = path.read_text(encoding="utf-8")
        if name not in source:
            continue
        for function in ast.walk(ast.parse(source)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and _is(call.func, name):
                        found.add((str(path.relative_to(ROOT)), function.name))
    return found


def _is(function: ast.expr, name: str) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr == name and (name != "writer" or (isinstance(function.value, ast.Name) and function.value.id == "csv"))
    return isinstance(function, ast.Name) and function.id == name


def test_every_export_goes_through_the_one_writer_and_is_tested_here():
    for name in ("writer", "DictWriter", "to_csv", "write_csv"):
        calls = _called(name)
        if name == "write_csv":
            assert {function for _, function in calls} == set(EXPORTS)
        else:
            assert {file for file, _ in calls} <= {"infra/csv_export.py"}, f"csv files are written with {name} in {calls}"


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("export", EXPORTS)
def test_no_cell_of_an_export_is_a_formula(export: str, start: str):
    rows = list(csv.reader(io.StringIO(EXPORTS[export](start), newline="")))
    texts = [cell for row in rows for cell in row if cell[:1] in STARTS and not re.fullmatch(r"-\d+[.]\d+", cell)]
    assert not texts
    assert len({len(row) for row in rows}) == 1 and any("calc" in cell for row in rows for cell in row)


@pytest.mark.parametrize("export", ["statistics_csv", "measurements_csv"])
def test_a_computed_number_stays_a_number(export: str):
    assert "-3.5" in [cell for row in csv.reader(io.StringIO(EXPORTS[export]("="), newline="")) for cell in row]


def test_a_carriage_return_inside_a_text_begins_no_line():
    assert write_csv(("a", "b"), [{"a": "x\r=1+1", "b": "y\n=1"}]) == 'a,b\n"x\r=1+1","y\n=1"\n'


def test_a_text_that_looks_like_a_number_is_guarded_and_a_number_is_not():
    assert write_csv(("a", "b", "c", "d"), [{"a": "-3.5", "b": -3.5, "c": None, "e": 1}]) == "a,b,c,d\n'-3.5,-3.5,,\n"


@pytest.mark.parametrize("text", ["=1", "'=1", "''-x", "'quoted'", "'", "", "plain", "\t=1", "-", "\uff1d1", "a=1"])
def test_what_was_guarded_comes_back(text: str):
    assert unguarded(guarded(text)) == text


def test_requirements_of_an_analysis_are_read_again_as_they_were(tmp_path: Path):
    long = "A supplier must keep its books in order. " * 60
    texts = ["=Suppliers must report.", "- Books must be kept, always.", "'+Doors must be shut.", "@Staff must wear badges.", long.strip()]
    requirements = [replace(verdict(n, text, "satisfied").requirement, topic="-topic", severity="high") for n, text in enumerate(texts)]
    report = analysed(*(replace(verdict(n, text, "satisfied"), requirement=requirements[n]) for n, text in enumerate(texts)))
    path = tmp_path / "requirements.csv"
    path.write_text(report_csv(report), encoding="utf-8-sig")
    told = [(one.id, one.text, one.severity, one.topic, one.modality) for one in read_requirements_file(path).requirements]
    assert told == [(one.id, one.text, one.severity, one.topic, one.modality) for one in requirements]
