"""One hierarchy of errors for every room.

An error carries a stable ``code`` (others script against it), a sentence for a person that says what
happened and what to do, and ``retryable``, which the pipelines obey. The gateway shows it as
``application/problem+json``, the CLI as ``{"error": {...}}``.
"""

from __future__ import annotations

import errno
from typing import Any

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class WorkbenchError(Exception):
    """Base of all errors that a person may see.

    Args:
        message: what happened and what to do, in one or two sentences.
        details: small JSON values that help a program (never identifiers of a patient).
    """

    code = "internal"
    status = 500
    retryable = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __reduce__(self):
        # Errors cross process borders (Ray, DBOS); the default would drop the keyword arguments.
        return _rebuild, (type(self), self.message, self.details)

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "retryable": self.retryable, "details": self.details}


def _rebuild(cls: type[WorkbenchError], message: str, details: dict[str, Any]) -> WorkbenchError:
    return cls(message, **details)


class InvalidInput(WorkbenchError):
    """What was sent cannot be used; sending it again will not help."""

    code = "invalid_input"
    status = 422


class UnsupportedFormat(InvalidInput):
    code = "unsupported_format"
    status = 415


class CorruptFile(InvalidInput):
    code = "corrupt_file"


class PasswordProtected(InvalidInput):
    """The file is encrypted, and its password is not known."""

    code = "password_protected"


class TooLarge(InvalidInput):
    code = "too_large"
    status = 413


class NotABrain(InvalidInput):
    """The segmentation model does not believe that this is a brain MRI; no report is written."""

    code = "not_a_brain_mri"


class NotSignedIn(WorkbenchError):
    code = "not_signed_in"
    status = 401


class NotAllowed(WorkbenchError):
    code = "not_allowed"
    status = 403


class NotFound(WorkbenchError):
    code = "not_found"
    status = 404


class Conflict(WorkbenchError):
    code = "conflict"
    status = 409


class Cancelled(WorkbenchError):
    code = "cancelled"
    status = 409


class ConfigurationError(WorkbenchError):
    code = "configuration"


class IntegrityError(WorkbenchError):
    """Stored bytes are not the bytes that were written."""

    code = "integrity"


class ModelMissing(WorkbenchError):
    """No model fulfils this role (yet), or its weights are not on this machine."""

    code = "model_missing"
    status = 503


class Unavailable(WorkbenchError):
    """Something that is usually there is not, for now."""

    code = "unavailable"
    status = 503
    retryable = True


class Timeout(WorkbenchError):
    code = "timeout"
    status = 504
    retryable = True


class StorageFull(WorkbenchError):
    """The disk is full: trying again at once will not help, freeing space will."""

    code = "storage_full"
    status = 507


def storage_full(error: BaseException) -> StorageFull | None:
    """The error that a full disk means, where one is in the chain of ``error``; None where there is none.

    The system says it by a number; SQLite, FAISS, Tantivy and Ray by their own classes, or in a text.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, StorageFull):
            return current
        text = str(current).lower()
        if (
            (isinstance(current, OSError) and current.errno in _NO_ROOM)
            or (type(current).__module__ == "sqlite3" and ("is full" in text or "disk i/o" in text))
            or type(current).__name__ == "OutOfDiskError"
            or (isinstance(current, RuntimeError | ValueError) and "no space left on device" in text)
        ):
            return StorageFull("The disk is full. Free some space and try again.")
        cause = getattr(current, "cause", None) or getattr(current, "orig", None)
        current = cause if isinstance(cause, BaseException) else (current.__cause__ or current.__context__)
    return None


def all_errors() -> dict[str, type[WorkbenchError]]:
    """Every class of the hierarchy that has a code of its own, by that code (codes are unique; a test holds this).

    Ray derives classes from ours at run time (an error and its remote traceback in one); they have no code of their own.
    """
    found: dict[str, type[WorkbenchError]] = {WorkbenchError.code: WorkbenchError}
    queue = [WorkbenchError]
    while queue:
        for cls in queue.pop().__subclasses__():
            if "code" in vars(cls):
                found[cls.code] = cls
            queue.append(cls)
    return found


def from_dict(data: dict[str, Any]) -> WorkbenchError:
    """The error that :meth:`WorkbenchError.as_dict` wrote; an unknown code becomes the base class."""
    cls = all_errors().get(str(data.get("code")), WorkbenchError)
    return cls(str(data.get("message", "")), **(data.get("details") or {}))


def find_workbench_error(error: BaseException) -> WorkbenchError | None:
    """The :class:`WorkbenchError` inside ``error``: itself, its Ray ``cause``, or in its chain."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        cause = getattr(current, "cause", None)
        # Ray raises a class derived from both RayTaskError and ours, without our fields: its cause is the original.
        if isinstance(cause, WorkbenchError):
            return cause
        if isinstance(current, WorkbenchError) and hasattr(current, "message"):
            return current
        current = cause if isinstance(cause, BaseException) else (current.__cause__ or current.__context__)
    return None
