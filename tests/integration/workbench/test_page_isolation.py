"""Pages, their events and the files they take: a person's own and nothing else, for every event and route of Gradio."""

from __future__ import annotations

import asyncio
import http.server
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.block_function import BlockFunction
from gradio.context import LocalContext
from gradio.exceptions import InvalidPathError
from gradio.processing_utils import _check_allowed
from gradio.queueing import Event
from sqlmodel import select

from infra.database.tables import Upload
from tests.integration.workbench.conftest import Running, gateway
from workbench.accounts import people
from workbench.ui.access.page_files import PageFiles
from workbench.ui.access.page_policy import script_hash
from workbench.ui.access.page_sessions import MOST_A_PERSON

CONTENT = b"what a person uploads"


@dataclass
class Site:
    """A gateway with pages, three people who are signed in, and a web server that counts who asks it."""

    running: Running
    blocks: gr.Blocks
    member: httpx.Client
    same_member_elsewhere: httpx.Client
    other: httpx.Client
    asked: list[str] = field(default_factory=list)
    web: str = ""

    def upload(self, client: httpx.Client, name: str = "scan.txt") -> str:
        answer = client.post("/gradio_api/upload", files={"files": (name, CONTENT)})
        assert answer.status_code == 200, answer.text
        return answer.json()[0]

    def events(self, *, with_files: bool = True) -> list[tuple[BlockFunction, int]]:
        """Every event with an input (that takes a file), and which input."""
        return [
            (event, place)
            for event in self.blocks.fns.values()
            for place, component in enumerate(event.inputs)
            if takes_files(component) or not with_files
        ]

    def join(self, client: httpx.Client, event: BlockFunction, place: int, value: Any) -> tuple[httpx.Response, str]:
        session = secrets.token_hex(6)
        data = [value if number == place else None for number in range(len(event.inputs))]
        asked = {"data": data, "fn_index": event._id, "session_hash": session, "trigger_id": None, "event_data": None}
        return client.post("/gradio_api/queue/join", json=asked), session

    def outcome(self, client: httpx.Client, session: str) -> dict[str, Any]:
        """The message that ends the session's only event."""
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:") and (message := json.loads(line[5:]))["msg"] == "process_completed":
                    return message
        raise AssertionError("the event did not end")


def takes_files(component: Any) -> bool:
    model = getattr(component, "data_model", None)
    return model is not None and "orig_name" in json.dumps(model.model_json_schema())


def described(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "orig_name": "scan.txt", "meta": {"_type": "gradio.FileData"}, **more}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    asked: list[str] = []

    class Web(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("site")))
        running = stack.enter_context(gateway(pages=True))
        mounted = running.app.routes[-1].app  # type: ignore[attr-defined]
        member, other = (running.services.accounts.add_user(name) for name in ("member", "other"))
        clients = [stack.enter_context(running.browser(user)) for user in (member, other)]
        time.sleep(1.1)  # a session cookie is dated to the second
        clients.insert(1, stack.enter_context(running.browser(member)))
        yield Site(running, mounted.get_blocks(), *clients, asked, f"http://127.0.0.1:{web.server_port}")
    web.shutdown()


def paths_that_are_not_ones_own(site: Site) -> dict[str, str]:
    home, own = site.running.services.folder.home, Path(site.upload(site.member))
    link = own.with_name("link.txt")
    if not link.is_symlink():
        link.symlink_to(home / "owner-token")
    loose = home / "cache" / "gradio" / "loose.txt"
    loose.write_bytes(CONTENT)
    up = "/".join([".."] * len(own.relative_to(home).parts[:-1]))
    return {
        "absolute": str(home / "owner-token"),
        "of the process": "/proc/self/environ",
        "relative": "pyproject.toml",
        "relative to the upload": own.name,
        "upwards": f"{own.parent}/{up}/owner-token",
        "upwards and back to the own file": f"{own.parent}/../{own.parent.name}/{own.name}",
        "a link": str(link),
        "a folder": str(own.parent),
        "in no person's folder": str(loose),
        "another person's": site.upload(site.other),
        "the same person's of another sign-in": site.upload(site.same_member_elsewhere),
        "an address": f"{site.web}/scan.nii.gz",
        "an address of a file": f"file://{home}/owner-token",
        "a null byte": f"{own}\0",
        "empty": "",
        "too long": f"{own.parent}/{'a' * 5000}",
    }


