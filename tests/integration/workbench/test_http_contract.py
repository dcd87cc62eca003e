"""What every documented operation keeps to: who may ask, how large a number may be, which errors it may answer with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.database import Database, migrate
from infra.database.tables import User
from infra.database.tables_knowledge import Collection, KbChunk
from infra.errors import InvalidInput
from infra.settings import Settings
from tests.fuzzing import fuzz, simulated_gateway
from tests.integration.workbench.conftest import Running
from workbench.api.identity import PUBLIC

HUGE = (2**63, -(2**63) - 1, 10**30)
MOST_SECONDS = 10.0


@pytest.fixture
def document(running: Running) -> dict[str, Any]:
    with running.stranger() as client:
        return client.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def schemas_of(operation: dict[str, Any]) -> list[dict[str, Any]]:
    found = [one["schema"] for one in operation.get("parameters", [])]
    return found + [one["schema"] for one in operation.get("requestBody", {}).get("content", {}).values()]


def integers(schema: Any, document: dict[str, Any], seen: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
    """Every schema of an integer within one."""
    if isinstance(schema, list):
        for one in schema:
            yield from integers(one, document, seen)
    if not isinstance(schema, dict):
        return
    if (reference := schema.get("$ref")) and reference not in seen:
        yield from integers(document["components"]["schemas"][reference.rpartition("/")[2]], document, seen | {reference})
    if schema.get("type") == "integer":
        yield schema
    for one in schema.values():
        yield from integers(one, document, seen)


def at(path: str) -> str:
    """An address of an operation, with something in place of its parameters."""
    return "/".join("1" if part.startswith("{") else part for part in path.split("/"))


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", ""])
def test_a_program_without_credentials_gets_401_as_a_problem_document_everywhere(running: Running, document: dict, accept: str | None):
    headers = {} if accept is None else {"Accept": accept}
    wrong, asked = [], 0
    with running.stranger() as client:
        for method, path, _ in operations(document):
            if path.startswith(PUBLIC):
                continue
            for end in ("", "/"):
                answer = client.request(method, at(path) + end, headers=headers)
                asked += 1
                if (answer.status_code, answer.headers.get("content-type")) != (401, "application/problem+json"):
                    wrong.append(f"{method} {path}{end}: {answer.status_code}")
                    continue
                assert answer.json()["code"] == "not_signed_in" and answer.headers["www-authenticate"] == "Bearer"
    assert asked > 140 and not wrong


def test_a_person_in_a_browser_is_sent_to_the_sign_in_page(running: Running):
    with running.stranger() as client:
        answer = client.get("/models", headers={"Accept": "text/html,*/*"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/auth/sign-in?next=/models")


def test_every_integer_of_every_operation_fits_a_database(document: dict):
    unbounded, found = [], 0
    for method, path, operation in operations(document):
        for schema in schemas_of(operation):
            for integer in integers(schema, document):
                found += 1
                if "const" in integer or "enum" in integer:
                    continue
                if not (integer.get("minimum", -HUGE[0] * 2) >= -(2**63) and integer.get("maximum", 10**30) <= 2**63):
                    unbounded.append(f"{method} {path}: {integer}")
    assert found > 25 and not unbounded


@pytest.mark.parametrize("number", HUGE)
def test_a_number_that_no_database_holds_is_refused(running: Running, document: dict, number: int):
    wrong, asked = [], 0
    with running.client() as client:
        client.post("/mlops/kb", json={"name": "1"})
        for method, path, operation in operations(document):
            for parameter in operation.get("parameters", []):
                if not list(integers(parameter["schema"], document)):
                    continue
                others = {
                    one["name"]: 1 for one in operation["parameters"] if one["in"] == "query" and one.get("required") and one != parameter
                }
                in_path = parameter["in"] == "path"
                address = at(path.replace("{" + parameter["name"] + "}", str(number)))
                answer = client.request(
                    method,
                    address,
                    params=others if in_path else {**others, parameter["name"]: number},
                    json=None if method == "GET" else {},
                )
                asked += 1
                if answer.status_code != 422 or parameter["name"] not in answer.json()["detail"]:
                    wrong.append(f"{method} {path} {parameter['name']}: {answer.status_code} {answer.text[:200]}")
    assert asked > 15 and not wrong


def test_a_value_that_no_column_holds_is_invalid_wherever_it_comes_from(tmp_path: Path):
    """What a page event hands on has passed no schema: the database says it."""
    database = Database(f"sqlite:///{tmp_path / 'w.db'}")
    migrate(database)
    for work in (
        lambda session: session.get(KbChunk, 2**63),
        lambda session: session.query(KbChunk).filter(KbChunk.position > 10**30).all(),
        lambda session: session.query(KbChunk).limit(2**64).all(),
        lambda session: session.add(KbChunk(collection_id="x", document_id="x", position=2**70, start=0, end=1, text="a")),
        lambda session: session.add(Collection(owner_id="x", name="\ud800")),
        lambda session: session.query(User).filter(User.name == "\udfff").all(),
    ):
        with pytest.raises(InvalidInput, match=r"64 bits|invalid Unicode"), database.session() as session:
            work(session)
    database.close()


def test_every_operation_documents_its_errors_as_problem_documents(document: dict):
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for method, path, operation in operations(document):
        errors = {status: one for status, one in operation["responses"].items() if status >= "400" and status != "416"}
        assert all("application/problem+json" in one["content"] for one in errors.values()), (method, path)
        assert "500" in errors and ("401" in errors or path.startswith(PUBLIC)), (method, path)
        assert not operation.get("requestBody") or {"413", "422"} <= set(errors), (method, path)


def test_random_requests_find_no_fault(settings: Settings):
    """schemathesis with a fixed seed; `make bench ARGS=fuzz_api` goes deeper."""
    with simulated_gateway(settings.home) as world:
        assert set(world.ids) >= {"collection", "document", "chunk", "job_id", "analysis_id", "match_id", "conversation", "answer"}
        found = fuzz(world, examples=8, seed=1)
    print(found.table())
    assert found.operations > 75 and not found.faults, found.table()
