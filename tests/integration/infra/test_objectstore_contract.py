"""What every object store promises: the folder, and S3 (moto's server)."""

import hashlib
import io
import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.errors import Conflict, IntegrityError, InvalidInput, NotAllowed, NotFound, StorageFull
from infra.objectstore import LocalObjectStore, make_object_store
from infra.settings import load_settings


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    if request.param == "local":
        return LocalObjectStore(tmp_path / "objects", secret="s", url="http://127.0.0.1:8000")
    settings = load_settings(
        profile="aws",
        storage={
            "endpoint_url": request.getfixturevalue("aws_server"),
            "bucket_prefix": f"t{uuid.uuid4().hex[:12]}-",
            "environment": "ci",
            "region": "us-east-1",
        },
    )
    store = make_object_store(settings)
    for bucket in ("b", "reports", "empty"):
        store._client.create_bucket(Bucket=store.bucket_name(bucket))
    return store


@pytest.mark.parametrize("kind", ["bytes", "stream", "path"])
def test_what_is_put_comes_back_with_its_digest(store, tmp_path, kind):
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)
    data = {"bytes": content, "stream": io.BytesIO(content), "path": tmp_path / "file"}[kind]
    info = store.put("reports", "a/b.bin", data, media_type="image/png")
    assert (info.size, info.sha256, info.media_type) == (len(content), hashlib.sha256(content).hexdigest(), "image/png")
    assert store.get("reports", "a/b.bin") == content
    assert store.info("reports", "a/b.bin") == info
    assert store.local_path("reports", "a/b.bin", folder=tmp_path).read_bytes() == content


def test_put_again_replaces(store):
    store.put("b", "k", b"one")
    store.put("b", "k", b"two, longer")
    assert store.get("b", "k") == b"two, longer"


def test_a_write_that_must_not_replace_is_refused_where_something_is(store):
    store.put("b", "k", b"one", replace=False)
    with pytest.raises(Conflict):
        store.put("b", "k", b"two", replace=False)
    assert store.get("b", "k") == b"one"


def test_of_several_writers_that_must_not_replace_one_succeeds(store):
    def write(number):
        try:
            store.put("b", "once", bytes([number]), replace=False)
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(6) as pool:
        written = [number for number in pool.map(write, range(6)) if number is not None]
    assert len(written) == 1
    assert store.get("b", "once") == bytes(written)


def test_an_open_object_can_be_read_from_any_place(store):
    content = os.urandom(3_000_000)
    store.put("b", "k", content)
    for verify in (True, False):
        with store.open("b", "k", verify=verify) as stream:
            stream.seek(2_500_000)
            assert stream.read(100) == content[2_500_000:2_500_100]
            stream.seek(10)
            assert stream.read() == content[10:]


def test_missing(store):
    for read in (store.info, store.get, store.open, store.presign):
        with pytest.raises(NotFound):
            read("b", "nothing")
    store.delete("b", "nothing")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", ".hidden", "a/.meta", "a\x00b", "x" * 600, "a b"])
def test_keys_that_could_leave_the_bucket_are_refused(store, key):
    with pytest.raises(InvalidInput):
        store.put("b", key, b"")


def test_list_by_prefix(store):
    for key in ("jobs/1/a", "jobs/1/b", "jobs/10/a", "other"):
        store.put("b", key, key.encode())
    assert [item.key for item in store.list("b", "jobs/1")] == ["jobs/1/a", "jobs/1/b", "jobs/10/a"]
    assert [item.key for item in store.list("b", "jobs/1/")] == ["jobs/1/a", "jobs/1/b"]
    assert [item.key for item in store.list("b")] == ["jobs/1/a", "jobs/1/b", "jobs/10/a", "other"]
    assert list(store.list("empty")) == []


def test_delete(store):
    store.put("b", "k", b"x")
    store.delete("b", "k")
    with pytest.raises(NotFound):
        store.get("b", "k")


def test_a_stream_that_breaks_leaves_nothing(store):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        store.put("b", "k", Broken())
    with pytest.raises(NotFound):
        store.info("b", "k")
    assert list(store.list("b")) == []


def test_two_writers_at_once_leave_one_whole_object(store):
    contents = [bytes([n]) * 2_000_000 for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda content: store.put("b", "same", content), contents))
    assert store.get("b", "same") in contents


class TestLocal:
    """What only the folder can show."""

    @pytest.fixture
    def store(self, tmp_path):
        return LocalObjectStore(tmp_path / "objects", secret="s")

    def test_changed_bytes_are_noticed(self, store, tmp_path):
        store.put("b", "k", b"what was written")
        (tmp_path / "objects" / "b" / "k").write_bytes(b"what was changed")
        with pytest.raises(IntegrityError):
            store.get("b", "k")
        assert store.open("b", "k", verify=False).read() == b"what was changed"

    def test_a_full_disk_is_a_sentence_and_leaves_nothing(self, store, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageFull, match="Cannot store"):
            store.put("b", "k", b"x")
        monkeypatch.undo()
        assert list(store.list("b")) == []
        assert not list((store.root / ".tmp").iterdir())

    def test_presigned_links_expire_and_cannot_be_forged(self, store):
        store.put("b", "k", b"x")
        token = store.presign("b", "k").rpartition("/")[2]
        assert store.redeem(token) == ("b", "k")
        with pytest.raises(NotAllowed):
            store.redeem(token[:-2] + "xx")
        with pytest.raises(NotAllowed):
            store.redeem(store.presign("b", "k", seconds=-1).rpartition("/")[2])