def test_no_event_takes_a_file_that_is_not_ones_own_upload(site: Site):
    events = site.events()
    assert len(events) >= 6, "the events that take files were not found"
    taken = []
    for event, place in events:
        for kind, path in paths_that_are_not_ones_own(site).items():
            for value in (described(path), [described(path)]):
                answer, _ = site.join(site.member, event, place, value)
                if answer.status_code not in (400, 403, 413, 422):
                    taken.append(f"{event.name} (input {place}): {kind}: {answer.status_code}")
    assert not taken, "\n".join(taken)
    assert not site.asked, "an address was fetched"
    with site.running.services.database.session() as session:
        assert not session.exec(select(Upload)).all()


def test_a_file_in_the_input_of_an_event_that_takes_none_is_refused_too(site: Site):
    path = str(site.running.services.folder.owner_token)
    for event, place in site.events(with_files=False):
        for value in (described(path), {"value": [described(path)]}, {"path": path}):
            answer, _ = site.join(site.member, event, place, value)
            assert answer.status_code in (400, 403, 422), (event.name, place, value)


def test_every_event_takes_ones_own_upload(site: Site):
    for event, place in site.events():
        own = described(site.upload(site.member), url=f"{site.web}/instead", is_stream=True)
        several = getattr(event.inputs[place], "file_count", "single") != "single"
        answer, session = site.join(site.member, event, place, [own] if several else own)
        assert answer.status_code == 200, (event.name, answer.text)
        said = json.dumps(site.outcome(site.member, session))
        assert "upload" not in said.lower() and "gradio cache" not in said, (event.name, said)
    assert not site.asked, "the file's second address was fetched"
    with site.running.services.database.session() as session:
        assert session.exec(select(Upload)).all(), "no event kept the file that it was sent"


def test_an_uploaded_file_is_given_to_the_sign_in_that_sent_it_alone(site: Site):
    path = site.upload(site.member, "picture.svg")
    assert site.member.get(f"/gradio_api/file={path}").content == CONTENT
    token = site.running.services.accounts.make_token(site.running.services.accounts.user_named("member"), "t")
    with site.running.stranger() as stranger:
        by_token = {"authorization": f"Bearer {token}"}
        for client, headers in ((site.other, {}), (site.same_member_elsewhere, {}), (stranger, {}), (stranger, by_token)):
            for address in (f"/gradio_api/file={path}", f"/gradio_api/file/{path}", f"/file={path}"):
                assert client.get(address, headers=headers).status_code in (303, 401, 403, 404)
    for kind, other in paths_that_are_not_ones_own(site).items():
        if "\0" not in other and kind != "upwards and back to the own file":
            assert site.member.get(f"/gradio_api/file={other}").status_code in (403, 404, 414), kind
    assert not site.asked


def test_gradio_checks_paths_too(site: Site):
    token = LocalContext.blocks.set(site.blocks)
    try:
        with pytest.raises(InvalidPathError):
            _check_allowed(str(site.running.services.folder.owner_token), check_in_upload_folder=True)
    finally:
        LocalContext.blocks.reset(token)


