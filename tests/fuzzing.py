"""Random requests to every documented operation of a gateway (schemathesis), for a test and a benchmark.

Each operation is asked with values that its OpenAPI allows, with ids of things that are there, and with values that it does not
allow; signed in and not. What must hold: no answer of 5xx but a documented 503 or 504, and no status that is not documented.
"""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import requests
import schemathesis
import uvicorn
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation

from tests.e2e.harness.world import make_world
from tests.running import free_port
from workbench.gateway import build_gateway

SETTLED = 30.0
"""Seconds that one request may take."""


@dataclass
class Found:
    """What a run has found.

    Attributes:
        answers: ``(who, status)`` to how many.
        faults: a line each: 5xx, undocumented, hanging.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    operations: int = 0
    seconds: float = 0.0

    def table(self) -> str:
        """For people: statuses by who asked, and the faults."""
        people = sorted({who for who, _ in self.answers})
        statuses = sorted({status for _, status in self.answers})
        lines = [f"{self.operations} operations, {sum(self.answers.values())} requests in {self.seconds:.0f} s"]
        lines.append(f"{'status':<14}" + "".join(f"{status:>7}" for status in statuses))
        lines += [f"{who:<14}" + "".join(f"{self.answers[who, status]:>7}" for status in statuses) for who in people]
        lines += [f"FAULT {name}: {said}" for name, said in self.faults.items()] or ["no 5xx, no undocumented status"]
        return "\n".join(lines)


@dataclass(frozen=True)
class World:
    """A gateway over the simulated world of the end-to-end tests.

    Attributes:
        token: its owner's.
        ids: path parameter to an id that is there.
    """

    url: str
    token: str
    ids: dict[str, str]


@contextlib.contextmanager
def simulated_gateway(home: Path) -> Iterator[World]:
    """The whole gateway, without pages, in this process."""
    port = free_port()
    services, owner = make_world(home, port=port, seconds=0.01)
    token = services.accounts.ensure_owner_token(owner)
    server = uvicorn.Server(uvicorn.Config(build_gateway(services, pages=False), port=port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, name="gateway")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        url = f"http://127.0.0.1:{port}"
        yield World(url, token, _ids(url, token))
    finally:
        server.should_exit = True
        thread.join(30)


def fuzz(world: World, *, examples: int, seed: int, only: str = "") -> Found:
    """Ask every operation, about as often by each of: allowed values, ids that are there, values that are not allowed; a quarter
    of it not signed in.

    Args:
        examples: requests to each operation, fewer where it takes fewer that differ.
        only: a part of the operations' names, "GET /jobs".
    """
    found, began = Found(), time.monotonic()
    schema = schemathesis.openapi.from_url(f"{world.url}/openapi.json")
    for result in schema.get_all_operations():
        operation = result.ok()
        if only in operation.label:
            found.operations += 1
            _ask(found, world, operation, examples, seed)
    found.seconds = time.monotonic() - began
    return found


def _ask(found: Found, world: World, operation: APIOperation, examples: int, seed: int) -> None:
    real = {name: world.ids[name] for name in _path_names(operation) if name in world.ids}
    ways = [operation.as_strategy()]
    if real and operation.method.upper() != "DELETE":  # what is there stays there, for the operations that follow
        ways.append(operation.as_strategy(path_parameters=real))
    if _can_be_wrong(operation):
        ways.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(st.one_of(ways), st.sampled_from(["signed in"] * 3 + ["a stranger"]))
    def once(case: Any, who: str) -> None:
        headers = {"Authorization": f"Bearer {world.token}"} if who == "signed in" else {}
        given = case.as_transport_kwargs(base_url=world.url, headers=headers)
        asked = {
            name: given[name] for name in ("method", "url", "headers", "params", "json", "data", "files", "cookies") if given.get(name)
        }
        _send(found, operation, who, asked)

    with warnings.catch_warnings(), contextlib.suppress(hypothesis.errors.Unsatisfiable):
        warnings.simplefilter("ignore")
        once()


def _can_be_wrong(operation: APIOperation) -> bool:
    """Whether there is a value that the operation does not allow; any text is a path or a free query."""
    raw = operation.definition.raw
    parameters = [one["schema"] for one in raw.get("parameters", [])]
    return "requestBody" in raw or any(set(one) - {"title", "default"} != {"type"} or one.get("type") != "string" for one in parameters)


def _send(found: Found, operation: APIOperation, who: str, asked: dict[str, Any]) -> None:
    try:
        # requests, since schemathesis words its bodies for it; redirects are answers of their own.
        answer = requests.request(**asked, allow_redirects=False, timeout=SETTLED)
    except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError):
        return  # such a request cannot be sent
    except requests.exceptions.RequestException as error:
        found.faults.setdefault(f"{operation.label} does not answer", f"{type(error).__name__}: {error} {asked}"[:600])
        return
    found.answers[who, answer.status_code] += 1
    documented = {str(status) for status in operation.definition.raw["responses"]}
    if str(answer.status_code) not in documented:
        found.faults.setdefault(f"{operation.label} gives an undocumented {answer.status_code}", f"{answer.text[:300]} {asked}"[:700])
    elif answer.status_code >= 500 and answer.status_code not in (503, 504):
        found.faults.setdefault(f"{operation.label} gives {answer.status_code}", f"{answer.text[:300]} {asked}"[:700])


def _path_names(operation: APIOperation) -> list[str]:
    return [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]


def _ids(url: str, token: str) -> dict[str, str]:
    """Ids of things that are there, by the names of path parameters; what was not seeded is made."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60) as client:

        def get(path: str) -> Any:
            return client.get(path).raise_for_status().json()

        collections = get("/mlops/kb")["collections"]
        place = max(collections, key=lambda one: one["documents"])["id"]
        document = get(f"/mlops/kb/{place}/documents")["documents"][0]["id"]
        chunks = get(f"/mlops/kb/{place}/documents/{document}/chunks")["chunks"]
        jobs = {job["pipeline"]: job["id"] for job in get("/jobs?limit=100")["jobs"] if job["state"] == "done"}
        analysis = jobs.get("compliance", "")
        matches = get(f"/mlops/analysis/{analysis}")["requirements"] if analysis else []
        upload = client.post("/uploads", files={"file": ("a.md", b"# A\n\nText.")}).json()["id"]
        cohort = client.post("/imaging/cohorts", json={"title": "Scans"}).json()["id"]
        asked = client.post("/mlops/query", json={"question": "What is said?", "collections": [place]})
        kept = asked.json() if asked.status_code == 200 else {}
        found = {
            "collection": place, "document": document, "chunk": str(chunks[0]["id"]) if chunks else "1",
            "job_id": jobs.get("imaging", ""), "analysis_id": analysis, "match_id": matches[0]["match"] if matches else "",
            "upload_id": upload, "cohort_id": cohort, "conversation": kept.get("conversation", ""), "answer": kept.get("id", ""),
        }  # fmt: skip
    return {name: value for name, value in found.items() if value}
