"""``workbench up`` as a person runs it: one start, and what can happen to it."""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from infra.datafolder import DataFolder
from workbench.supervisor.processes import marked, measure

WORKBENCH = Path(sys.executable).parent / "workbench"
START_SECONDS = 200  # seconds on an idle machine are minutes on one that tests run on


@dataclass
class House:
    """A workbench that runs: its supervisor, data folder and port."""

    supervisor: subprocess.Popen
    home: Path
    port: int
    environment: dict[str, str]
    log: Path

    def run(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run([WORKBENCH, *command], env=self.environment, capture_output=True, text=True, timeout=120, check=False)

    def get(self, path: str, *, seconds: float = 60) -> httpx.Response:
        token = DataFolder(self.home).owner_token.read_text().strip()
        url, headers = f"http://127.0.0.1:{self.port}{path}", {"Authorization": f"Bearer {token}"}
        return httpx.get(url, headers=headers, trust_env=False, timeout=seconds)

    def client(self) -> httpx.Client:
        """Signed in by the owner's token."""
        token = DataFolder(self.home).owner_token.read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, trust_env=False, timeout=60)

    def pid_of(self, name: str) -> int | None:
        return next((process.pid for process in measure(marked(self.home)) if process.name == name), None)

    def until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                if self.get("/health/ready").status_code == 200:
                    return
            except (httpx.HTTPError, OSError):
                pass
            assert self.supervisor.poll() is None, self.log.read_text()
            time.sleep(0.3)
        raise AssertionError(f"not ready after {START_SECONDS} s:\n{self.log.read_text()}")


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
    environment |= {"WORKBENCH_HOME": str(home), "WORKBENCH_GATEWAY__PORT": str(port)}
    log = home.parent / f"{home.name}.log"
    with open(log, "w") as output:
        supervisor = subprocess.Popen([WORKBENCH, "up", "--no-sample"], env=environment, stdout=output, stderr=output, umask=0)
    found = House(supervisor, home, port, environment, log)
    try:
        found.until_ready()
        yield found
    finally:
        supervisor.terminate()
        try:
            supervisor.wait(30)
        except subprocess.TimeoutExpired:
            supervisor.kill()
        for pid in marked(home):
            os.kill(pid, signal.SIGKILL)


def test_it_says_that_it_is_ready_and_how_to_sign_in(house):
    end = time.monotonic() + 20
    while "Sign in" not in house.log.read_text() and time.monotonic() < end:
        time.sleep(0.1)
    said = house.log.read_text()
    assert re.search(rf"Ready in \d+\.\d s: http://127.0.0.1:{house.port}", said)
    link = re.search(r"http://\S+/auth/link\S+", said)[0]
    with httpx.Client(trust_env=False, follow_redirects=True, timeout=60) as browser:
        page = browser.get(link, headers={"Accept": "text/html"})
        assert page.status_code == 200 and "/auth/" not in str(page.url)
        assert browser.get(f"http://127.0.0.1:{house.port}/auth/me").json()["role"] == "owner"


