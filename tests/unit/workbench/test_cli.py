import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.cli.jobs_client import whole_id
from workbench.cli.status import log_files
from workbench.services.report_text import report_text

run = CliRunner().invoke


def refusal(result) -> dict:
    assert result.exit_code == 1, result.output
    return json.loads(result.stdout)["error"]


def test_help_names_every_command():
    said = run(app, ["--help"]).stdout
    for name in ("up", "status", "down", "logs", "login", "doctor", "analyze", "jobs", "models", "pipelines"):
        assert f"  {name} " in said


def test_help_is_quick_and_imports_nothing_heavy():
    code = "import sys; import workbench.cli; print(' '.join(sys.modules))"
    began = time.monotonic()
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"ray", "gradio", "mlflow", "torch", "numpy", "fastapi", "sqlmodel", "pydantic"}
    assert time.monotonic() - began < 5  # about 0.3 s on an idle machine


@pytest.mark.parametrize("command", [["status", "--json"], ["jobs", "show", "abc", "--json"], ["pipelines", "show", "nothing", "--json"]])
def test_a_refusal_is_one_json_document(command):
    error = refusal(run(app, command))
    assert set(error) == {"code", "message", "correlation_id"} and error["message"] and error["correlation_id"]


@pytest.mark.parametrize(
    "command", [["nonsense"], ["analyze", "/nowhere/at/all.nii"], ["jobs", "retry", "abc", "--model", "x"], ["up", "--port", "x"]]
)
def test_wrong_use_has_exit_code_2(command):
    assert run(app, command).exit_code == 2


def test_a_folder_without_scans_is_refused_and_one_with_scans_needs_a_place_for_its_results(tmp_path: Path):
    error = refusal(run(app, ["analyze", str(tmp_path), "--json"]))
    assert error["code"] == "invalid_input" and "No scans" in error["message"]
    (tmp_path / "a.nii.gz").write_bytes(b"x")
    result = run(app, ["analyze", str(tmp_path)])
    assert result.exit_code == 2 and "--out" in result.output


