"""`workbench doctor --security`: each point that a deployment can leave open, and what closes it."""

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from infra.database import Database, migrate
from infra.database.tables import ApiToken, now
from infra.datafolder import DataFolder, Running
from infra.settings import load_settings
from workbench.accounts import Accounts
from workbench.cli import app
from workbench.services.security import examine_security, is_local, is_shared
from workbench.supervisor.processes import MARK, listening

HTTPS = {"public_url": "https://lab.example", "trusted_proxies": ["127.0.0.1"]}


def open_points(settings) -> dict[str, str]:
    return {point["name"]: point["sentence"] for point in examine_security(settings)["points"] if point["state"] == "open"}


@pytest.fixture
def accounts(settings):
    database = Database(settings.database_url)
    folder = DataFolder(settings.home).make()
    migrate(database)
    accounts = Accounts(settings, database, folder)
    accounts.ensure_owner_token(accounts.ensure_owner())
    (settings.home / "workbench.sqlite").chmod(0o600)
    yield accounts
    database.close()


def test_a_new_data_folder_with_the_defaults_leaves_nothing_open(settings, accounts):
    assert open_points(settings) == {}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"gateway": {"host": "0.0.0.0"}}, {"encryption", "cookies", "owners"}),
        ({"gateway": {"host": "192.0.2.1"}}, {"encryption", "cookies", "owners"}),
        ({"gateway": {"public_url": "http://lab.example"}}, {"encryption", "cookies", "reverse proxy", "owners"}),
        ({"gateway": {"public_url": "https://lab.example"}}, {"reverse proxy", "owners"}),
        ({"gateway": {**HTTPS, "host": "0.0.0.0"}}, {"owners"}),
        ({"gateway": {"public_url": "https://lab.example", "host": "0.0.0.0"}}, {"encryption", "reverse proxy", "owners"}),
        ({"gateway": HTTPS}, {"owners"}),
        ({"gateway": {"session_hours": 24 * 31}}, {"life of sessions"}),
        ({"gateway": {"token_days": 366}}, {"life of tokens"}),
        ({"gateway": {"max_json_mb": 100}}, {"size of requests"}),
        ({"gateway": {"max_form_kb": 2000}}, {"size of requests"}),
        (
            {"database": {"jobs_url": "postgresql+psycopg://w:secret@db.example/j"}},
            {"database.jobs_url: password", "database.jobs_url: encryption"},
        ),
        ({"database": {"jobs_url": "postgresql+psycopg://w@db.example/j?sslmode=verify-full"}}, set()),
        ({"database": {"jobs_url": "postgresql+psycopg://w@localhost/j"}}, set()),
        ({"storage": {"kind": "s3", "endpoint_url": "http://minio.example:9000"}}, {"object store"}),
        ({"storage": {"kind": "s3", "endpoint_url": "https://minio.example"}}, set()),
        ({"storage": {"kind": "s3", "endpoint_url": "http://127.0.0.1:9000"}}, set()),
        ({"knowledge": {"opensearch_url": "http://search.example:9200"}}, {"OpenSearch"}),
        ({"mlflow": {"tracking_uri": "http://mlflow.example"}}, {"MLflow"}),
        ({"ray": {"address": "10.0.0.1:6379"}}, {"Ray"}),
    ],
)
def test_what_settings_leave_open(accounts, given, names):
    assert open_points(load_settings(**given)).keys() == names


def test_every_open_point_says_what_to_do(accounts):
    given = {"gateway": {"public_url": "http://lab.example", "session_hours": 1000, "token_days": 1000, "max_json_mb": 1000}}
    for sentence in open_points(load_settings(**given)).values():
        assert any(word in sentence for word in ("Set ", "set ", "Put ", "Name ", "Revoke ", "Close ")), sentence


def test_a_folder_and_secrets_that_others_may_read(settings, accounts):
    settings.home.chmod(0o755)
    (settings.home / "owner-token").chmod(0o644)
    found = open_points(settings)
    assert "chmod 700" in found["data folder"] and "owner-token" in found["secrets"]


