"""MLflow through the gateway: every address that its server has, asked by a stranger, a member, a promoter and an owner."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.workbench.mlflow_house import AJAX, API, API3, SECRET, House, Person, mlflow_house, server_routes
from workbench.services.mlflow_access import artifacts, rules, traces
from workbench.services.mlflow_access.graphql import graphql
from workbench.services.mlflow_access.policy import rule_of

pytestmark = pytest.mark.timeout(240)
# What a member may send that changes nothing of anybody's, or makes something of their own: tested one by one below.
OPEN = (
    *(rules.read, rules.create_experiment, rules.create_run, rules.create_model),
    *(traces.search, traces.batch, traces.metrics, graphql),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    with mlflow_house(tmp_path_factory.mktemp("rights")) as found:
        yield found


@pytest.fixture(scope="module")
def routes(tmp_path_factory) -> list[tuple[str, str]]:
    found = server_routes(tmp_path_factory.mktemp("routes"))
    return [(method, path) for method, path in found if path.startswith("/mlflow/") and method not in ("HEAD", "OPTIONS")]


def example(template: str, of: Person) -> str:
    """An address of the template, with what is another person's."""
    known = {"model_id": of.model, "trace_id": of.trace, "request_id": of.trace, "tag_key": "k", "key": "k"}
    named = re.sub(r"[<{](?:path:)?(\w+)(?::path)?[>}]", lambda part: known.get(part[1], "x1"), template)
    return named.replace("mlflow-artifacts/artifacts/x1", f"mlflow-artifacts/artifacts/1/{of.run}/artifacts/notes.txt")


def body_for(house: House, of: Person) -> dict[str, object]:
    """What a hostile member would send to change what is another person's or everybody's."""
    return {
        **{"run_id": of.run, "experiment_id": house.experiment, "new_name": "stolen", "name": "brain", "version": "1"},
        **{"alias": "champion", "key": "k", "value": "v", "stage": "Production", "description": "stolen", "timestamp": 1},
        "trace_ids": [of.trace],
        "status": "FAILED",
        "model_json": "{}",
    }


def test_every_route_of_the_installed_mlflow_has_a_rule(routes):
    unknown = [f"{method} {path}" for method, path in routes if rule_of(method, path.removeprefix("/mlflow").translate(_PLAIN)) is None]
    assert len(routes) > 300 and not unknown, f"routes without a rule, refused to everybody: {unknown}"


_PLAIN = str.maketrans({"<": "x", ">": "x", "{": "x", "}": "x"})


def test_a_route_that_a_newer_mlflow_brings_is_refused_to_everybody(house):
    for method, path in (
        ("POST", f"{API}/runs/new-thing"),
        ("GET", "/mlflow/new-page"),
        ("GET", f"{API}//runs/get"),
        ("PUT", f"{API}/runs/create"),
    ):
        answer = house.people["owner"].client.request(method, path, json={})
        assert answer.status_code == 403 and answer.json()["error_code"] == "PERMISSION_DENIED", path


def test_a_stranger_reaches_nothing(house, routes):
    with house.running.stranger() as stranger:
        for method, template in routes:
            answer = stranger.request(method, example(template, house.people["ben"]), headers={"Accept": "application/json"})
            assert answer.status_code == 401, f"{method} {template}: {answer.status_code}"


def test_a_member_changes_nothing_of_others(house, routes):
    ben, anna = house.people["ben"], house.people["anna"]
    before, tried = house.snapshot(), 0
    for method, template in routes:
        path = example(template, ben)
        found = rule_of(method, path.removeprefix("/mlflow"))
        assert found is not None
        if method == "GET" or found[0] in OPEN:
            continue
        body = body_for(house, ben)
        if found[0] is traces.delete:
            body = {"experiment_id": "1", "request_ids": [ben.trace]}
        query = {"run_uuid": ben.run, "path": "x.txt"} if found[0] is artifacts.upload else {}
        answer = anna.client.request(method, path, json=body, params=query)
        assert answer.status_code in (403, 404), f"{method} {template}: {answer.status_code} {answer.text[:200]}"
        tried += 1
    assert tried > 150
    assert house.snapshot() == before


