"""How failed calls of AWS are reported."""

from __future__ import annotations

import pytest
from botocore.stub import Stubber

from infra.errors import ConfigurationError, IntegrityError, InvalidInput, StorageFull, Unavailable
from infra.objectstore.s3 import S3ObjectStore
from infra.settings import Storage


@pytest.mark.parametrize(
    ("code", "status", "expected", "words"),
    [
        ("AccessDenied", 403, ConfigurationError, "PutObject"),
        ("ExpiredToken", 400, ConfigurationError, "credentials"),
        ("KMS.DisabledException", 400, ConfigurationError, "KMS.DisabledException"),
        ("BadDigest", 400, IntegrityError, "sha256"),
        ("SlowDown", 503, Unavailable, "busy"),
        ("InternalError", 500, Unavailable, "busy"),
        ("XMinioStorageFull", 507, StorageFull, "no room"),
        ("EntityTooLarge", 400, InvalidInput, "said by S3"),
    ],
)
def test_refusals_of_s3_are_the_programs_own_errors(monkeypatch, code, status, expected, words):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    store = S3ObjectStore(Storage(kind="s3"))
    with Stubber(store._client) as stub:
        for _ in range(2):  # what botocore would try again
            stub.add_client_error("put_object", service_error_code=code, service_message="said by S3", http_status_code=status)
        with pytest.raises(expected, match=words) as caught:
            store.put("uploads-raw", "k", b"x")
    assert caught.value.details["aws_code"] == code
