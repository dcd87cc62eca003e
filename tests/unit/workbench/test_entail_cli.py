"""`workbench entail` without a running workbench: lines in, lines out, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app

run = CliRunner().invoke
PASSAGE = "The processor shall notify the controller of a breach within 72 hours.\x0cPage two speaks of other matters."


def write(folder: Path, *rows: object) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n\n")
    return path


def test_a_line_out_for_every_line_in(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"id": "a", "claim": "The processor shall notify the controller of a breach within 72 hours.", "passage": PASSAGE},
        {"id": 7, "claim": "Children like the taste of oranges.", "passage": PASSAGE, "more": "is passed over"},
    )
    done = run(app, ["entail", "--pairs", str(path), "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(row) for row in rows] == [["id", "entailed", "contradicted", "not_mentioned"]] * 2
    assert [row["id"] for row in rows] == ["a", 7]
    assert all(abs(sum(list(row.values())[1:]) - 1) < 1e-4 for row in rows)
    assert rows[0]["entailed"] > 0.5 and rows[1]["not_mentioned"] > 0.5

    plain = run(app, ["entail", "--pairs", "-"], input=path.read_text())
    assert plain.exit_code == 0 and plain.stdout.splitlines()[0].startswith("a\tentailed\t")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Line 2 of pairs.jsonl is not JSON"),
        ("[1]", '"id"'),
        ({"claim": "c", "passage": "p"}, '"id"'),
        ({"id": 1, "claim": "c"}, '"passage"'),
        ({"id": 1, "claim": 3, "passage": "p"}, '"claim"'),
    ],
)
def test_a_bad_line_is_refused_before_anything_is_read(tmp_path: Path, line: object, said: str) -> None:
    path = write(tmp_path, {"id": "a", "claim": "c", "passage": "p"}, line)
    done = run(app, ["entail", "--pairs", str(path), "--json"])
    error = json.loads(done.stdout)["error"]
    assert done.exit_code == 1 and error["code"] == "invalid_input" and said in error["message"] and error["correlation_id"]


def test_without_a_model_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_MODELS__ENTAILMENT__BACKEND", "none")
    done = run(app, ["entail", "--pairs", str(write(tmp_path, {"id": 1, "claim": "c", "passage": "p"})), "--json"])
    assert done.exit_code == 1 and json.loads(done.stdout)["error"]["code"] == "model_missing"


def test_a_version_that_is_not_there(tmp_path: Path) -> None:
    done = run(app, ["entail", "--pairs", str(write(tmp_path, {"id": 1, "claim": "c", "passage": "p"})), "--version", "77", "--json"])
    assert done.exit_code == 1 and json.loads(done.stdout)["error"]["code"] == "not_found"


@pytest.mark.parametrize("arguments", [[], ["--pairs", "/nowhere/pairs.jsonl"], ["--pairs", "/tmp"]])
def test_wrong_use_has_exit_code_2(arguments: list[str]) -> None:
    assert run(app, ["entail", *arguments, "--json"]).exit_code == 2
