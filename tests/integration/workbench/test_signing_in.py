import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import update
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from infra.database.tables import UserSession, now


def test_a_stranger_is_sent_to_the_sign_in_page_and_back(running):
    with running.stranger() as client:
        answer = client.get("/imaging?job=abc", headers={"Accept": "text/html"})
        assert answer.status_code == 303 and answer.headers["location"] == "/auth/sign-in?next=/imaging%3Fjob%3Dabc"
        page = client.get(answer.headers["location"])
        assert page.status_code == 200 and 'value="/imaging?job=abc"' in page.text
        # Nothing on it comes from another host.
        assert "http://" not in page.text and "https://" not in page.text


CLOSED = ("/jobs", "/models", "/uploads/x", "/imaging/analysis/x", "/imaging/analysis/x/files/report.pdf", "/auth/me", "/mlflow/api/x")
OPEN = ("/health/live", "/health/ready", "/health/components", "/metrics", "/docs", "/openapi.json", "/auth/sign-in")


@pytest.mark.parametrize("path", CLOSED)
def test_a_program_without_a_token_gets_a_problem(running, path):
    with running.stranger() as client:
        answer = client.get(path, headers={"Accept": "application/json"})
    problem = answer.json()
    assert answer.status_code == 401 and answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "not_signed_in" and problem["correlation_id"] == answer.headers["x-correlation-id"]


@pytest.mark.parametrize("path", OPEN)
def test_what_anybody_may_see(running, path):
    with running.stranger() as client:
        assert client.get(path).status_code in (200, 503)


def test_a_wrong_token_is_nobodys(running):
    with running.stranger() as client:
        assert client.get("/jobs", headers={"Authorization": "Bearer wb_forged"}).status_code == 401


def test_a_link_signs_in_once(running):
    owner = running.services.accounts.ensure_owner()
    link = running.services.accounts.make_link(owner, next_path="/imaging", url=running.url)
    with running.stranger() as first, running.stranger() as second:
        answer = first.get(link)
        assert answer.status_code == 303 and answer.headers["location"] == "/imaging"
        assert first.get("/auth/me").json()["name"] == owner.name
        refused = second.get(link, headers={"Accept": "text/html"})
        assert refused.status_code == 401 and "already used" in refused.text
        assert second.get("/auth/me").status_code == 401
        # The person it signed in may open it again.
        assert first.get(link).status_code == 303


def test_a_browser_that_looks_ahead_does_not_use_the_link_up(running):
    link = running.services.accounts.make_link(running.services.accounts.ensure_owner(), url=running.url)
    with running.stranger() as client:
        assert client.get(link, headers={"Sec-Purpose": "prefetch"}).status_code == 422
        assert client.head(link).status_code == 405
        assert client.get(link).status_code == 303


def test_passwords(running):
    accounts = running.services.accounts
    accounts.add_user("ada", password="a long enough one")
    with running.stranger() as client:
        form = {"name": "ada", "password": "wrong", "next": "/imaging"}
        refused = client.post("/auth/sign-in", data=form, headers={"Accept": "text/html"})
        assert refused.status_code == 401 and "wrong" in refused.text and 'value="ada"' in refused.text
        done = client.post("/auth/sign-in", data={**form, "password": "a long enough one"})
        assert done.status_code == 303 and done.headers["location"] == "/imaging"
        assert client.get("/auth/me").json()["name"] == "ada"
        # Changing it ends the other sessions, and keeps this one.
        changed = client.post("/auth/password", data={"current": "a long enough one", "password": "another long one"})
        assert changed.status_code == 303 and client.get("/auth/me").status_code == 200


def test_too_many_wrong_passwords(running):
    with running.stranger() as client:
        for _ in range(5):
            assert client.post("/auth/sign-in", data={"name": "ada", "password": "wrong"}).status_code == 401
        answer = client.post("/auth/sign-in", data={"name": "ada", "password": "wrong"})
    assert answer.status_code == 429 and answer.json()["code"] == "too_many_tries" and int(answer.headers["retry-after"]) > 0


def test_a_stranger_who_fails_for_a_name_does_not_lock_out_its_person(running):
    """Not even at the stranger's own address, where the person has signed in on this device before."""
    running.services.accounts.add_user("ada", password="a long enough one")
    form = {"name": "ada", "password": "a long enough one"}
    with running.stranger() as ada, running.stranger() as other:
        assert ada.post("/auth/sign-in", data=form).status_code == 303
        for _ in range(8):
            other.post("/auth/sign-in", data={**form, "password": "wrong"})
        assert other.post("/auth/sign-in", data=form).status_code == 429
        ada.cookies.delete(running.services.accounts.sessions.name)
        assert ada.get("/auth/me").status_code == 401
        assert ada.post("/auth/sign-in", data=form).status_code == 303


