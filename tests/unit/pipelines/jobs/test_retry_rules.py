"""Which errors are tried again, what people read, and what survives the way through the database."""

import pytest
import ray.exceptions
import ray.serve.exceptions as of_serve

from infra.errors import CorruptFile, Unavailable, WorkbenchError
from infra.settings import Jobs
from pipelines.jobs.retry import RetryPolicy, as_workbench_error, cluster_trouble, revive
from pipelines.jobs.workflows import JsonSerializer


def test_the_wait_doubles():
    policy = RetryPolicy.of(Jobs(attempts=4, backoff_seconds=0.5))
    assert [policy.wait(attempt) for attempt in (1, 2, 3)] == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    "error",
    [
        ray.exceptions.ActorDiedError(),
        ray.exceptions.ActorUnavailableError("gone", b"0" * 16),
        ray.exceptions.WorkerCrashedError(),
        ray.exceptions.OutOfMemoryError("full"),
        of_serve.BackPressureError(num_queued_requests=1, max_queued_requests=1),
    ],
)
def test_a_dead_replica_is_worth_another_try(error):
    found = as_workbench_error(error, "see")
    assert found.retryable and found.code == "unavailable" and "retried automatically" in found.message


def test_a_dead_model_that_a_stage_met_is_found_in_rays_wrapping():
    inner = ray.exceptions.RayTaskError("run", "Traceback ...", ray.exceptions.ActorDiedError())
    assert cluster_trouble(inner.as_instanceof_cause()) is not None


def test_our_error_is_found_in_rays_wrapping():
    inner = ray.exceptions.RayTaskError("run", "Traceback ...", CorruptFile("The file is cut off.", name="a.nii"))
    found = as_workbench_error(inner.as_instanceof_cause(), "check")
    assert (found.code, found.message, found.details) == ("corrupt_file", "The file is cut off.", {"name": "a.nii"})


def test_a_surprise_becomes_a_sentence_and_the_traceback_goes_to_the_log(caplog):
    try:
        raise ValueError("secret detail")
    except ValueError as error:
        found = as_workbench_error(error, "see")
    assert found.code == "internal" and not found.retryable
    assert "'see'" in found.message and "secret" not in found.message and "Traceback" not in found.message


def test_json_in_the_database_brings_errors_back_with_code_and_retryable():
    json = JsonSerializer()
    for error in (CorruptFile("cut off", name="x"), Unavailable("away")):
        back = json.deserialize(json.serialize(error))
        assert isinstance(back, type(error)) and back.as_dict() == error.as_dict()


def test_an_error_of_a_class_this_process_lacks_keeps_its_code():
    back = revive({"code": "from_elsewhere", "message": "m", "retryable": True, "details": {"a": 1}})
    assert type(back) is WorkbenchError and back.as_dict() == {
        "code": "from_elsewhere",
        "message": "m",
        "retryable": True,
        "details": {"a": 1},
    }


def test_values_come_back_and_what_is_not_json_is_refused():
    json = JsonSerializer()
    value = {"args": ["imaging", ["a", "b"]], "kwargs": {}}
    assert json.deserialize(json.serialize(value)) == value
    assert json.deserialize(json.serialize(None)) is None
    with pytest.raises(TypeError, match="small JSON"):
        json.serialize({"x": object()})