def test_old_uploads_are_removed_with_their_folders(tmp_path: Path):
    files = PageFiles(tmp_path)
    folder = files.folder("member", "abc") / "digest"
    folder.mkdir(parents=True)
    (folder / "scan.nii.gz").write_bytes(CONTENT)
    assert files.sweep() == 0 and (folder / "scan.nii.gz").exists()
    assert files.sweep(older_than=0) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "run/send"), ("POST", "api/send"), ("POST", "call/send"), ("POST", "call/v2/send"), ("GET", "call/send/abc"),
        ("POST", "component_server"), ("POST", "stream/abc"), ("POST", "process_recording"), ("GET", "deep_link"),
        ("GET", "proxy=https://x.hf.space/"), ("POST", "vibe-edit"), ("GET", "vibe-code"), ("GET", "runs"), ("GET", "queue/status"),
        ("GET", "custom_component/a/client/b/c.js"), ("GET", "dev/reload"), ("GET", "openapi.json"), ("GET", "token"),
    ],
)  # fmt: skip
def test_routes_of_gradio_that_no_page_uses_are_closed(site: Site, method: str, path: str):
    assert site.member.request(method, f"/gradio_api/{path}", json={} if method == "POST" else None).status_code == 404
    assert site.member.get("/monitoring").status_code == site.member.get("/?deep_link=abc").status_code == 404


def opened_page(site: Site) -> tuple[str, str]:
    """A page of the member with a finished event whose messages nobody has read: its hash and the event's id."""
    event = next(event for event in site.blocks.fns.values() if event.inputs and event.fn)
    answer, session = site.join(site.member, event, 0, None)
    assert answer.status_code == 200
    return session, answer.json()["event_id"]


def test_a_stranger_gets_the_icon_of_the_sign_in_page_and_nothing_else_of_gradio(site: Site):
    with site.running.stranger() as stranger:
        assert stranger.get("/favicon.ico").status_code == 200
        for path in ("/config", "/theme.css", "/robots.txt", "/gradio_api/info", "/gradio_api/app_id"):
            assert stranger.get(path).status_code in (303, 401), path


def test_a_page_answers_the_person_who_opened_it_alone(site: Site):
    session, event_id = opened_page(site)
    other_session = secrets.token_hex(6)
    event = next(event for event in site.blocks.fns.values() if event.inputs and event.fn)
    own, _ = site.join(site.other, event, 0, None)
    assert own.status_code == 200
    joined = {"data": [None] * len(event.inputs), "fn_index": event._id, "session_hash": session}
    cancelled = {"fn_index": event._id, "event_id": event_id}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "queue/join", {"json": joined}),
        ("GET", "queue/data", {"params": {"session_hash": session}}),
        ("GET", "queue/data", {"params": {"session_hash": other_session}}),
        ("GET", "queue/data", {}),
        ("POST", "cancel", {"json": {**cancelled, "session_hash": session}}),
        ("POST", "cancel", {"json": {**cancelled, "session_hash": other_session}}),
        ("POST", "closed", {"params": {"session_hash": session}}),
        ("GET", f"heartbeat/{session}", {}),
        ("GET", f"call/{event.api_name}/{event_id}", {}),
        ("POST", f"stream/{event_id}", {"json": joined}),
        ("POST", f"stream/{event_id}/close", {}),
        ("GET", f"stream/{session}/run/1/playlist.m3u8", {}),
        ("POST", "component_server", {"json": {"session_hash": session, "component_id": 1, "fn_name": "ls", "data": []}}),
        ("POST", "run/predict", {"json": joined}),
    ]
    with site.running.stranger() as stranger:
        for method, path, more in requests:
            assert site.other.request(method, f"/gradio_api/{path}", **more).status_code in (400, 403, 404), (method, path)
            assert stranger.request(method, f"/gradio_api/{path}", **more).status_code in (303, 401), (method, path)
    assert site.outcome(site.member, session)["event_id"] == event_id  # untouched by all of that


def test_an_event_of_another_page_is_not_cancelled_by_its_id(site: Site):
    slow = next(event for event in site.blocks.fns.values() if event.inputs and event.fn)
    queue, event_id = site.blocks._queue, secrets.token_hex(16)
    _, session = site.join(site.member, slow, 0, None)
    _, own = site.join(site.other, slow, 0, None)
    queue.event_ids_to_events[event_id] = Event(session, slow, None, None)  # type: ignore[arg-type]  as while it runs
    try:
        asked = {"session_hash": own, "fn_index": slow._id, "event_id": event_id}
        assert site.other.post("/gradio_api/cancel", json=asked).status_code == 404
        assert event_id in queue.event_ids_to_events
    finally:
        del queue.event_ids_to_events[event_id]


