"""Clients of AWS services (or of servers that speak their protocols), and their failures as the program's own errors."""

from __future__ import annotations

import threading
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.loaders import Loader

from infra.errors import (
    ConfigurationError,
    Conflict,
    IntegrityError,
    InvalidInput,
    NotFound,
    StorageFull,
    Timeout,
    Unavailable,
    WorkbenchError,
)

_DESCRIPTIONS = Loader()
_READING = threading.Lock()

AwsError = ClientError | BotoCoreError
AWS_ERRORS = (ClientError, BotoCoreError)
"""What every botocore call may raise; for ``except``."""

_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
    "403",
    "KMS.AccessDeniedException",
}
_IDENTITY = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_MISSING = {
    "404",
    "NoSuchKey",
    "NoSuchUpload",
    "NotFound",
    "NotFoundException",
    "ResourceNotFoundException",
}
_ABSENT_RESOURCE = {
    "NoSuchBucket",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "KMS.NotFoundException",
    "KMS.DisabledException",
    "KMS.KMSInvalidStateException",
}
_CONFLICT = {"PreconditionFailed", "412", "ConditionalRequestConflict", "ConflictException"}
_THROTTLED = {
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "TooManyRequestsException",
    "ServiceQuotaExceededException",
    "ModelNotReadyException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalError",
    "InternalServerException",
    "OperationAborted",
    "RequestTimeTooSkewed",
}
_SLOW = {"RequestTimeout", "RequestTimeoutException", "ModelTimeoutException"}
_CHANGED = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "507"}


def make_client(
    service: str,
    *,
    region: str,
    endpoint_url: str | None = None,
    attempts: int = 5,
    connect_seconds: float = 5.0,
    read_seconds: float = 60.0,
    connections: int = 16,
) -> Any:
    """A boto3 client. Credentials come from the usual places (environment, profile, instance or pod role), never from settings.

    Args:
        service: boto3's name of the service, for example ``s3``.
        region: AWS region.
        endpoint_url: another server that speaks the protocol; requests to it name buckets in the path.
        attempts: how often a call is tried when it is throttled, times out or fails on the server's side. Waits between
            tries grow exponentially, with jitter, up to 20 s.
        connect_seconds: longest wait for a connection.
        read_seconds: longest silence of the server.
        connections: connections kept open.

    Raises:
        ConfigurationError: the region or the profile of the environment cannot be used.
    """
    config = Config(
        region_name=region,
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        max_pool_connections=connections,
        s3={"addressing_style": "path" if endpoint_url else "auto"},
        signature_version="s3v4" if service == "s3" else None,
    )
    try:
        # A session of its own: threads must not make clients from one. The descriptions of services, slow to read, are shared.
        session = botocore.session.Session()
        session.register_component("data_loader", _DESCRIPTIONS)
        with _READING:
            made = boto3.session.Session(botocore_session=session)
            return made.client(service, region_name=region, endpoint_url=endpoint_url, config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"A client of {service} cannot be made: {error}") from error


def error_code(error: BaseException) -> str:
    """AWS's code of a failed call, for example ``NoSuchKey``; empty where the server did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def as_workbench_error(error: AwsError, what: str) -> WorkbenchError:
    """The program's error for a failed call.

    Args:
        error: what botocore raised.
        what: the object of the call, for example ``the object kb-raw/a.pdf``; it begins no sentence.

    Returns:
        NotFound, Conflict, InvalidInput, ConfigurationError (permissions, credentials, a missing bucket, queue or key),
        IntegrityError, StorageFull, Timeout or Unavailable. The last two are retryable; botocore has tried several times by then.
    """
    if not isinstance(error, ClientError):
        return _without_answer(error, what)
    code, status = error_code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = str(error.response.get("Error", {}).get("Message", ""))[:300]
    known = _by_code(code, what, said, f"{error.operation_name}")
    if known is not None:
        return known
    if status == 429 or status >= 500:
        return Unavailable(f"AWS failed on {what} ({code or status}). Try again in a few seconds.", aws_code=code)
    if status == 404:
        return NotFound(f"Not found: {what}.", aws_code=code)
    if status in (401, 403):
        return ConfigurationError(_denied(error.operation_name, what, said), aws_code=code)
    return InvalidInput(f"AWS refused the request for {what}: {said or code}", aws_code=code)


def _by_code(code: str, what: str, said: str, operation: str) -> WorkbenchError | None:
    if code in _ABSENT_RESOURCE:
        return ConfigurationError(f"AWS cannot use what the settings name for {what} ({code}): {said}", aws_code=code)
    if code in _MISSING:
        return NotFound(f"Not found: {what}.", aws_code=code)
    if code in _CONFLICT:
        return Conflict(f"There is already {what}.", aws_code=code)
    if code in _DENIED:
        return ConfigurationError(_denied(operation, what, said), aws_code=code)
    if code in _IDENTITY:
        return ConfigurationError(f"AWS does not accept the credentials ({code}): {said} Sign in again or renew them.", aws_code=code)
    if code in _THROTTLED:
        return Unavailable(f"AWS is busy or limits requests for {what} ({code}). Try again in a few seconds.", aws_code=code)
    if code in _SLOW:
        return Timeout(f"AWS took too long for {what} ({code}). Try again.", aws_code=code)
    if code in _CHANGED:
        return IntegrityError(f"The bytes of {what} changed on their way (sha256 differs). Send them again.", aws_code=code)
    if code in _FULL:
        return StorageFull(f"There is no room for {what}. Free some space and try again.", aws_code=code)
    return None


def _denied(operation: str, what: str, said: str) -> str:
    return f"The credentials in use may not call {operation} for {what}. Grant this permission. {said}".strip()


def _without_answer(error: BotoCoreError, what: str) -> WorkbenchError:
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError | ProfileNotFound):
        return ConfigurationError("There are no AWS credentials. Set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the machine a role.")
    if isinstance(error, ReadTimeoutError):
        return Timeout(f"AWS took too long for {what}. Try again.")
    if isinstance(error, EndpointConnectionError | ConnectionError | HTTPClientError | ResponseStreamingError):
        return Unavailable(f"AWS cannot be reached for {what}: {error}"[:300])
    return InvalidInput(f"The request for {what} cannot be made: {error}"[:500])
