"""Bodies that are too large: refused while they arrive, on every route, and no more of them read."""

import http.client
import json
from urllib.parse import urlsplit

import pytest
from fastapi.routing import APIRoute

from workbench.api.body_limits import BodyLimits
from workbench.gateway import build_gateway


def send(url: str, method: str, path: str, size: int, *, declared: bool, token: str = "", kind: str = "application/json"):
    """Status and problem of the answer to ``size`` bytes; the answer is read as soon as the other side stops reading."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.putrequest(method, path)
    connection.putheader("Content-Type", kind)
    if token:
        connection.putheader("Authorization", f"Bearer {token}")
    if declared:
        connection.putheader("Content-Length", str(size))
    else:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    piece, sent = b"x" * 50_000, 0
    begin = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' if kind.startswith("multipart") else b""
    try:
        while sent < size:
            part = (begin + piece if sent == 0 else piece)[: size - sent]
            connection.send(part if declared else b"%x\r\n%s\r\n" % (len(part), part))
            sent += len(part)
        if not declared:
            connection.send(b"0\r\n\r\n")
    except OSError:
        pass  # the connection is closed: what is said stands in the answer
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, json.loads(said) if said.startswith(b"{") else {}, sent


FORM, MULTIPART, JSON = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/json"
TOO_LARGE = [
    ("POST", "/auth/sign-in", 300_000, FORM, "max_form_kb"),
    ("POST", "/auth/sign-in", 300_000, MULTIPART, "max_form_kb"),
    ("POST", "/auth/password", 300_000, FORM, "max_form_kb"),
    ("POST", "/models/embedding/embed", 9_000_000, JSON, "max_json_mb"),
    ("POST", "/mlops/query", 9_000_000, JSON, "max_json_mb"),
    ("POST", "/uploads", 4_000_000, MULTIPART, "max_upload_mb"),
    ("PUT", "/uploads/large.bin", 4_000_000, "application/octet-stream", "max_upload_mb"),
]
# Without pages nobody reads what is sent to Gradio: only what a request says of its size can be refused.
DECLARED_ONLY = [
    ("POST", "/gradio_api/queue/join", 9_000_000, JSON, "max_json_mb"),
    ("POST", "/gradio_api/upload", 4_000_000, MULTIPART, "max_upload_mb"),
    ("POST", "/mlops/analyze", 9_000_000, JSON, "max_json_mb"),
]


def test_a_body_that_says_that_it_is_too_large_is_refused(running):
    for method, path, size, kind, setting in TOO_LARGE + DECLARED_ONLY:
        status, said, _ = send(running.url, method, path, size, declared=True, token=running.token, kind=kind)
        assert status == 413 and said["code"] == "too_large" and setting in said["detail"], path


def test_a_body_that_grows_too_large_is_refused(running):
    for method, path, size, kind, setting in TOO_LARGE:
        status, said, _ = send(running.url, method, path, size, declared=False, token=running.token, kind=kind)
        assert status == 413 and said["code"] == "too_large", (path, status, said)
        assert setting in said["detail"]
    assert not list((running.services.folder.home / "incoming").glob("*"))


@pytest.mark.parametrize("path", ["/auth/sign-in", "/jobs/x/cancel"])
def test_a_strangers_body_is_not_kept(running, path):
    status, _, _ = send(running.url, "POST", path, 20_000_000, declared=False, kind="multipart/form-data; boundary=b")
    assert status in (401, 413)
    with running.client() as client:
        assert client.get("/jobs").status_code == 200


def test_what_fits_passes(running):
    with running.client() as client:
        assert client.post("/models/embedding/embed", json={"texts": ["x" * 1000] * 50}).status_code == 200
        assert client.post("/uploads", files={"file": ("a.bin", b"x" * 2_900_000)}).status_code == 201


def test_only_routes_that_take_files_take_large_bodies(running):
    """Found from the routes, so that a new one is held to the limit of JSON unless it says that it takes files."""
    app = build_gateway(running.services, pages=False)
    layer = BodyLimits(app, limits=running.services.settings.gateway, routes=app.routes)
    large = set()
    for route in app.routes:
        if isinstance(route, APIRoute):
            path = route.path.replace("{path:path}", "x").replace("{", "").replace("}", "")
            for method in route.methods - {"GET", "HEAD"}:
                if layer.limit(method, path, "multipart/form-data; boundary=b")[1] == "max_upload_mb":
                    large.add((method, route.path))
                if not path.startswith(("/uploads", "/mlflow")):
                    assert layer.limit(method, path, "application/json")[1] != "max_upload_mb", (method, path)
    expected = {"/uploads", "/uploads/{name}", "/imaging/analyze", "/mlops/analyze", "/models/segmentation/segment"}
    assert expected <= {path for _, path in large}
    assert not any(path.startswith("/auth") or path.startswith("/jobs") for _, path in large)
