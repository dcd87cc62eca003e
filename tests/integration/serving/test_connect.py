"""connect(): from nothing, to a running Ray, and in the notebook that people start with."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from nbclient import NotebookClient

from infra.errors import NotFound, Unavailable
from serving import connect
from serving.roles.segmentation import Volume
from tests.integration.conftest import Served

pytestmark = pytest.mark.timeout(400)
NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "quickstart.ipynb"


def test_three_lines_segment_embed_and_write(served: Served) -> None:
    wb = connect(address=served.address, settings=served.settings)
    assert wb.segment(Volume(np.zeros((1, 32, 32, 32), np.float32), np.eye(4))).labels.shape == (32, 32, 32)
    assert wb.embed("a text").vectors.shape == (1, 384)
    writing = wb.write("What is the capital of France?", max_tokens=16)
    pieces = list(writing)
    assert "Paris" in "".join(pieces) == writing.text and writing.model.role == "llm" and writing.finish
    for _ in wb.write("Write a very long story.", max_tokens=4000):
        break  # leaving early stops the model
    with pytest.raises(NotFound):
        wb.embed(["a"], version="99")
    assert "on Ray" in repr(wb)


async def test_it_works_where_a_loop_runs_already(served: Served) -> None:
    wb = connect(address=served.address, settings=served.settings)
    assert wb.embed(["inside a running loop, as in Jupyter"]).vectors.shape == (1, 384)


def test_an_address_that_does_not_answer_is_a_sentence() -> None:
    with pytest.raises(Unavailable, match="No workbench answers"):
        connect("http://127.0.0.1:9")


def test_the_quickstart_notebook_runs_from_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    home = tmp_path / "home"
    os.environ["WORKBENCH_HOME"] = str(home)  # the autouse fixture puts it back
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [str(out) for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert any("started here" in out for out in outputs)
    told = [out for out in outputs if "stderr" in out]
    assert not told, told
    assert any("workbench-embedding" in out for out in outputs)
    tables = [out for out in outputs if "text/html" in out]
    assert any("Segmentation" in out for out in tables) and any("Brain MRI report" in out for out in tables)
    assert (tmp_path / "segmentation.nii.gz").is_file() and (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(home) in " ".join(p.info["cmdline"] or [])]