def test_the_progress_of_an_upload_is_told_to_its_person_alone(site: Site):
    name = secrets.token_hex(6)
    sent = site.member.post("/gradio_api/upload", params={"upload_id": name}, files={"files": ("secret-name.txt", CONTENT)})
    assert sent.status_code == 200
    assert site.other.get("/gradio_api/upload_progress", params={"upload_id": name}).status_code == 404
    assert "done" in site.member.get("/gradio_api/upload_progress", params={"upload_id": name}).text


def test_nothing_is_kept_of_a_page_that_was_closed(site: Site):
    session, _ = opened_page(site)
    site.outcome(site.member, session)
    queue, states = site.blocks._queue, site.blocks.state_holder
    kept = (states.session_data, queue.pending_messages_per_session, queue.pending_event_ids_session)
    assert all(session in place for place in kept)
    assert site.member.post("/gradio_api/closed", params={"session_hash": session}).status_code == 204
    assert not any(session in place for place in (*kept, states.time_last_used))
    assert site.member.get("/gradio_api/queue/data", params={"session_hash": session}).status_code == 404


def test_pages_beyond_the_most_of_a_person_close_the_one_used_longest_ago(site: Site):
    first, _ = opened_page(site)
    site.outcome(site.member, first)
    later = [opened_page(site)[0] for _ in range(MOST_A_PERSON)]
    states = site.blocks.state_holder.session_data
    assert first not in states
    assert site.member.get("/gradio_api/queue/data", params={"session_hash": first}).status_code == 404
    assert site.outcome(site.member, later[-1])["success"]
    assert len(states) <= MOST_A_PERSON + 10  # the other person's few beside them


def test_what_is_kept_for_a_page_is_small(site: Site):
    session, _ = opened_page(site)
    site.outcome(site.member, session)
    assert not site.blocks.state_holder.session_data[session].config_values
    assert len(site.blocks._queue.event_analytics) <= 1


def test_pages_run_only_the_scripts_that_they_came_with(site: Site):
    for page in site.blocks.pages:
        answer = site.member.get(f"/{page[0]}")
        policy = answer.headers["content-security-policy"]
        scripts = re.search(r"script-src ([^;]*)", policy)
        assert answer.status_code == 200 and scripts
        assert "unsafe-inline" not in scripts[1] and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", answer.text, re.DOTALL)
        assert len(inline) >= 3
        assert all(script_hash(text.encode()) in scripts[1] for text in inline)


@pytest.mark.parametrize(
    "path", ["/", "/imaging", "/config", "/auth/sign-in", "/auth/me", "/jobs", "/docs", "/nothing", "/gradio_api/nothing", "/viewer/none"]
)
def test_every_response_carries_the_usual_headers(site: Site, path: str):
    headers = site.member.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "frame-ancestors" in headers["content-security-policy"] and "default-src 'none'" in headers["content-security-policy"]
    if "json" in headers.get("content-type", ""):
        assert headers["cache-control"] in ("no-store", "private, no-cache")


def test_an_open_page_ends_when_its_person_is_disabled(site: Site, monkeypatch: pytest.MonkeyPatch):
    """The queue of a page goes on for long after the request for it was let in."""

    async def hang(*_: Any) -> None:
        await asyncio.sleep(60)

    accounts = site.running.services.accounts
    leaver = accounts.add_user("leaver")
    event = next(event for event in site.blocks.fns.values() if not event.inputs)
    monkeypatch.setattr(event, "fn", hang)
    with site.running.browser(leaver) as client:
        answer, session = site.join(client, event, 0, None)
        assert answer.status_code == 200
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}, timeout=50) as stream:
            lines = stream.iter_lines()
            assert stream.status_code == 200 and next(lines)
            people.disable(accounts, accounts.ensure_owner(), leaver.id)
            with pytest.raises(httpx.RemoteProtocolError):
                for _ in lines:
                    pass
        assert client.get("/jobs", headers={"Accept": "application/json"}).status_code == 401
