"""Packages of one's own: the backend that docs/backends.md shows, and a role in one file; installed, and served on a real Ray Serve."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

PAGE = Path(__file__).parents[3] / "docs" / "backends.md"

ROLE = """
from abc import abstractmethod
from dataclasses import dataclass

from infra.errors import IntegrityError, InvalidInput
from serving.backends.backend import Backend
from serving.roles.role import Role
from serving.registry.versions import ModelRef


@dataclass(frozen=True)
class Shouted:
    text: str
    model: ModelRef


class ShoutBackend(Backend):
    role = "shout"

    @abstractmethod
    def shout(self, text): ...

    def smoke_test(self):
        if self.shout("a").text != "A!":
            raise IntegrityError("It does not shout.")


class Shout(Role):
    name, method, backend, answer_type = "shout", "shout", ShoutBackend, Shouted
    missing = "No model for shouting is installed."

    def check(self, text):
        if not isinstance(text, str):
            raise InvalidInput("Send a text.")
        return (text,)


ROLE = Shout()


class Upper(ShoutBackend):
    name = "upper"

    def load(self):
        self.mark = (self.weights() / "mark.json").read_text().strip()

    def shout(self, text):
        return Shouted(text.upper() + self.mark, self.ref)
"""

SCRIPT = """
import asyncio, json, sys
from pathlib import Path

import httpx
from fastapi import FastAPI

from infra.errors import InvalidInput, WorkbenchError
from infra.settings import load_settings
from serving.cluster.application import deploy
from serving.http import Gateway, HttpRole
from serving.local import local_roles
from serving.cluster.head import join, start_head
from serving.registry.registration import register
from serving.cluster.remote import serve_roles
from serving.roles import known_roles, role_names

home, table, mark = map(Path, sys.argv[1:])
models = {role: {"backend": "none"} for role in ("segmentation", "llm", "entailment")}
settings = load_settings(home=home, ray={"object_store_mb": 128}, models={**models, "shout": {"backend": "upper"}})
words = register(settings, table, "embedding", backend="word-table")
shout = register(settings, mark, "shout")
from serving.registry.promotion import promote
promote(settings, f"shout/{shout.ref.version}")
assert role_names()[-1] == "shout"


async def ask(roles):
    vectors = await roles.embedding.embed(["the brain", "a bill", "The brain."], version=words.ref.version)
    assert vectors.model == words.ref and vectors.vectors.shape == (3, 16)
    assert (vectors.vectors[0] @ vectors.vectors[2]) > 0.99 > (vectors.vectors[0] @ vectors.vectors[1])
    said = await roles.shout.shout("help")
    try:
        await roles.shout.shout(5)
        raise SystemExit("a number was taken")
    except InvalidInput:
        pass
    return said


async def over_http(roles):
    from types import SimpleNamespace

    from workbench.api import models as api

    app = FastAPI()
    api.require_user = lambda: None
    app.include_router(api.model_routes(SimpleNamespace(roles=roles)))
    gateway = Gateway("http://workbench", None)
    gateway.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://workbench")
    return await HttpRole(known_roles()["shout"], gateway).shout("help")

answers = [asyncio.run(ask(local_roles(settings)))]
answers.append(asyncio.run(over_http(local_roles(settings))))
head = start_head(settings)
try:
    join(head.address, settings)
    deploy(settings)
    answers.append(asyncio.run(ask(serve_roles())))
finally:
    head.stop()
print(json.dumps([[answer.text, answer.model.as_dict()] for answer in answers] + [words.as_dict()]))
"""


@pytest.mark.timeout(400)
def test_a_backend_and_a_role_from_outside_are_registered_and_called(tmp_path: Path, served_home: Path) -> None:
    code = {kind: re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(), re.DOTALL)[0] for kind in ("python", "toml")}
    assert len(code["python"].splitlines()) <= 40
    one, two, site = tmp_path / "word-table", tmp_path / "shout", tmp_path / "site"
    one.mkdir(), two.mkdir()
    (one / "word_table.py").write_text(code["python"])
    (one / "pyproject.toml").write_text(code["toml"])
    (two / "shouting.py").write_text(ROLE)
    points = '\n[project.entry-points."workbench.roles"]\nshout = "shouting:ROLE"\n'
    changed = code["toml"].replace("embedding.word-table", "shout.upper").replace("word_table:WordTable", "shouting:Upper")
    (two / "pyproject.toml").write_text(changed.replace("word_table", "shouting").replace('"word-table"', '"shouting"') + points)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    for package in (one, two):
        subprocess.run([*pip, str(package)], check=True, timeout=120)
    table, mark = tmp_path / "table", tmp_path / "mark"
    table.mkdir(), mark.mkdir()
    save_file({"table": np.random.default_rng(0).normal(size=(997, 16)).astype(np.float32)}, table / "model.safetensors")
    (table / "README.md").write_text("---\nlicense: cc0-1.0\n---\n# A table of words\n")
    save_file({"nothing": np.zeros(1, np.float32)}, mark / "model.safetensors")
    (mark / "mark.json").write_text("!")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(PAGE.parents[1])]), "WORKBENCH_PROFILE": "local"}
    command = [sys.executable, "-c", SCRIPT, str(served_home / "o"), str(table), str(mark)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=380, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    *answers, words = json.loads(done.stdout.splitlines()[-1])
    assert [text for text, _ in answers] == ["HELP!"] * 3 and len({json.dumps(model) for _, model in answers}) == 1
    assert answers[0][1]["backend"] == "upper" and words["ref"]["backend"] == "word-table"
    assert words["facts"] == {"title": "A table of words", "licence": "cc0-1.0"}
