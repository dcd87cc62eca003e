import gzip
import hashlib
import io
import json
import threading
import time

import nibabel as nib
import numpy as np
import psutil
import pytest
from websockets.sync.client import connect

from infra.errors import CorruptFile
from pipelines.jobs.job_store import JobStore

REPORT = {
    "job": "",
    "input": {"name": "scan.nii.gz", "format": "NIfTI", "shape": [2, 2, 2], "spacing_mm": [1, 1, 1], "orientation": "RAS"},
    "quality": {"verdict": "good", "score": 1.0, "reasons": []},
    "models": [],
    "measurements": [],
    "lesions": [],
    "sentences": [],
    "confidence": 1.0,
    "seconds": {"segment": 1.0},
}


def begin(client, content: bytes = b"some bytes", **headers) -> dict:
    answer = client.post("/imaging/analyze", files={"file": ("scan.nii.gz", content)}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def finish(running, job_id: str) -> None:
    """End a job as the runner does."""
    store = running.services.store
    text = json.dumps({**REPORT, "job": job_id}).encode()
    report = store.put("analysis-reports", f"{job_id}/report.json", text, media_type="application/json")
    scan = store.put("analysis-reports", f"{job_id}/scan.nii.gz", bytes(range(256)) * 40)
    artifacts = {"report.json": report.as_dict(), "scan.nii.gz": scan.as_dict()}
    await JobStore(running.services.database).done(job_id, {"summary": {"quality": "good"}, "artifacts": artifacts, "models": []})


def test_a_file_as_a_form_and_as_bytes(running):
    content = b"x" * 2_500_000
    with running.client() as client:
        form = client.post("/uploads", files={"file": ("scan one.nii.gz", content)})
        alone = client.put("/uploads/scan.nii.gz", content=content)
        assert form.status_code == alone.status_code == 201
        for answer in (form.json(), alone.json()):
            assert answer["size"] == len(content) and answer["sha256"] == hashlib.sha256(content).hexdigest()
        assert form.json()["name"] == "scan one.nii.gz"
        assert client.get(f"/uploads/{form.json()['id']}").json() == form.json()
    assert not list((running.services.folder.home / "incoming").iterdir())


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_that_is_too_large_is_refused_while_it_arrives(running, declared):
    def body():
        for _ in range(50):
            yield b"x" * 100_000

    headers = {"Content-Length": "5000000"} if declared else {}
    with running.client() as client:
        answer = client.put("/uploads/large.bin", content=body(), headers=headers)
        assert answer.status_code == 413 and answer.json()["code"] == "too_large"
    assert not list((running.services.folder.home / "incoming").glob("*"))


def test_an_upload_that_is_cut_off_leaves_nothing(running):
    import socket

    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"PUT /uploads/a.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {running.token}\r\nContent-Length: 2000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 1_500_000)
        time.sleep(0.3)
    until = time.monotonic() + 5
    while list((running.services.folder.home / "incoming").glob("*")) and time.monotonic() < until:
        time.sleep(0.05)
    assert not list((running.services.folder.home / "incoming").glob("*"))


@pytest.mark.parametrize("given", [{"files": {"file": ("empty.nii", b"")}}, {"files": {"a": (None, b"1")}}, {"content": b"x"}])
def test_forms_without_a_file_are_refused(running, given):
    with running.client() as client:
        answer = client.post("/uploads", **given)
    assert answer.status_code == 422 and answer.json()["code"] == "invalid_input"


def test_an_analysis_by_upload_id_and_its_key(running):
    with running.client() as client:
        upload = client.post("/uploads", files={"file": ("scan.nii.gz", b"bytes")}).json()
        first = client.post("/imaging/analyze", json={"upload": upload["id"]}, headers={"Idempotency-Key": "one"})
        again = client.post("/imaging/analyze", json={"upload": upload["id"]}, headers={"Idempotency-Key": "one"})
        other = client.post("/imaging/analyze", json={"upload": upload["id"]})
        assert first.status_code == 202 and first.json()["id"] == again.json()["id"] != other.json()["id"]
        assert first.json()["address"].endswith(f"/imaging?job={first.json()['id']}")
        assert [job["id"] for job in client.get("/jobs").json()["jobs"]] == [other.json()["id"], first.json()["id"]]


@pytest.mark.parametrize("body", [{}, {"upload": "nothing"}, {"sample": "nothing"}, {"nonsense": 1}, [], "x"])
def test_analyses_of_nothing_are_refused(running, body):
    with running.client() as client:
        answer = client.post("/imaging/analyze", json=body)
    assert answer.status_code in (404, 422) and answer.json()["detail"]


async def test_a_result_and_its_files(running):
    with running.client() as client:
        job = begin(client)
        waiting = client.get(f"/imaging/analysis/{job['id']}")
        assert waiting.status_code == 202 and waiting.json()["state"] == "queued"
        assert client.get(f"/imaging/analysis/{job['id']}/files/report.json").status_code == 409
        await finish(running, job["id"])
        assert client.get(f"/imaging/analysis/{job['id']}").json()["job"] == job["id"]
        whole = client.get(f"/imaging/analysis/{job['id']}/files/scan.nii.gz")
        assert whole.headers["content-disposition"].startswith("attachment") and len(whole.content) == 10240
        part = client.get(f"/imaging/analysis/{job['id']}/files/scan.nii.gz", headers={"Range": "bytes=250-260"})
        assert part.status_code == 206 and part.content == whole.content[250:261]
        assert part.headers["content-range"] == "bytes 250-260/10240"
        assert client.get(f"/imaging/analysis/{job['id']}/files/scan.nii.gz", headers={"Range": "bytes=99999-"}).status_code == 416
        same = client.get(f"/imaging/analysis/{job['id']}/files/scan.nii.gz", headers={"If-None-Match": whole.headers["etag"]})
        assert same.status_code == 304
        missing = client.get(f"/imaging/analysis/{job['id']}/files/nothing.txt")
        assert missing.status_code == 404 and "scan.nii.gz" in missing.json()["detail"]


async def test_another_persons_results_are_not_there(running):
    member = running.services.accounts.add_user("bob")
    token = running.services.accounts.make_token(member, "test")
    with running.client() as client:
        job = begin(client)
        upload = client.post("/uploads", files={"file": ("scan.nii.gz", b"bytes")}).json()
    await finish(running, job["id"])
    with running.stranger() as bob:
        bob.headers["Authorization"] = f"Bearer {token}"
        analysis = f"/imaging/analysis/{job['id']}"
        for path in (f"/jobs/{job['id']}", f"/jobs/{job['id']}/events", analysis, f"{analysis}/files/report.json"):
            assert bob.get(path).status_code == 404, path
        assert bob.get(f"/uploads/{upload['id']}").status_code == 404
        assert bob.post("/imaging/analyze", json={"upload": upload["id"]}).status_code == 404
        assert bob.post(f"/jobs/{job['id']}/cancel").status_code == 404
        assert bob.post(f"/jobs/{job['id']}/retry").status_code == 404
        assert bob.get("/jobs").json()["jobs"] == []


async def test_a_failed_job_gives_its_error(running):
    with running.client() as client:
        job = begin(client)
        await JobStore(running.services.database).failed(job["id"], "receive", CorruptFile("The file is damaged. Export it again."))
        answer = client.get(f"/imaging/analysis/{job['id']}")
        assert answer.status_code == 422 and answer.json()["code"] == "corrupt_file" and "damaged" in answer.json()["detail"]


async def test_bytes_that_were_changed_are_never_given(running):
    with running.client() as client:
        job = begin(client)
        await finish(running, job["id"])
        path = running.services.settings.objects_path / "analysis-reports" / job["id"] / "scan.nii.gz"
        path.write_bytes(b"something else")
        answer = client.get(f"/imaging/analysis/{job['id']}/files/scan.nii.gz")
        assert answer.status_code == 500 and answer.json()["code"] == "integrity"


def test_cancel(running):
    with running.client() as client:
        job = begin(client)
        assert client.post(f"/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
        assert client.get(f"/imaging/analysis/{job['id']}").json()["code"] == "cancelled"


async def test_events_come_as_they_happen(running):
    with running.client() as client:
        job = begin(client)
    got: list[dict] = []

    def listen():
        address = f"{running.url.replace('http', 'ws')}/jobs/{job['id']}/events"
        with connect(address, additional_headers={"Authorization": f"Bearer {running.token}"}, proxy=None) as socket:
            got.extend(json.loads(message) for message in socket)

    thread = threading.Thread(target=listen)
    thread.start()
    job_store = JobStore(running.services.database)
    await job_store.begin_stage(job["id"], "receive")
    await job_store.event(job["id"], "progress", stage="receive", message="Reading", fraction=0.5)
    await finish(running, job["id"])
    thread.join(15)
    assert got[0]["job"]["id"] == job["id"]
    assert [message["kind"] for message in got[1:]] == ["queued", "progress", "done"]


def test_presigned_objects_need_no_signing_in_and_forged_ones_are_refused(running):
    store = running.services.store
    store.put("analysis-reports", "a.txt", b"hello", media_type="text/plain")
    address = store.presign("analysis-reports", "a.txt")
    with running.stranger() as client:
        assert client.get(address).content == b"hello"
        assert client.get(address[:-2] + "xx").status_code == 403


def test_embedding(running):
    with running.client() as client:
        answer = client.post("/models/embedding/embed", json={"texts": ["a", "b"]}).json()
    assert np.allclose(np.linalg.norm(answer["vectors"], axis=1), 1, atol=1e-5) and answer["model"]["name"] == "hashes"


def test_writing_is_a_stream_and_tells_its_errors(running):
    def events(text):
        with running.client() as client:
            body = {"messages": [{"role": "user", "content": text}]}
            with client.stream("POST", "/models/llm/write", json=body) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]

    said = events("one two")
    assert [piece["text"] for piece in said] == ["one", "two", ""] and said[-1]["finish"] == "stop"
    assert events("one fail")[-1]["code"] == "unavailable"
    with running.client() as client:
        answer = client.post("/models/llm/write", json={"messages": [{"role": "user", "content": "fail"}]})
        assert answer.status_code == 503 and answer.json()["retryable"] is True


def test_a_scan_that_unpacks_hugely_is_refused_and_leaves_the_gateway_as_it_was(running, tmp_path):
    header = nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4)).header
    header.set_data_shape((620, 620, 620))
    header["vox_offset"] = 352
    path = tmp_path / "huge.nii.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(620):
            file.write(bytes(620 * 620))
    assert path.stat().st_size < 3_000_000
    before, grown = psutil.Process().memory_info().rss, []
    watching = threading.Event()

    def watch():
        while not watching.wait(0.02):
            grown.append(psutil.Process().memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with running.client() as client:
        answer = client.post("/models/segmentation/segment", files={"file": ("huge.nii.gz", path.read_bytes())})
    watching.set()
    watcher.join()
    assert answer.status_code == 413 and answer.json()["code"] == "too_large"
    assert "memory" in answer.json()["detail"]
    assert max(grown) < 100_000_000


def test_segmenting_a_file(running, tmp_path):
    data = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(data, np.diag([1, 2, 3, 1])), path)
    with running.client() as client:
        answer = client.post("/models/segmentation/segment", files={"file": ("scan.nii.gz", path.read_bytes())})
        assert answer.status_code == 200, answer.text
        arrays = np.load(io.BytesIO(answer.content))
        assert arrays["labels"].shape == (8, 9, 10) and np.allclose(arrays["affine"], np.diag([1, 2, 3, 1]))
        assert json.loads(answer.headers["x-segmentation"])["quality"]["verdict"] == "good"
        assert client.post("/models/segmentation/segment", files={"file": ("scan.nii.gz", b"text")}).json()["code"] == "unsupported_format"
    assert not list((running.services.folder.home / "incoming").glob("*"))


