"""Entailment over HTTP, in three ways: a request, `serving.http`, and the command."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from infra.errors import InvalidInput
from serving.http import http_roles
from workbench.cli import app

PAIRS = [("wheels turn", "all wheels turn"), ("wheels turn", "wheels stand"), ("wheels turn", "")]


def test_a_request(running):
    with running.client() as client:
        body = {"pairs": [{"claim": claim, "passage": passage} for claim, passage in PAIRS]}
        answer = client.post("/models/entailment/entail", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["answers"][1] == {"entailed": 0.5, "contradicted": 0.0, "not_mentioned": 0.5}
        assert answer.json()["model"]["version"] == "1"
        assert client.post("/models/entailment/entail", json={"pairs": [["a", "b"]]}).status_code == 422
        assert client.post("/models/entailment/entail", json={"pairs": body["pairs"] * 400}).status_code == 422
    with running.stranger() as client:
        assert client.post("/models/entailment/entail", json=body).status_code == 401


async def test_a_typed_role(running):
    role = http_roles(running.url, running.token).require("entailment")
    answer = await role.entail(PAIRS * 400)  # more than one request takes
    assert answer.probabilities.shape == (1200, 3) and np.allclose(answer.probabilities[:3, 0], [1, 0.5, 0])
    assert (await role.entail([])).probabilities.shape == (0, 3)
    for wrong in ("text", ["text"], [("a",)], [("a", 1)]):
        with pytest.raises(InvalidInput, match="claim and a passage"):
            await role.entail(wrong)


def test_the_command_uses_the_running_workbench(running, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_URL", running.url)
    monkeypatch.setenv("WORKBENCH_TOKEN", running.token)
    lines = [json.dumps({"id": n, "claim": claim, "passage": passage}) for n, (claim, passage) in enumerate(PAIRS * 100)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines))
    done = CliRunner().invoke(app, ["entail", "--pairs", str(path), "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == list(range(300))
    assert rows[1] == {"id": 1, "entailed": 0.5, "contradicted": 0.0, "not_mentioned": 0.5}
