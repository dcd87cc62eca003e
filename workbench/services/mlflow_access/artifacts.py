"""Rules for files: those of runs and logged models are shared, and written by those who made them."""

from __future__ import annotations

import re

from infra.errors import InvalidInput, NotAllowed
from workbench.services.mlflow_access.asked import Asked, Sent
from workbench.services.mlflow_access.records import check_place, find_model, find_run, own_model, own_run

_PLACE = re.compile(r"(?P<root>(?:\d+/)?(?:(?P<run>[0-9a-f]{32})|models/(?P<model>m-[0-9a-f]{32}))/artifacts)(?:/.*)?")
# A file that somebody uploaded must not run as a page of the workbench.
SANDBOX = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
SERVED = "/api/2.0/mlflow-artifacts/artifacts"


async def of_run(asked: Asked) -> Sent:
    """Listing and reading a run's files."""
    run = await find_run(asked, asked.one("run_id", "run_uuid"))
    check_place(asked, run.artifacts)
    return _reading(asked)


async def of_model(asked: Asked) -> Sent:
    """Listing and reading a logged model's files."""
    model = await find_model(asked, asked.parts["model_id"])
    check_place(asked, model.artifacts)
    return _reading(asked)


async def of_version(asked: Asked) -> Sent:
    """Reading a registered version's files."""
    named = [("name", asked.one("name")), ("version", asked.one("version"))]
    place = (await asked.fetch("/api/2.0/mlflow/model-versions/get-download-uri", named)).get("artifact_uri", "")
    check_place(asked, place)
    return _reading(asked)


async def upload(asked: Asked) -> Sent:
    """The pages' upload to a run."""
    run = await own_run(asked, asked.one("run_uuid"))
    _check_path(asked.one("path"))
    if asked.artifacts is not None and not run.artifacts.startswith("mlflow-artifacts:/"):
        raise NotAllowed("Artifacts of this run are written only by the workbench.")
    return Sent(streams=True)


async def list_served(asked: Asked) -> Sent:
    """Listing a folder by its path below the artifacts' root."""
    _place(asked, asked.one("path"))
    return Sent()


async def read_served(asked: Asked) -> Sent:
    """A file by its path below the artifacts' root."""
    path = asked.parts["artifact_path"]
    _place(asked, path)
    return Sent(path=_served(asked, path), headers=SANDBOX)


async def write_served(asked: Asked) -> Sent:
    """Writing or deleting a file of a run or logged model of one's own."""
    path = asked.parts["artifact_path"]
    place = _place(asked, path)
    found = await own_run(asked, place["run"]) if place["run"] else await own_model(asked, place["model"])
    if asked.artifacts is not None and found.artifacts != f"mlflow-artifacts:/{place['root']}":
        raise NotAllowed("The path names files of another run or model.")
    if asked.method == "DELETE":
        return Sent()
    return Sent(path=_served(asked, path), streams=True)


def _reading(asked: Asked) -> Sent:
    for name, value in asked.query:
        if name in ("path", "artifact_file_path", "artifact_directory_path") and value:
            _check_path(value)
    return Sent(headers=SANDBOX if not asked.path.endswith(("/artifacts/list", "/directories")) else {})


def _served(asked: Asked, path: str) -> str | None:
    """Where the server takes and gives files as a stream: below its prefix it holds them in memory whole."""
    return f"{SERVED}/{path}" if asked.artifacts is not None else None


def _place(asked: Asked, path: str) -> re.Match[str]:
    _check_path(path)
    found = _PLACE.fullmatch(path)
    if found is None:
        raise NotAllowed("This address serves only files of runs and logged models.")
    return found


def _check_path(path: str) -> None:
    if not path.isprintable() or re.search(r"[\\%:]", path) or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise InvalidInput("Invalid path: empty parts, '..' and these characters are not allowed: \\ % :")
