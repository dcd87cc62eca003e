"""People and tokens over HTTP and by the command line."""

import json
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from workbench.cli import app


@pytest.fixture
def cli(monkeypatch):
    """``cli(running, "users", "list")`` runs a command as in a shell; without ``running`` none is found."""

    def run(running, *arguments: str, token: str | None = None) -> Result:
        if running is not None:
            monkeypatch.setenv("WORKBENCH_URL", running.url)
            monkeypatch.setenv("WORKBENCH_TOKEN", token or running.token)
        return CliRunner().invoke(app, arguments)

    return run


def test_an_owner_adds_a_person_who_signs_in_and_is_disabled(running):
    with running.client() as owner, running.stranger() as ada:
        made = owner.post("/auth/users", json={"name": "ada", "role": "promoter"})
        assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
        link, ada_id = urlsplit(made.json()["link"]), made.json()["user"]["id"]
        answer = ada.get(f"{link.path}?{link.query}")
        assert answer.status_code == 303 and answer.headers["location"] == "/auth/password"
        assert ada.get("/auth/me").json()["role"] == "promoter"
        token = ada.post("/auth/tokens", json={"name": "laptop", "days": 7}, headers={"Origin": running.url}).json()
        assert {one["name"]: one["sessions"] for one in owner.get("/auth/users").json()["users"]}["ada"] == 1
        assert owner.patch(f"/auth/users/{ada_id}", json={"role": "member"}).json()["role"] == "member"
        assert ada.get("/auth/me").json()["role"] == "member"
        assert owner.post(f"/auth/users/{ada_id}/end-sessions").json()["sessions"] == 0
        assert ada.get("/auth/me").status_code == 401
        bearer = {"Authorization": f"Bearer {token['secret']}"}
        assert ada.get("/auth/me", headers=bearer).status_code == 200
        assert owner.post(f"/auth/users/{ada_id}/disable").json()["disabled_at"]
        assert ada.get("/auth/me", headers=bearer).status_code == 401
        assert "link" in owner.post(f"/auth/users/{ada_id}/reset").json()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/auth/users", None),
        ("POST", "/auth/users", {"name": "eve", "role": "owner"}),
        ("PATCH", "/auth/users/OWNER", {"role": "member"}),
        ("POST", "/auth/users/OWNER/disable", None),
        ("POST", "/auth/users/OWNER/reset", None),
        ("POST", "/auth/users/OWNER/end-sessions", None),
        ("DELETE", "/auth/tokens/OWNERS-TOKEN", None),
    ],
)
def test_a_member_manages_nobody(running, method, path, body):
    accounts = running.services.accounts
    owner = accounts.ensure_owner()
    with running.client() as client:
        token = client.get("/auth/tokens").json()["tokens"][0]["id"]
    path = path.replace("OWNERS-TOKEN", token).replace("OWNER", owner.id)
    headers = {"Authorization": f"Bearer {accounts.make_token(accounts.add_user('ada', role='promoter'), 'x')}"}
    with running.stranger() as client:
        assert client.request(method, path, json=body).status_code == 401
        answer = client.request(method, path, json=body, headers=headers)
    assert answer.status_code == (404 if "tokens" in path else 403), answer.text
    with running.client() as client:
        assert client.get("/auth/me").json()["role"] == "owner"


def test_what_is_refused_says_what_to_do(running):
    with running.client() as client:
        assert (
            client.post("/auth/users", json={"name": "ada", "role": "admin"}).json()["detail"].endswith("Roles: owner, promoter, member.")
        )
        assert client.post("/auth/tokens", json={"name": "x", "days": 91}).status_code == 422
        assert client.post("/auth/users/nobody/disable").status_code == 404
        assert client.delete("/auth/tokens/nothing").status_code == 404


def test_every_route_is_documented(running):
    with running.stranger() as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert {"/auth/users", "/auth/users/{user_id}/disable", "/auth/tokens", "/auth/tokens/{token_id}"} <= paths.keys()
    answers = paths["/auth/users"]["post"]["responses"]["201"]["content"]["application/json"]["schema"]
    assert answers == {"$ref": "#/components/schemas/Invitation"}


def test_the_command_line_with_a_running_workbench(running, cli):
    made = cli(running, "users", "add", "ada", "--role", "promoter")
    assert made.exit_code == 0 and made.stdout.startswith(f"{running.url}/auth/link?secret=") and "ada (promoter)" in made.stderr
    listed = json.loads(cli(running, "users", "list", "--json").stdout)["users"]
    assert [one["role"] for one in listed] == ["owner", "promoter"]
    secret = cli(running, "tokens", "add", "laptop", "--days", "3").stdout.strip()
    assert secret.startswith("wb_")
    assert "laptop" in cli(running, "tokens", "list", token=secret).stdout
    assert cli(running, "tokens", "revoke", "laptop").exit_code == 0
    refused = cli(running, "tokens", "list", "--json", token=secret)
    assert refused.exit_code == 1 and json.loads(refused.stdout)["error"]["code"] == "not_signed_in"
    assert cli(running, "users", "disable", "ada").stdout == "ada is disabled.\n"
    assert "/auth/link" in cli(running, "users", "reset", "ada").stdout
    unknown = cli(running, "users", "disable", "nobody", "--json")
    assert unknown.exit_code == 1 and json.loads(unknown.stdout)["error"]["code"] == "not_found"


def test_the_command_line_on_the_data_folder(cli):
    """Without a running workbench: whoever may write the folder is its owner."""
    assert "/auth/link" in cli(None, "users", "add", "ada").stdout
    assert "ada" in cli(None, "users", "list").stdout
    assert cli(None, "users", "disable", "ada", "--json").exit_code == 0
    assert cli(None, "tokens", "add", "laptop").stdout.startswith("wb_") and "never used" in cli(None, "tokens", "list").stdout
    assert cli(None, "tokens", "revoke", "laptop", "--json").exit_code == 0