def test_a_folder_in_which_nothing_can_be_analysed_has_exit_code_1_and_says_why(tmp_path: Path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii.gz").write_bytes(b"no gzip")
    result = run(app, ["analyze", str(tmp_path / "scans"), "--out", str(tmp_path / "out"), "--json"])
    said = json.loads(result.stdout)
    assert result.exit_code == 1 and (said["done"], said["failed"]) == (0, 1) and said["scans"][0]["error"]["code"]
    assert (tmp_path / "out" / "quality.html").is_file()


def test_several_scans_are_a_study_or_a_mistake(tmp_path: Path):
    scans = [tmp_path / "T1.nii.gz", tmp_path / "FLAIR.nii.gz"]
    for scan in scans:
        scan.write_bytes(b"no gzip")
    result = run(app, ["analyze", *map(str, scans)])
    assert result.exit_code == 2 and "--study" in result.output
    assert run(app, ["analyze", *map(str, scans), "--study"]).exit_code == 2, "a study needs --out"
    assert run(app, ["analyze", str(scans[0]), "--study", "--out", str(tmp_path / "out")]).exit_code == 2
    error = refusal(run(app, ["analyze", *map(str, scans), "--study", "--out", str(tmp_path / "out"), "--json"]))
    assert error["message"].startswith("T1: ") and error["code"] in ("corrupt_file", "unsupported_format", "invalid_input")


def test_a_running_workbench_analyses_each_sequence_and_they_are_merged_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tests.heads import grid, head_labels
    from tests.unit.pipelines.imaging.test_study import BOTH, leave
    from workbench.cli import analyze, running

    shape, affine = grid(5.0)
    sent = []

    def remote(client, scan, out, progress):
        sent.append(scan.name)
        progress(1.0, "Done")
        leave(out, head_labels(shape, affine, [BOTH]), affine)

    monkeypatch.setattr(running, "find_running", lambda settings: object())
    monkeypatch.setattr(analyze, "analyze_remote", remote)
    scans = [tmp_path / "T1.nii.gz", tmp_path / "FLAIR.nii.gz"]
    for scan in scans:
        scan.write_bytes(b"sent as it is")
    result = run(app, ["analyze", *map(str, scans), "--study", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0 and sent == ["T1.nii.gz", "FLAIR.nii.gz"], result.output
    assert "1 lesion detected" in result.stdout and "visible in T1" in result.stdout and "residual 0.0 mm" in result.stdout
    assert (tmp_path / "out" / "study_segmentation.nii.gz").is_file()


def test_models_are_named_by_role_and_version():
    assert refusal(run(app, ["models", "promote", "nonsense/1", "--json"]))["code"] == "invalid_input"
    assert refusal(run(app, ["models", "rollback", "spleen", "--json"]))["code"] == "invalid_input"
    missing = run(app, ["models", "register", "/nowhere/at/all", "--role", "segmentation", "--json"])
    assert refusal(missing)["code"] == "not_found" and "/nowhere/at/all" in missing.output


def test_no_jobs_yet():
    assert json.loads(run(app, ["jobs", "list", "--json"]).stdout) == []


def test_a_pipeline_is_shown():
    shown = json.loads(run(app, ["pipelines", "show", "imaging", "--json"]).stdout)
    assert shown["name"] == "imaging" and shown["mermaid"].startswith("flowchart")
    assert "flowchart" in run(app, ["pipelines", "show", "imaging"]).stdout


def test_an_unknown_setting_is_refused(monkeypatch):
    monkeypatch.setenv("WORKBENCH_GATEWAY__PROT", "8000")
    error = refusal(run(app, ["status", "--json"]))
    assert error["code"] == "configuration" and "WORKBENCH_GATEWAY__PORT" in error["message"]


def test_an_address_where_nobody_answers(monkeypatch):
    monkeypatch.setenv("WORKBENCH_URL", "http://127.0.0.1:9")
    assert refusal(run(app, ["jobs", "list", "--json"]))["code"] == "unavailable"


def test_logs_of_nothing():
    result = run(app, ["logs"])
    assert result.exit_code == 1 and "no log" in result.stderr


def test_logs_by_component(tmp_path: Path):
    for name in ("gateway.log", "serving-llm.log", "ray.log"):
        (tmp_path / name).write_text("line\n")
    assert [file.name for file in log_files(tmp_path, "serving")] == ["serving-llm.log"]
    assert len(log_files(tmp_path, None)) == 3


def test_ids_may_be_shortened():
    assert whole_id("ab", ["abc", "xyz"]) == "abc"
    for start in ("q", ""):
        with pytest.raises(Exception, match="job"):
            whole_id(start, ["abc", "xyz"])


def test_a_report_reads_from_the_finding_on():
    report = {
        "job": "j",
        "input": {"name": "scan.nii.gz", "format": "NIfTI", "shape": [2, 3, 4], "spacing_mm": [1.0, 1.0, 2.5], "orientation": "RAS"},
        "quality": {"verdict": "limited", "score": 0.5, "reasons": ["Low resolution."]},
        "models": [{"role": "segmentation", "name": "m", "version": "1", "digest": "d", "backend": "b", "device": "cpu"}],
        "measurements": [],
        "lesions": [],
        "sentences": [{"section": "Volumes", "text": "The brain has 1200 ml.", "support": "measured", "confidence": 0.9}],
        "confidence": 0.8,
        "seconds": {"segment": 1.25},
    }
    lines = report_text(report).splitlines()
    assert lines[0] == "scan.nii.gz: NIfTI, 2 x 3 x 4 voxels of 1 x 1 x 2.5 mm, RAS"
    assert "  The brain has 1200 ml. [measured]" in lines and "Quality limited (0.50): Low resolution." in lines