def test_a_member_reads_what_is_shared(house):
    ben, anna = house.people["ben"], house.people["anna"].client
    assert anna.get(f"{API}/runs/get", params={"run_id": ben.run}).json()["run"]["info"]["run_name"] == "ben's"
    assert {one["name"] for one in anna.get(f"{API}/experiments/search", params={"max_results": 100}).json()["experiments"]} >= {"shared"}
    assert (
        anna.get(f"{API}/registered-models/alias", params={"name": "brain", "alias": "champion"}).json()["model_version"]["version"] == "1"
    )
    assert anna.get("/mlflow/get-artifact", params={"run_uuid": ben.run, "path": "notes.txt"}).text == "shared notes"
    file = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/{house.experiment}/{ben.run}/artifacts/notes.txt"
    answer = anna.get(file)
    assert answer.text == "shared notes" and answer.headers["content-security-policy"] == "sandbox"
    assert anna.get(f"{API}/artifacts/list", params={"run_id": ben.run}).json()["files"][0]["path"] == "notes.txt"
    query = "query Q($id: String!) { mlflowGetRun(input: {runId: $id}) { run { info { runName } experiment { name } } } }"
    said = anna.post("/mlflow/graphql", json={"query": query, "variables": {"id": ben.run}}).json()
    assert said["data"]["mlflowGetRun"]["run"] == {"info": {"runName": "ben's"}, "experiment": {"name": "shared"}}


TRACE_READS = (
    ("GET", f"{API3}/traces/TRACE", None, None),
    ("GET", f"{API3}/traces/get", {"trace_id": "TRACE"}, None),
    ("GET", "/mlflow/ajax-api/2.0/mlflow/get-trace-artifact", {"request_id": "TRACE"}, None),
    ("GET", "/mlflow/ajax-api/3.0/mlflow/get-trace-artifact", {"request_id": "TRACE"}, None),
    ("GET", f"{API3}/traces/batchGet", {"trace_ids": "TRACE"}, None),
    ("POST", f"{API3}/traces/batchGetInfos", None, {"trace_ids": ["TRACE"]}),
    ("POST", f"{API3}/traces/batchGetInfos", None, {"traceIds": ["TRACE"]}),
    ("GET", f"{API}/traces/TRACE/info", None, None),
    ("GET", f"{API}/traces", {"experiment_ids": "PLACE"}, None),
    ("POST", f"{API3}/traces/search", None, {"locations": ["PLACE"]}),
    ("POST", f"{API3}/traces/search", None, {"locations": ["PLACE"], "filter": "request_metadata.`mlflow.trace.user` = 'BEN'"}),
    ("POST", f"{API3}/traces/search", None, {"locations": ["PLACE"], "filter": "trace.status = 'OK' OR trace.status = 'OK'"}),
    ("POST", f"{API3}/traces/search", None, {"locations": ["PLACE"], "filter": "trace.status = 'OK' --"}),
)


@pytest.mark.parametrize("who", ["anna", "pia", "owner"])
@pytest.mark.parametrize("method, path, query, body", TRACE_READS)
def test_nobody_reads_another_persons_trace(house, who, method, path, query, body):
    ben, place = house.people["ben"], _answers(house)
    filled = json.loads(_fill(json.dumps([path, query, body]), ben, place))
    answer = house.people[who].client.request(method, filled[0], params=filled[1], json=filled[2])
    assert ben.trace not in answer.text and "ben: what is the merger" not in answer.text