def test_what_every_process_writes_is_for_its_user_alone(house):
    """Whatever the umask was where `workbench up` was typed; the fixture sets a wide one."""
    umasks = {}
    for pid in [house.supervisor.pid, *marked(house.home)]:
        with contextlib.suppress(OSError):
            found = re.search(r"^Umask:\s*(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
            if found and found[1] != "0077":
                umasks[pid] = (found[1], Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:80])
    assert umasks == {}
    assert stat.S_IMODE(house.home.stat().st_mode) == 0o700
    # Ray opens its own folder to everybody; the data folder around it is closed.
    wide = [path.name for path in house.home.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
    assert wide == []


def test_every_process_listens_on_the_loopback_alone(house):
    listening = {}
    for pid in [house.supervisor.pid, *marked(house.home)]:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for one in process.net_connections(kind="inet"):
                if one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM:
                    listening[one.laddr.ip, one.laddr.port] = " ".join(process.cmdline())[:80]
    assert len(listening) > 5, "the workbench's ports were not found"
    assert {place: who for place, who in listening.items() if place[0] not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")} == {}


def test_status_names_every_part_and_the_memory(house):
    said = json.loads(house.run("status", "--json").stdout)
    states = {part["name"]: part["state"] for part in said["components"]}
    assert said["state"] == "ready" and states["embedding"] == states["llm"] == states["runner"] == states["ray"] == "ready"
    assert states["vlm"] == "missing"
    assert 200 < said["memory_pss_mb"] < 3500 and {"gateway", "workbench"} <= {process["name"] for process in said["processes"]}


def test_a_second_one_on_the_same_folder_is_refused(house):
    done = house.run("up", "--port", "1")
    assert done.returncode == 1 and "already runs on the data folder" in done.stderr and str(house.supervisor.pid) in done.stderr


def test_a_busy_port_is_refused(house, tmp_path):
    done = house.run("up", "--home", str(tmp_path / "another"), "--port", str(house.port))
    assert done.returncode == 1 and f"Port {house.port} is in use by process {house.supervisor.pid}" in done.stderr


def test_login_prints_a_link_that_works_once(house):
    link = house.run("login").stdout.strip()
    assert httpx.get(link, trust_env=False).status_code == 303 and httpx.get(link, trust_env=False).status_code == 401


def test_the_models_answer_over_http(house):
    token = DataFolder(house.home).owner_token.read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "X-Correlation-ID": "from-the-test"}
    url = f"http://127.0.0.1:{house.port}/models/embedding/embed"
    answer = httpx.post(url, json={"texts": ["a brain"]}, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200 and len(answer.json()["vectors"][0]) == 384
    # The id of the request stands on the replica's own log line.
    end = time.monotonic() + 10
    while time.monotonic() < end and "from-the-test" not in (house.home / "logs" / "serving-embedding.log").read_text():
        time.sleep(0.1)
    assert "from-the-test" in (house.home / "logs" / "serving-embedding.log").read_text()


def test_bad_input_is_a_failed_job_with_a_sentence(house, tmp_path):
    scan = tmp_path / "text.nii.gz"
    scan.write_text("this is no scan")
    done = house.run("analyze", str(scan), "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1 and error["code"] == "unsupported_format" and "Traceback" not in done.stderr
    jobs = json.loads(house.run("jobs", "list", "--json").stdout)
    assert jobs[0]["state"] == "failed" and jobs[0]["title"] == "text.nii.gz"
    shown = json.loads(house.run("jobs", "show", jobs[0]["id"][:8], "--json").stdout)
    assert shown["events"][-1]["kind"] == "failed"


POLICY = """# Supplier policy

The supplier must notify the bank of security incidents within 24 hours. A late notification is critical.

The supplier must not sell client data.

The supplier may use cloud services.
"""
CONTRACT = """# Contract

The supplier shall notify the bank of security incidents within ten days.

The supplier shall not sell client data.
"""


@pytest.fixture(scope="module")
def checked(house, tmp_path_factory) -> tuple[dict, Path]:
    """What ``workbench comply --json`` says of a contract, by the workbench that runs; and the folder of its files."""
    folder = tmp_path_factory.mktemp("contracts")
    (folder / "policy.md").write_text(POLICY)
    (folder / "contract.md").write_text(CONTRACT)
    added = house.run("kb", "add", str(folder / "policy.md"), "--collection", "supplier rules", "--json")
    assert json.loads(added.stdout)["documents"][0]["state"] == "ready", added.stderr
    done = house.run("comply", str(folder / "contract.md"), "--policies", "supplier rules", "--out", str(folder / "out"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), folder


def test_a_document_is_checked_by_the_workbench_that_runs(house, checked):
    said, folder = checked
    assert house.get(f"/jobs/{said['job']}").json()["state"] == "done"  # it was a job of the workbench, not of the command
    assert [(one["name"], one["version"], one["requirements"]) for one in said["policies"]] == [("supplier rules", 1, 3)]
    incidents, data, cloud = said["requirements"]
    assert (incidents["modality"], data["modality"], cloud["modality"]) == ("obligation", "prohibition", "permission")
    assert (incidents["verdict"], incidents["severity"]) == ("violated", "critical")
    assert data["verdict"] == "satisfied"
    assert POLICY[incidents["source"]["start"] : incidents["source"]["end"]] == incidents["source"]["text"]
    for one in said["requirements"]:
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert all(CONTRACT[span["start"] : span["end"]] == span["text"] for span in one["evidence"])
    assert (said["risk"], said["score"]) == ("critical", min(said["score"], 39))
    assert {model["role"] for model in said["models"]} == {"embedding", "entailment"}
    assert {path.name for path in (folder / "out").iterdir()} == {"report.pdf", "report.docx", "report.json", "requirements.csv"}
    assert json.loads((folder / "out" / "report.json").read_text())["score"] == said["score"]


def test_a_file_of_requirements_stands_in_and_a_refusal_is_told(house, checked):
    _, folder = checked
    (folder / "asked.csv").write_text('id,text,severity\nR1,"The supplier must not sell client data.",low\n')
    done = house.run("comply", str(folder / "contract.md"), "--requirements", str(folder / "asked.csv"), "--json")
    said = json.loads(done.stdout)
    assert [(one["id"], one["severity"], one["verdict"]) for one in said["requirements"]] == [("R1", "low", "satisfied")]
    refused = house.run("comply", str(folder / "contract.md"), "--policies", "nobody's", "--json")
    assert refused.returncode == 1 and json.loads(refused.stdout)["error"]["code"] == "not_found"
    assert house.run("comply", str(folder / "contract.md")).returncode == 2


def test_a_review_and_the_agreement_are_logged_to_mlflow(house, checked):
    said, _ = checked

    def post(path: str, body: dict) -> dict:
        answer = house.client().post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    incidents, data, _ = said["requirements"]
    post(f"/mlops/matches/{data['match']}/review", {"verdict": data["verdict"]})
    after = post(f"/mlops/matches/{incidents['match']}/review", {"verdict": "satisfied", "reason": "A side letter says 24 hours."})
    assert after["score"] > said["score"] and after["risk"] != "critical"
    end, logged = time.monotonic() + 120, []
    while len(logged) < 2 and time.monotonic() < end:
        found = house.get("/mlflow/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=workbench-evaluations")
        if found.status_code == 200:
            place = found.json()["experiment"]["experiment_id"]
            runs = post("/mlflow/ajax-api/2.0/mlflow/runs/search", {"experiment_ids": [place], "order_by": ["attributes.start_time"]})
            logged = [
                run
                for run in runs.get("runs", [])
                if run["info"]["run_name"] == "compliance review" and run["info"]["status"] == "FINISHED"
            ]
        time.sleep(0.5)
    figures = [{one["key"]: one["value"] for one in run["data"]["metrics"]} for run in logged]
    assert sorted((one["reviews"], one["agreed"], one["agreement"]) for one in figures) == [(1, 1, 1), (2, 0, 0.5)]
    assert {one["value"] for run in logged for one in run["data"]["params"]} == {said["job"]}


def test_a_killed_gateway_comes_back_and_requests_wait_for_it(house):
    before = house.pid_of("gateway")
    os.kill(before, signal.SIGKILL)
    assert house.get("/health/live", seconds=120).status_code == 200
    house.until_ready()
    assert house.pid_of("gateway") != before and "gateway was killed (SIGKILL)" in house.log.read_text()


def test_a_dead_replica_is_known_and_replaced(house):
    replica = house.pid_of("ray::ServeReplica:workbench:embedding")
    assert replica
    os.kill(replica, signal.SIGKILL)
    seen, end = set(), time.monotonic() + 60
    while time.monotonic() < end:
        parts = {part["name"]: part["state"] for part in house.get("/health/components").json()["components"]}
        seen.add(parts["embedding"])
        if len(seen) > 1 and parts["embedding"] == "ready":
            break
        time.sleep(0.2)
    assert "ready" in seen and len(seen) > 1, seen
    house.until_ready()


def test_ray_that_is_killed_comes_back_with_the_models(house):
    for process in measure(marked(house.home)):
        if process.name == "ray: raylet":
            os.kill(process.pid, signal.SIGKILL)
    end = time.monotonic() + START_SECONDS
    while "are back" not in house.log.read_text() and time.monotonic() < end:
        time.sleep(0.3)
    house.until_ready()
    assert "are back" in house.log.read_text()


def test_a_killed_supervisor_leaves_nothing_behind(house):
    assert marked(house.home)
    house.supervisor.kill()
    house.supervisor.wait()
    end = time.monotonic() + 20
    while marked(house.home) and time.monotonic() < end:
        time.sleep(0.2)
    assert not marked(house.home), measure(marked(house.home))
    # Its lock file is still there, and in nobody's way.
    folder = DataFolder(house.home)
    assert (house.home / "lock").exists() and not folder.locked() and folder.running() is None
    done = house.run("status", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["code"] == "unavailable"
    with folder.lock():
        pass
