"""What only S3 can show: parts, presigned addresses, encryption, paging, and how failures are reported. Through moto's server."""

from __future__ import annotations

import hashlib
import io
import os
import uuid

import httpx
import pytest

from infra.errors import ConfigurationError, Conflict, IntegrityError, InvalidInput, NotFound, Unavailable
from infra.objectstore import s3
from infra.objectstore.s3 import S3ObjectStore
from infra.settings import Storage

KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def storage(aws_server):
    return Storage(
        kind="s3",
        endpoint_url=aws_server,
        region="us-east-1",
        bucket_prefix=f"t{uuid.uuid4().hex[:12]}-",
        kms_keys={"kb-raw": KEY_ARN},
        attempts=2,
    )


@pytest.fixture
def store(storage):
    store = S3ObjectStore(storage)
    for bucket in ("uploads-raw", "kb-raw"):
        store._client.create_bucket(Bucket=store.bucket_name(bucket))
    return store


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(s3, "PART", 5 << 20)  # the smallest that S3 takes


def test_names_of_buckets_have_the_prefix_and_the_environment():
    assert Storage(bucket_prefix="team-", environment="prod").s3_bucket("kb-raw") == "team-kb-raw-prod"
    assert Storage().s3_bucket("kb-raw") == "kb-raw"


def test_a_large_body_goes_in_parts_and_comes_back_whole(store, small_parts):
    content = os.urandom(12_000_000)
    info = store.put("uploads-raw", "large", io.BytesIO(content), media_type="application/gzip")
    head = store._client.head_object(Bucket=store.bucket_name("uploads-raw"), Key="large")
    assert head["ETag"].strip('"').endswith("-3"), "three parts"
    assert info == store.info("uploads-raw", "large")
    assert info.sha256 == hashlib.sha256(content).hexdigest()
    assert store.get("uploads-raw", "large") == content


def test_a_large_body_that_must_not_replace_is_refused_and_leaves_no_parts(store, small_parts):
    store.put("uploads-raw", "large", b"first")
    with pytest.raises(Conflict):
        store.put("uploads-raw", "large", os.urandom(11_000_000), replace=False)
    assert store.get("uploads-raw", "large") == b"first"
    assert "Uploads" not in store._client.list_multipart_uploads(Bucket=store.bucket_name("uploads-raw"))


def test_a_part_that_fails_leaves_nothing(store, small_parts, monkeypatch):
    send = store._client.upload_part

    def fail(**given):
        if given["PartNumber"] == 2:
            raise s3.make_client("s3", region="us-east-1").exceptions.ClientError({"Error": {"Code": "SlowDown"}}, "UploadPart")
        return send(**given)

    monkeypatch.setattr(store._client, "upload_part", fail)
    with pytest.raises(Unavailable, match="SlowDown"):
        store.put("uploads-raw", "large", os.urandom(12_000_000))
    assert "Uploads" not in store._client.list_multipart_uploads(Bucket=store.bucket_name("uploads-raw"))
    with pytest.raises(NotFound):
        store.info("uploads-raw", "large")


def test_listings_of_more_than_a_page(store, monkeypatch):
    monkeypatch.setattr(s3, "PAGE", 5)
    keys = [f"many/{number:02}" for number in range(12)]
    for key in reversed(keys):
        store.put("uploads-raw", key, b"x")
    assert [item.key for item in store.list("uploads-raw", "many/")] == keys


def test_a_bucket_with_a_key_is_written_with_it(store):
    store.put("kb-raw", "doc.pdf", b"x")
    head = store._client.head_object(Bucket=store.bucket_name("kb-raw"), Key="doc.pdf")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KEY_ARN)
    store.put("uploads-raw", "doc.pdf", b"x")
    assert "SSEKMSKeyId" not in store._client.head_object(Bucket=store.bucket_name("uploads-raw"), Key="doc.pdf")


def test_changed_bytes_are_noticed(store):
    info = store.put("uploads-raw", "k", b"what was written")
    store._client.put_object(Bucket=store.bucket_name("uploads-raw"), Key="k", Body=b"what was changed", Metadata={"sha256": info.sha256})
    with pytest.raises(IntegrityError):
        store.get("uploads-raw", "k")
    with store.open("uploads-raw", "k", verify=False) as stream:
        assert stream.read() == b"what was changed"


def test_an_object_of_another_program_opens_without_a_check_only(store):
    store._client.put_object(Bucket=store.bucket_name("uploads-raw"), Key="dropped", Body=b"scan")
    with pytest.raises(IntegrityError, match="not recorded"):
        store.open("uploads-raw", "dropped")
    with store.open("uploads-raw", "dropped", verify=False) as stream:
        assert stream.read() == b"scan"


def test_a_presigned_address_gives_the_object(store):
    store.put("uploads-raw", "k", b"for a while")
    url = store.presign("uploads-raw", "k", seconds=90)
    assert "X-Amz-Expires=90" in url
    assert httpx.get(url, trust_env=False).content == b"for a while"


def test_a_presigned_put_takes_the_body_and_signs_its_digest_and_key(store):
    content = b"a document"
    address = store.presign_put("kb-raw", "doc.pdf", sha256=hashlib.sha256(content).hexdigest(), media_type="application/pdf", seconds=60)
    assert "X-Amz-Expires=60" in address.url
    signed = httpx.URL(address.url).params["X-Amz-SignedHeaders"].split(";")
    assert set(address.headers) <= set(signed), "a client cannot send another digest, type or key"
    assert httpx.put(address.url, content=content, headers=address.headers, trust_env=False).status_code == 200
    assert store.get("kb-raw", "doc.pdf") == content
    assert store.info("kb-raw", "doc.pdf").media_type == "application/pdf"


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, "ab" * 33])
def test_a_presigned_put_wants_a_digest(store, sha256):
    with pytest.raises(InvalidInput, match="sha256"):
        store.presign_put("kb-raw", "doc.pdf", sha256=sha256)


@pytest.mark.parametrize("seconds", [0, -1, 700_000])
def test_presigned_addresses_are_valid_for_a_second_to_a_week(store, seconds):
    store.put("uploads-raw", "k", b"x")
    with pytest.raises(InvalidInput, match="7 days"):
        store.presign("uploads-raw", "k", seconds=seconds)


def test_a_missing_bucket_is_named(store):
    with pytest.raises(ConfigurationError, match=store.bucket_name("analysis-reports")):
        store.put("analysis-reports", "k", b"x")
    with pytest.raises(ConfigurationError, match=store.bucket_name("analysis-reports")):
        list(store.list("analysis-reports"))


def test_a_server_that_does_not_answer_is_unavailable(storage):
    away = S3ObjectStore(storage.model_copy(update={"endpoint_url": "http://127.0.0.1:9", "attempts": 1}))
    with pytest.raises(Unavailable, match="cannot be reached"):
        away.put("uploads-raw", "k", b"x")


def test_without_credentials_the_sentence_says_so(storage, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ConfigurationError, match="AWS_PROFILE"):
        S3ObjectStore(storage).put("uploads-raw", "k", b"x")
