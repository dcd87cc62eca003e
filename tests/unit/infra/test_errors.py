import errno
import pickle
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from infra.errors import CorruptFile, Unavailable, WorkbenchError, all_errors, find_workbench_error, from_dict, storage_full


def test_codes_are_unique():
    def count(cls):
        return ("code" in vars(cls)) + sum(count(sub) for sub in cls.__subclasses__())

    assert len(all_errors()) == count(WorkbenchError)


def test_a_class_made_by_ray_does_not_take_a_code():
    type("RayTaskError(Unavailable)", (Unavailable,), {"__init__": lambda self, cause: None})
    assert type(from_dict(Unavailable("Busy.").as_dict())) is Unavailable


def test_errors_cross_processes_whole():
    error = pickle.loads(pickle.dumps(CorruptFile("The file ends early.", size=3)))
    assert (error.code, error.message, error.details, error.retryable) == ("corrupt_file", "The file ends early.", {"size": 3}, False)


def test_errors_survive_json():
    error = from_dict(Unavailable("Busy.", seconds=2).as_dict())
    assert isinstance(error, Unavailable) and error.retryable and error.details == {"seconds": 2}


def test_unknown_code_becomes_the_base():
    assert type(from_dict({"code": "from_the_future", "message": "?"})) is WorkbenchError


def test_found_inside_a_chain():
    class RemoteError(Exception):
        cause = Unavailable("Gone.")

    wrapped = RuntimeError("outer")
    wrapped.__cause__ = RemoteError()
    found = find_workbench_error(wrapped)
    assert isinstance(found, Unavailable) and found.message == "Gone."
    assert find_workbench_error(ValueError("plain")) is None


def _raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        sqlite3.OperationalError("database or disk is full"),
        OperationalError("insert", {}, sqlite3.OperationalError("disk I/O error")),
        RuntimeError("Error: 'ret == (size)' failed: write error in seg-1.faiss: 0 != 1 (No space left on device)"),
        _raised(KeyError("x"), OSError(errno.EDQUOT, "Disk quota exceeded")),
    ],
)
def test_a_full_disk_is_told_as_such_whoever_says_so(error: Exception):
    found = storage_full(error)
    assert found is not None and found.code == "storage_full" and "Free some space" in found.message


def test_other_errors_are_no_full_disk():
    assert storage_full(OSError(errno.ENOENT, "no such file")) is None and storage_full(ValueError("full of errors")) is None