def test_another_users_folder(settings, accounts, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: settings.home.stat().st_uid + 1)
    assert "another user" in open_points(settings)["data folder"]


def test_an_object_store_elsewhere_that_others_may_enter(accounts, tmp_path):
    folder = tmp_path / "objects"
    folder.mkdir()
    folder.chmod(0o755)
    assert open_points(load_settings(storage={"path": folder})).keys() == {"object store folder"}
    folder.chmod(0o700)
    assert open_points(load_settings(storage={"path": folder})) == {}


def test_tokens_that_nobody_uses(settings, accounts):
    with accounts.database.session() as session:
        session.execute(update(ApiToken).values(created_at=now() - timedelta(days=70)))
    assert "not used for 60 days: owner's token" in open_points(settings)["tokens"]
    with accounts.database.session() as session:
        session.execute(update(ApiToken).values(last_used_at=now(), expires_at=now() + timedelta(days=400)))
    assert "valid for more than a year" in open_points(settings)["tokens"]


def test_an_owner_with_a_password_closes_the_point(accounts):
    accounts.set_password(accounts.ensure_owner(), "a long enough one")
    assert open_points(load_settings(gateway=HTTPS)) == {}


LISTEN = """
import os, socket, sys
os.umask(0o022)
listening = socket.create_server(("0.0.0.0", 0))
print(listening.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_processes_that_listen_beyond_this_machine_write_for_others_or_load_pickle(settings, accounts):
    environment = {**os.environ, MARK: str(settings.home.resolve()), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "True"}
    process = subprocess.Popen([sys.executable, "-c", LISTEN], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert listening([process.pid]) == [(process.pid, "0.0.0.0", port)]
        found = open_points(settings)
        assert found.keys() == {"umask", "open ports", "pickle"} and f"0.0.0.0:{port}" in found["open ports"]
        # The gateway's own port is meant.
        assert "open ports" not in open_points(load_settings(gateway={"port": port}))
    finally:
        process.communicate()


def test_an_mlflow_server_that_answers_everybody(accounts):
    server = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""
    process = subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        assert "lets everybody" in open_points(load_settings(mlflow={"tracking_uri": url}))["MLflow without a secret"]
    finally:
        process.kill()
        process.wait()


def test_an_mlflow_socket_that_others_may_connect_to(settings, accounts, tmp_path):
    path = tmp_path / "mlflow.socket"
    folder = DataFolder(settings.home)
    with socket.socket(socket.AF_UNIX) as listener, folder.lock():
        listener.bind(str(path))
        folder.write_running(Running(1, settings.url, None, str(path), "2026-01-01"))
        path.chmod(0o777)
        tmp_path.chmod(0o755)
        assert "past the gateway" in open_points(settings)["MLflow without a secret"]
        tmp_path.chmod(0o700)
        assert open_points(settings) == {}


def test_sockets_of_both_families_are_seen():
    with socket.create_server(("127.0.0.1", 0)) as four:
        found = listening([os.getpid()])
        assert (os.getpid(), "127.0.0.1", four.getsockname()[1]) in found
    if socket.has_ipv6:
        with socket.create_server(("::", 0), family=socket.AF_INET6) as six:
            assert (os.getpid(), "::", six.getsockname()[1]) in listening([os.getpid()])


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("lab.example", False)],
)
def test_which_hosts_are_this_machine(host, local):
    assert is_local(host) is local
    assert is_shared(load_settings(gateway={"host": host})) is not local


def test_the_command_prints_each_point_and_fails_where_one_is_open(settings, accounts, monkeypatch):
    done = CliRunner().invoke(app, ["doctor", "--security"])
    assert done.exit_code == 0 and "No security issues found." in done.stdout
    monkeypatch.setenv("WORKBENCH_GATEWAY__SESSION_HOURS", "5000")
    refused = CliRunner().invoke(app, ["doctor", "--security", "--json"])
    said = json.loads(refused.stdout)
    assert refused.exit_code == 1 and said["open"] == 1
    assert {point["state"] for point in said["points"]} == {"open", "closed", "not checked"}
