"""When a stage is tried again: its error says whether (``retryable``), the settings say how often and after how long.

The same rules hold for a job and for a pipeline run inline. Light imports: the runner lives on this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from infra.errors import Timeout, Unavailable, WorkbenchError, find_workbench_error, from_dict, storage_full
from infra.settings import Jobs
from infra.telemetry import logger

log = logger(__name__)
Result = TypeVar("Result")
OnRetry = Callable[[WorkbenchError, int, float], Awaitable[None]]

# Ray says by these that a process, a machine or a queue failed, and not the work. By name: this module stays
# free of Ray, which a pipeline run inline need not have.
_OF_THE_CLUSTER = {
    "RayActorError": "A model's process stopped",
    "WorkerCrashedError": "A process stopped",
    "NodeDiedError": "A machine of the cluster stopped",
    "ObjectLostError": "Data was lost when a process stopped",
    "OutOfMemoryError": "A process ran out of memory",
    "DeploymentUnavailableError": "A model is unavailable",
    "ReplicaUnavailableError": "A model is unavailable",
    "BackPressureError": "Too many requests are waiting for a model",
    "RayChannelError": "A connection inside the cluster failed",
    "GetTimeoutError": "A request inside the cluster timed out",
}


@dataclass(frozen=True)
class RetryPolicy:
    """How often a stage is tried, the wait before the second try in seconds (it doubles), and a try's time limit."""

    attempts: int
    backoff_seconds: float
    timeout_seconds: float

    @classmethod
    def of(cls, jobs: Jobs) -> RetryPolicy:
        return cls(jobs.attempts, jobs.backoff_seconds, jobs.stage_timeout_seconds)

    def within(self, seconds: float | None) -> RetryPolicy:
        """The same with another time limit of a try; None leaves it."""
        return self if seconds is None else replace(self, timeout_seconds=seconds)

    def wait(self, attempt: int) -> float:
        """Seconds to wait after the ``attempt``-th try (from 1) failed."""
        return self.backoff_seconds * 2 ** (attempt - 1)


async def with_retries(stage: str, call: Callable[[int], Awaitable[Result]], policy: RetryPolicy, on_retry: OnRetry) -> Result:
    """``await call(attempt)``, tried again while its error is retryable and tries are left.

    Raises:
        WorkbenchError: the last error; whatever else was raised comes as code ``internal``, and is in the log.
    """
    for attempt in range(1, policy.attempts + 1):
        try:
            async with asyncio.timeout(policy.timeout_seconds) as limit:
                return await call(attempt)
        except Exception as caught:
            if isinstance(caught, TimeoutError) and limit.expired():
                error: WorkbenchError = Timeout(
                    f"The stage '{stage}' took longer than {policy.timeout_seconds:g} seconds. "
                    "Try again when the machine is less busy, or raise jobs.stage_timeout_seconds."
                )
            else:
                error = as_workbench_error(caught, stage)
            if not error.retryable or attempt == policy.attempts:
                raise error from caught
            wait = policy.wait(attempt)
            log.warning("stage is tried again", stage=stage, attempt=attempt, wait_seconds=wait, code=error.code, error=error.message)
            await on_retry(error, attempt, wait)
            await asyncio.sleep(wait)
    raise AssertionError("a policy has at least one attempt")


def as_workbench_error(error: BaseException, stage: str) -> WorkbenchError:
    """``error`` as one that a person may see; an unexpected one is logged with its traceback and becomes ``internal``."""
    known = find_workbench_error(error)
    if known is not None:
        return known
    full = storage_full(error)
    if full is not None:
        log.warning("the disk is full", stage=stage, error=f"{type(error).__name__}: {error}"[:500])
        return full
    trouble = cluster_trouble(error)
    if trouble is not None:
        log.warning("cluster trouble", stage=stage, error=f"{type(error).__name__}: {error}"[:500])
        return trouble
    log.error("unexpected error in a stage", stage=stage, exc_info=error)
    return WorkbenchError(
        f"The stage '{stage}' failed with an unexpected error ({type(error).__name__}). Retrying will not help. Details are in the log."
    )


def cluster_trouble(error: BaseException) -> Unavailable | None:
    """A retryable error, where Ray says that a process or machine failed and not the work."""
    for cls in type(error).__mro__:
        if cls.__name__ in _OF_THE_CLUSTER and cls.__module__.startswith("ray."):
            return Unavailable(f"{_OF_THE_CLUSTER[cls.__name__]}. The stage is retried automatically; if it keeps failing, see the log.")
    return None


def revive(data: dict) -> WorkbenchError:
    """The error that ``as_dict`` wrote, with its own code and ``retryable`` even where this process lacks its class."""
    error = from_dict(data)
    error.code = str(data.get("code", error.code))
    error.retryable = bool(data.get("retryable", error.retryable))
    return error