def test_roles_that_are_missing_are_named(running):
    with running.client() as client:
        roles = {card["role"]: card for card in client.get("/models").json()["roles"]}
    assert set(roles) == {"segmentation", "vlm", "llm", "embedding", "entailment"}
    assert roles["vlm"]["state"] == "missing" and roles["vlm"]["champion"] is None


def test_without_ray_it_lives_and_is_not_ready(running):
    with running.stranger() as client:
        assert client.get("/health/live").status_code == 200
        answer = client.get("/health/ready")
        assert answer.status_code == 503 and "ray" in answer.json()["waiting_for"]
        parts = {part["name"]: part for part in client.get("/health/components").json()["components"]}
        assert parts["database"]["state"] == "ready" and all(part["sentence"] for part in parts.values())


def test_models_that_are_still_starting(running):
    running.services.connected = None
    with running.client() as client:
        answer = client.post("/models/embedding/embed", json={"texts": ["a"]})
    assert answer.status_code == 503 and "starting" in answer.json()["detail"]


def test_metrics_name_routes_and_not_addresses(running):
    with running.client() as client:
        client.get("/jobs/some-secret-id")
        text = client.get("/metrics").text
    assert 'route="/jobs/{job_id}"' in text and "some-secret-id" not in text
    assert 'workbench_component_ready{component="database"} 1.0' in text


def test_docs_need_no_other_host(running):
    with running.stranger() as client:
        page = client.get("/docs").text
        document = client.get("/openapi.json").json()
    assert "/imaging/analyze" in page and "<script" not in page and "https://" not in page
    assert {"/auth/sign-in", "/uploads", "/imaging/analyze", "/jobs", "/models", "/health/ready"} <= set(document["paths"])


def test_mlflow_that_does_not_run(running):
    with running.client() as client:
        answer = client.get("/mlflow/")
    assert answer.status_code == 503 and answer.json()["retryable"] is True
