"""Telling every replica of a role to take the champion that the snapshot names. No request waits, no process restarts."""

from __future__ import annotations

from infra.errors import WorkbenchError
from serving.remote import APP, serve_api, typed_error

SECONDS = 300.0  # to load and test a version beside the old one


async def refresh_replicas(role: str) -> list[str]:
    """The version that each replica serves afterwards.

    Raises:
        WorkbenchError: a replica could not load it; it goes on with what it had.
    """
    handle = serve_api().get_deployment_handle(role, app_name=APP)
    try:
        answers = await handle.broadcast("refresh").results_async(timeout_s=SECONDS, return_exceptions=True)
    except Exception as error:
        raise typed_error(error) from error
    for answer in answers:
        if isinstance(answer, BaseException):
            raise typed_error(answer) from answer
    return [str(answer["version"]) for answer in answers]


def passing(error: WorkbenchError) -> bool:
    """Whether the error is of the moment (the replica is starting), and says nothing of the version."""
    return error.retryable