def _fill(text: str, ben: Person, place: str) -> str:
    named = text.replace('["PLACE"]', json.dumps([{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": place}}]))
    return named.replace("PLACE", place).replace("TRACE", ben.trace).replace("BEN", ben.user.id)


def _answers(house: House) -> str:
    found = house.direct.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "workbench-answers"})
    return found.json()["experiment"]["experiment_id"]


def test_a_person_reads_their_own_traces_and_counts_only_those(house):
    anna, place = house.people["anna"], _answers(house)
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": place}}
    found = anna.client.post(f"{API3}/traces/search", json={"locations": [location], "filter": "trace.status = 'OK'"}).json()
    assert [one["trace_id"] for one in found["traces"]] == [anna.trace]
    assert anna.client.get(f"{API3}/traces/{anna.trace}").json()["trace"]["trace_info"]["trace_id"] == anna.trace
    assert SECRET in anna.client.get(f"{API3}/traces/get", params={"trace_id": anna.trace}).text
    assert SECRET in anna.client.get(f"{AJAX}/get-trace-artifact", params={"request_id": anna.trace}).text
    both = [house.people["ben"].trace, anna.trace]
    batch = anna.client.get(f"{API3}/traces/batchGet", params={"trace_ids": both}).json()["traces"]
    assert [one["trace_info"]["trace_id"] for one in batch] == [anna.trace]
    asked = {
        "experiment_ids": [place],
        "view_type": "TRACES",
        "metric_name": "trace_count",
        "aggregations": [{"aggregation_type": "COUNT"}],
    }
    points = anna.client.post(f"{API3}/traces/metrics", json=asked).json()["data_points"]
    assert [one["values"] for one in points] == [{"COUNT": 1}]
    thumb = {
        "assessment": {"assessment_name": "mine", "trace_id": anna.trace, "source": {"source_type": "HUMAN"}, "feedback": {"value": True}}
    }
    assert anna.client.post(f"{API3}/traces/{anna.trace}/assessments", json=thumb).status_code == 200


ALIAS = {"name": "brain", "alias": "candidate", "version": "2"}


def test_only_owners_and_promoters_change_aliases(house):
    people = house.people
    for path in (f"{API}/registered-models/alias", f"{AJAX}/registered-models/alias"):
        assert people["anna"].client.post(path, json=ALIAS).status_code == 403
        assert people["anna"].client.request("DELETE", path, json={"name": "brain", "alias": "champion"}).status_code == 403
        for who in ("pia", "owner"):
            assert people[who].client.post(path, json=ALIAS).status_code == 200
            assert people[who].client.request("DELETE", path, json={"name": "brain", "alias": "candidate"}).status_code == 200


def test_a_promoter_registers_but_does_not_say_what_serves_nor_delete(house):
    pia = house.people["pia"]
    assert pia.client.post(f"{API}/registered-models/create", json={"name": "pias"}).status_code == 200
    source = f"mlflow-artifacts:/{house.experiment}/{pia.run}/artifacts/model"
    version = {"name": "pias", "source": source, "run_id": pia.run}
    assert pia.client.post(f"{API}/model-versions/create", json=version).status_code == 200
    tagged = {**version, "tags": [{"key": "backend", "value": "os:system"}]}
    assert pia.client.post(f"{API}/model-versions/create", json=tagged).status_code == 403
    tag = {"name": "pias", "version": "1", "key": "evaluation", "value": "passed"}
    assert pia.client.post(f"{API}/model-versions/set-tag", json=tag).status_code == 403
    assert pia.client.request("DELETE", f"{API}/registered-models/delete", json={"name": "pias"}).status_code == 403
    assert house.people["owner"].client.request("DELETE", f"{API}/registered-models/delete", json={"name": "pias"}).status_code == 200


def test_an_owner_changes_what_is_everybodys(house):
    owner, ben = house.people["owner"].client, house.people["ben"]
    experiment = owner.post(f"{API}/experiments/create", json={"name": "owners"}).json()["experiment_id"]
    steps = (
        ("POST", "experiments/set-experiment-tag", {"experiment_id": experiment, "key": "k", "value": "v"}),
        ("POST", "experiments/update", {"experiment_id": experiment, "new_name": "renamed"}),
        ("POST", "experiments/delete", {"experiment_id": experiment}),
        ("POST", "experiments/restore", {"experiment_id": experiment}),
        ("POST", "runs/set-tag", {"run_id": ben.run, "key": "reviewed", "value": "yes"}),
        ("POST", "runs/delete", {"run_id": ben.run}),
        ("POST", "runs/restore", {"run_id": ben.run}),
        ("POST", "registered-models/set-tag", {"name": "brain", "key": "previous", "value": "1"}),
        ("POST", "model-versions/set-tag", {"name": "brain", "version": "1", "key": "note", "value": "x"}),
        ("PATCH", "model-versions/update", {"name": "brain", "version": "1", "description": "the first"}),
        ("POST", "registered-models/rename", {"name": "brain", "new_name": "brains"}),
        ("POST", "registered-models/rename", {"name": "brains", "new_name": "brain"}),
        ("DELETE", "model-versions/delete", {"name": "brain", "version": "2"}),
        ("GET", "webhooks", None),
    )
    for method, path, body in steps:
        answer = owner.request(method, f"{API}/{path}", json=body)
        assert answer.status_code == 200, f"{path}: {answer.text}"


def test_whose_a_run_is_cannot_be_forged(house):
    anna, ben = house.people["anna"], house.people["ben"]
    tags = [{"key": "mlflow.user", "value": "ben"}, {"key": "workbench.user", "value": ben.user.id}, {"key": "kind", "value": "trial"}]
    sent = {"experiment_id": house.experiment, "userId": "ben", "tags": tags, "start_time": 1}
    made = anna.client.post(f"{API}/runs/create", json=sent).json()["run"]
    run, found = made["info"]["run_id"], {tag["key"]: tag["value"] for tag in made["data"]["tags"]}
    assert made["info"]["user_id"] == "anna" and found["mlflow.user"] == "anna" and found["kind"] == "trial"
    assert found["workbench.user"] == anna.user.id
    forged = {"key": "workbench.user", "value": ben.user.id}
    for path, body in (
        ("runs/set-tag", {"run_id": run, **forged}),
        ("runs/delete-tag", {"run_id": run, "key": "workbench.user"}),
        ("runs/log-batch", {"run_id": run, "tags": [forged]}),
        (f"logged-models/{anna.model}/tags", {"tags": [forged]}),
    ):
        method = "PATCH" if path.startswith("logged") else "POST"
        assert anna.client.request(method, f"{API}/{path}", json=body).status_code == 403, path
    assert anna.client.post(f"{API}/runs/set-tag", json={"run_id": run, "key": "kind", "value": "final"}).status_code == 200


SPELLINGS = (
    '{"runId": "BEN", "key": "k", "value": "v"}',
    '{"run_uuid": "BEN", "key": "k", "value": "v"}',
    '{"run_id": "ANNA", "run_uuid": "BEN", "key": "k", "value": "v"}',
    '{"run_id": "ANNA", "runId": "BEN", "key": "k", "value": "v"}',
    '{"run_id": "ANNA", "run_id": "BEN", "key": "k", "value": "v"}',
    '"{\\"run_id\\": \\"BEN\\", \\"key\\": \\"k\\", \\"value\\": \\"v\\"}"',
    '{"run_id": ["ANNA", "BEN"], "key": "k", "value": "v"}',
    "{}",
)


@pytest.mark.parametrize("text", SPELLINGS)
def test_no_spelling_of_a_request_reaches_another_persons_run(house, text):
    anna, ben = house.people["anna"], house.people["ben"]
    content = text.replace("ANNA", anna.run).replace("BEN", ben.run)
    before = house.direct.get("/api/2.0/mlflow/runs/get", params={"run_id": ben.run}).json()
    query = {"run_id": ben.run, "key": "k", "value": "v"}
    for headers in ({"content-type": "application/json"}, {"content-type": "text/plain", "x-http-method-override": "GET"}):
        answer = anna.client.post(f"{API}/runs/set-tag", content=content, headers=headers, params=query)
        assert answer.status_code in (403, 404, 422), answer.text
    assert house.direct.get("/api/2.0/mlflow/runs/get", params={"run_id": ben.run}).json() == before


def test_a_members_model_and_metric_go_to_nobody_elses_model(house):
    anna, ben = house.people["anna"], house.people["ben"]
    metric = {"key": "dice", "value": 1.0, "timestamp": 1, "model_id": ben.model}
    assert anna.client.post(f"{API}/runs/log-metric", json={"run_id": anna.run, **metric}).status_code == 403
    assert anna.client.post(f"{API}/runs/log-batch", json={"run_id": anna.run, "metrics": [metric]}).status_code == 403
    done = {"model_id": ben.model, "status": "LOGGED_MODEL_UPLOAD_FAILED"}
    anna.client.patch(f"{API}/logged-models/{anna.model}", json=done)  # the server goes by the body: the gateway by the address
    assert house.direct.get(f"/api/2.0/mlflow/logged-models/{ben.model}").json()["model"]["info"]["status"] != done["status"]
    made = anna.client.post(f"{API}/logged-models", json={"experiment_id": house.experiment, "source_run_id": ben.run})
    assert made.status_code == 403


PLACES = ("file:///etc", "/etc", "mlflow-artifacts:/../..", "s3://bucket/x", "mlflow-artifacts:/1")


@pytest.mark.parametrize("who", ["anna", "owner"])
@pytest.mark.parametrize("place", PLACES)
def test_nobody_says_where_artifacts_lie(house, who, place):
    client = house.people[who].client
    for name in ("artifact_location", "artifactLocation"):
        assert client.post(f"{API}/experiments/create", json={"name": f"at {place} {name}", name: place}).status_code == 403
    if not place.startswith("mlflow-artifacts:/1"):
        run = house.people[who].run
        version = client.post(f"{API}/model-versions/create", json={"name": "brain", "source": place, "run_id": run})
        assert version.status_code in (400, 403), version.text


UPLOADS = (
    "../../../evil.txt",
    "%2e%2e/evil.txt",
    "..%2f..%2fevil.txt",
    "a/../../evil.txt",
    "/etc/evil.txt",
    "..\\evil.txt",
    "file:///tmp/evil.txt",
)


@pytest.mark.parametrize("path", UPLOADS)
def test_no_upload_leaves_the_runs_own_folder(house, path):
    anna, ben = house.people["anna"], house.people["ben"]
    before = house.snapshot()["files"]
    answer = anna.client.post(f"{AJAX}/upload-artifact", params={"run_uuid": anna.run, "path": path}, content=b"evil")
    assert answer.status_code in (403, 422), answer.text
    base = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/{house.experiment}/{anna.run}/artifacts/"
    url = httpx.URL(house.running.url).copy_with(raw_path=(base + path).encode())
    assert anna.client.put(url, content=b"evil").status_code in (403, 404, 422)
    others = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/{house.experiment}/{ben.run}/artifacts/notes.txt"
    traces_file = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/traces/{ben.trace}/artifacts/traces.json"
    for place in (others, traces_file, "/mlflow/api/2.0/mlflow-artifacts/artifacts/evil.txt"):
        assert anna.client.put(place, content=b"evil").status_code == 403
        assert anna.client.delete(place).status_code == 403
    assert house.snapshot()["files"] == before


def test_files_that_lie_outside_are_given_to_nobody(house):
    for who in ("anna", "owner"):
        client = house.people[who].client
        run = {"run_id": house.outside}
        assert client.get("/mlflow/get-artifact", params={**run, "path": "key.txt"}).status_code == 403
        assert client.get(f"{API}/artifacts/list", params=run).status_code == 403
        listing = 'query Q { mlflowListArtifacts(input: {runId: "RUN"}) { files { path } } }'.replace("RUN", house.outside)
        for query in (listing, listing.replace("query Q {", "query Q { ...F } fragment F on Query {")):
            assert client.post("/mlflow/graphql", json={"query": query}).status_code == 403
        assert client.post("/mlflow/graphql", json={"query": 'mutation { testMutation(inputString: "x") { output } }'}).status_code == 403
        assert client.post(f"{API}/runs/create", json={"experiment_id": _elsewhere(house)}).status_code == 403


def _elsewhere(house: House) -> str:
    found = house.direct.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "elsewhere"})
    return found.json()["experiment"]["experiment_id"]


def test_a_member_writes_to_no_experiment_of_the_workbenchs_own(house):
    anna = house.people["anna"].client
    assert anna.post(f"{API}/runs/create", json={"experiment_id": _answers(house)}).status_code == 403
    assert anna.post(f"{API}/experiments/create", json={"name": "workbench-evaluations"}).status_code == 403


def test_the_server_has_no_port_and_its_files_lie_in_the_data_folder(house, tmp_path):
    import psutil

    home = house.running.services.settings.home
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid and _of_mlflow(c.pid, str(home))]
    assert not listening
    assert house.server.socket is not None and house.server.socket.parent.stat().st_mode & 0o077 == 0
    assert not list(home.parent.glob("ml*")), "MLflow wrote to its working folder"


def _of_mlflow(pid: int, home: str) -> bool:
    import contextlib

    import psutil

    with contextlib.suppress(psutil.Error):
        line = " ".join(psutil.Process(pid).cmdline())
        return "mlflow" in line and home in line
    return False