def test_while_passwords_are_checked_nobody_else_waits(running, monkeypatch):
    """Every check hangs here: others are served, and what is beyond the queue is refused at once."""
    go = threading.Event()
    monkeypatch.setattr("workbench.accounts.accounts.verify_password", lambda *_: go.wait(60) and False)
    answers: list[int] = []

    def try_to_sign_in(name: str) -> None:
        with running.stranger() as client:
            answers.append(client.post("/auth/sign-in", data={"name": name, "password": "wrong"}).status_code)

    threads = [threading.Thread(target=try_to_sign_in, args=(f"name{number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 20
        while len(answers) < 8 and time.monotonic() < end:
            time.sleep(0.02)
        assert answers == [503] * 8
        with running.client() as client:
            assert client.get("/jobs").status_code == 200
    finally:
        go.set()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [401] * 4 + [503] * 8


def test_signing_out_here_and_everywhere(running):
    with running.browser() as one, running.browser() as other:
        cookie = "; ".join(f"{name}={value}" for name, value in one.cookies.items())
        out = one.post("/auth/sign-out", headers={"Origin": running.url})
        assert out.status_code == 303 and one.get("/auth/me", headers={"Accept": "application/json"}).status_code == 401
        # A copy of the cookie is worth nothing either.
        with running.stranger() as copy:
            assert copy.get("/auth/me", headers={"Cookie": cookie}).status_code == 401
        assert other.get("/auth/me").status_code == 200
        other.post("/auth/sign-out?everywhere=true", headers={"Origin": running.url})
    with running.browser() as third:
        assert third.get("/auth/me").status_code == 200


def test_a_link_of_another_account_asks_before_it_replaces_the_session(running):
    accounts = running.services.accounts
    owner, eve = accounts.ensure_owner(), accounts.add_user("<eve>")
    link = accounts.make_link(eve, next_path="/activity", url=running.url)
    with running.browser() as client:
        asked = client.get(link)
        assert asked.status_code == 200 and "&lt;eve&gt;" in asked.text and "<eve>" not in asked.text
        assert client.get("/auth/me").json()["name"] == owner.name
        form = {"secret": link.partition("secret=")[2].partition("&")[0], "next": "/activity"}
        assert client.post("/auth/link", data=form, headers={"Origin": "http://evil.example"}).status_code == 403
        done = client.post("/auth/link", data=form, headers={"Origin": running.url})
        assert done.status_code == 303 and done.headers["location"] == "/activity"
        assert client.get("/auth/me").json()["name"] == "<eve>"
        assert client.get(accounts.make_link(eve, url=running.url)).status_code == 303  # one's own does not ask


@pytest.fixture
def often_checked(monkeypatch):
    monkeypatch.setattr("workbench.api.open_connections.CHECK_SECONDS", 0.2)


@pytest.mark.parametrize("ending", ["sign_out", "expiry"])
def test_what_is_open_ends_with_the_session(often_checked, running, ending):
    """Streams of page events and sockets go on for long after the request was let in."""
    address = running.url.replace("http", "ws") + "/jobs/%s/events"
    with running.browser() as client, running.browser() as other:
        job = client.post("/imaging/analyze", files={"file": ("scan.nii.gz", b"x")}, headers={"Origin": running.url}).json()["id"]
        cookies = ["; ".join(f"{name}={value}" for name, value in one.cookies.items()) for one in (client, other)]
        with (
            connect(address % job, additional_headers={"Cookie": cookies[0]}, origin=running.url, proxy=None) as ended,
            connect(address % job, additional_headers={"Cookie": cookies[1]}, origin=running.url, proxy=None) as kept,
        ):
            ended.recv(), kept.recv()
            if ending == "sign_out":
                client.post("/auth/sign-out", headers={"Origin": running.url})
            else:  # changed by another process: no word of it reaches this one
                session_id = running.services.accounts.sessions.read(cookies[0])
                with running.services.database.session() as session:
                    session.execute(update(UserSession).where(UserSession.id == session_id).values(expires_at=now()))
            with pytest.raises(ConnectionClosed) as closed:
                for _ in range(20):
                    ended.recv(timeout=20)
            assert closed.value.rcvd.code == 1008
            other.post(f"/jobs/{job}/cancel", headers={"Origin": running.url})
            assert any('"cancelled"' in kept.recv(timeout=20) for _ in range(20))


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_another_site_cannot_act_for_a_person(running, headers):
    with running.browser() as client:
        answer = client.post("/jobs/abc/cancel", headers=headers)
        assert answer.status_code == 403 and answer.json()["code"] == "not_allowed"
        assert client.post("/jobs/abc/cancel", headers={"Origin": running.url}).status_code == 404


def test_another_site_cannot_listen_either(running):
    with running.browser() as client:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    address = running.url.replace("http", "ws") + "/jobs/abc/events"
    with pytest.raises(InvalidStatus):
        connect(address, additional_headers={"Cookie": cookie}, origin="http://evil.example", proxy=None)
    with pytest.raises(InvalidStatus):
        connect(address, proxy=None)
    with connect(address, additional_headers={"Cookie": cookie}, origin=running.url, proxy=None) as socket:
        assert '"not_found"' in socket.recv()


def test_every_answer_carries_a_correlation_id(running):
    with running.client() as client:
        assert client.get("/jobs", headers={"X-Correlation-ID": "from-the-caller"}).headers["x-correlation-id"] == "from-the-caller"
        made = client.get("/jobs", headers={"X-Correlation-ID": "no good"}).headers["x-correlation-id"]
        assert len(made) == 32
        assert client.get("/nothing/here").json()["code"] == "not_found"


def test_a_redirect_stays_on_this_site(running):
    link = running.services.accounts.make_link(running.services.accounts.ensure_owner(), url=running.url)
    with running.stranger() as client:
        where = client.get(f"{link}&next=https://evil.example/").headers["location"]
    assert urlsplit(where).netloc == "" and where == "/"


def test_nobody_else_may_frame_it(running):
    with running.stranger() as client:
        headers = client.get("/auth/sign-in").headers
    assert headers["content-security-policy"].endswith("frame-ancestors 'self'") and headers["x-content-type-options"] == "nosniff"


def test_a_body_that_is_not_what_the_route_wants(running):
    with running.client() as client:
        answer: httpx.Response = client.post("/models/embedding/embed", json={"text": "x"})
    assert answer.status_code == 422 and answer.json()["code"] == "invalid_input" and "texts" in answer.json()["detail"]
