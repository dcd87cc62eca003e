"""Hostile files through the upload routes and a whole ingestion: each document ends ready or failed with a sentence."""

from __future__ import annotations

import pytest

from tests.hostile_documents import DOCUMENTS
from tests.integration.workbench.test_knowledge_http import House, house  # noqa: F401

SENT = (
    *("records: half a surrogate", "records: a number of 10,000 digits", "records: an id of 1 MB", "records: NUL in id and text"),
    *("records: no objects", "DOCX: a billion laughs", "PDF: page tree with itself in it", "text: turned round", "CSV: 100,000 columns"),
)
NAMES = (
    "x" * 3000 + ".txt",
    "a\u202etxt.exe",
    "../../../etc/passwd",
    "a\x00b.txt",
    "..",
    "CON",
    "a\r\nX-Header: 1",
    "\U0001f600 \u00fc.txt",
)


def test_each_document_of_a_batch_ends_ready_or_failed_with_a_sentence(house: House):  # noqa: F811
    sent = []
    for number, kind in enumerate(SENT):
        name, make = DOCUMENTS[kind]
        upload = house.client.post("/uploads", files={"file": (name, make())})
        assert upload.status_code == 201, (kind, upload.text)
        sent.append({"upload": upload.json()["id"], "name": f"{number}-{name}"})
    job = house.client.post("/mlops/kb/documents", json={"collection": "hostile", "files": sent}).json()["job"]
    house.work_off(job["id"])
    said = house.client.get(f"/mlops/kb/jobs/{job['id']}")
    assert said.status_code == 200, said.text
    documents = {one["document"]: one for one in said.json()["documents"]}
    assert documents["good"]["state"] == "ready", documents["good"]
    for one in documents.values():
        assert one["state"] in ("ready", "failed"), one
        assert one["state"] == "ready" or (one["error"]["code"] != "internal" and one["error"]["message"].endswith(".")), one
    assert house.client.post("/mlops/kb/hostile/search", json={"query": "words"}).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_kept_as_a_harmless_one(house: House, name: str):  # noqa: F811
    answer = house.client.post("/uploads", files={"file": (name, b"Some words.")})
    assert answer.status_code == 201, answer.text
    kept = answer.json()["name"]
    assert kept.isprintable() and len(kept) <= 200 and "/" not in kept and kept not in ("..", "")


FILE = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
FIELD = b'--x\r\ncontent-disposition: form-data; name="f%d"\r\n\r\nv\r\n'
FORM = "multipart/form-data; boundary=x"
BOUNDARIES = {
    "none named": ("multipart/form-data", b"--x\r\n"),
    "another than in the body": ("multipart/form-data; boundary=y", FILE + b"\r\n--x--"),
    "never ends": (FORM, FILE),
    "headers without end": (FORM, b"--x\r\n" + b"a" * 200_000),
    "a thousand fields": (FORM, b"".join(FIELD % number for number in range(1000)) + b"--x--"),
    "no name": (FORM, b"--x\r\n\r\nabc\r\n--x--\r\n"),
    "bytes that are no form": (FORM, bytes(range(256)) * 50),
}


@pytest.mark.parametrize("kind", BOUNDARIES)
def test_a_broken_form_is_refused(house: House, kind: str):  # noqa: F811
    content_type, body = BOUNDARIES[kind]
    answer = house.client.post("/uploads", content=body, headers={"content-type": content_type})
    assert answer.status_code in (400, 413, 422) and answer.json()["code"] in ("invalid_input", "too_large"), answer.text


def test_a_scan_whose_name_leads_to_a_folder_is_read_all_the_same(house: House):  # noqa: F811
    answer = house.client.post("/models/segmentation/segment", files={"file": ("..", b"no scan " * 100)})
    assert answer.status_code == 415, answer.text
