"""The Serve deployment that keeps jobs going: durable workflows by DBOS, each step of which calls a stage worker.

Killed, it comes back and takes up where the database says it was. So it imports little, and computes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from dbos import DBOS, StepOptions
from ray import serve
from ray.serve.handle import DeploymentHandle

from infra.database import Database
from infra.datafolder import DataFolder
from infra.errors import (
    Cancelled,
    ConfigurationError,
    StorageFull,
    Unavailable,
    WorkbenchError,
    find_workbench_error,
    storage_full,
)
from infra.objectstore import make_object_store
from infra.settings import Settings
from infra.telemetry import correlated, correlation_id, log_to_folder, logger
from pipelines.imaging.originals import drop_read
from pipelines.jobs.job_store import JobStore
from pipelines.jobs.reconcile import Reconciler
from pipelines.jobs.retry import RetryPolicy, as_workbench_error, revive, with_retries
from pipelines.jobs.stage_call import StageAnswer, StageCall
from pipelines.jobs.workflows import APPLICATION, CLOSE, CONTRACT, QUEUE, WORKFLOW, JsonSerializer, Workflows, jobs_url
from serving.cluster.head import keep_replica_private

log = logger(__name__)

RECONCILE_SECONDS = 5.0
SWEEP_SECONDS = 60.0
QUEUE_POLL_SECONDS = 0.25  # how long a job waits at most for an idle runner to see it
HOUSEKEEPING = "housekeeping"
RECOVERIES = 20  # a job that takes the runner down with it is given up after so many
_CLOSING: StepOptions = {"name": CLOSE, "retries_allowed": True, "max_attempts": 6, "interval_seconds": 0.5, "backoff_rate": 2.0}


class Runner:
    """Runs the workflows.

    Args:
        settings: the program's.
        workers: the stage worker of each pipeline.
        limits: pipeline to stage to seconds, where a stage has a time limit of its own.
    """

    async def __init__(
        self, settings: Settings, workers: Mapping[str, DeploymentHandle], limits: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        began = time.monotonic()
        keep_replica_private()
        log_to_folder(DataFolder(settings.home).logs, level=settings.telemetry.level, component="pipelines-runner")
        self._workers = dict(workers)
        self._limits = dict(limits or {})
        self._policy = RetryPolicy.of(settings.jobs)
        self._database = Database(settings.database_url)
        self._job_store = JobStore(self._database)
        self._settings, self._store = settings, make_object_store(settings)
        self._workflows = Workflows(settings)
        self._executor = str(serve.get_replica_context().rank.rank)
        self._at_work: Counter[str] = Counter()
        self._trouble: dict[str, str] = {}  # what keeps jobs from going on, by who found it
        executors = {self._executor, *map(str, range(settings.processor("runner").replicas))}
        self._reconciler = Reconciler(
            self._job_store, self._workflows, executor=self._executor, executors=executors, at_work=lambda: list(self._at_work)
        )
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": await asyncio.to_thread(jobs_url, settings),
                "sys_db_pool_size": 10,
                "application_version": CONTRACT,
                "executor_id": self._executor,
                "serializer": JsonSerializer(),
                "log_level": "WARNING",
            }
        )
        _log_like_everyone_else()
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=RECOVERIES)(self._workflow())
        # In a thread, so that workflows get an event loop of their own, which Serve's health checks do not wait for.
        await asyncio.to_thread(DBOS.launch)
        await DBOS.register_queue_async(QUEUE, global_concurrency=settings.jobs.at_once, polling_interval_sec=QUEUE_POLL_SECONDS)
        self._tending = asyncio.create_task(self._tend())
        log.info("runner ready", executor=self._executor, pid=os.getpid(), seconds=round(time.monotonic() - began, 3))

    def check_health(self) -> None:
        """Raises where the runner can do no more work; Serve then replaces it."""
        if self._tending.done():
            raise RuntimeError("the runner's housekeeping has stopped")

    async def queue(self) -> dict[str, Any]:
        """How the queue is: ``running`` (jobs at work here), ``stalled`` (claimed, and nobody works on them), and ``trouble``, a
        sentence where jobs cannot go on."""
        return {
            "running": len(self._at_work),
            "stalled": len(self._reconciler.stalled),
            "trouble": next(iter(self._trouble.copy().values()), None),
        }

    async def __del__(self) -> None:
        """Serve awaits this when it stops a replica. Jobs at work stay theirs, and go on in the next runner."""
        if (tending := getattr(self, "_tending", None)) is not None:  # where __init__ came so far
            tending.cancel()
            await asyncio.to_thread(DBOS.destroy)
            self._workflows.close()
            self._database.close()

    def _workflow(self) -> Any:
        # A plain function: DBOS would take a method's class for part of the workflow's name.
        async def run_pipeline(pipeline: str, plan: list[str]) -> dict[str, str]:
            return await self._run(str(DBOS.workflow_id), pipeline, plan)

        return run_pipeline

    async def _run(self, job_id: str, pipeline: str, plan: list[str]) -> dict[str, str]:
        self._at_work[job_id] += 1
        try:
            return await self._stages(job_id, pipeline, plan)
        finally:
            self._trouble.pop(job_id, None)
            self._at_work[job_id] -= 1
            if not self._at_work[job_id]:
                del self._at_work[job_id]

    async def _stages(self, job_id: str, pipeline: str, plan: list[str]) -> dict[str, str]:
        state: dict[str, Any] = {}
        with correlated(await self._correlation(job_id)), structlog.contextvars.bound_contextvars(job=job_id, pid=os.getpid()):
            for stage in plan:
                ran: list[float] = []
                try:
                    added = await DBOS.run_step_async(
                        {"name": stage, "preemptible": True}, self._stage, job_id, pipeline, plan, stage, dict(state), ran
                    )
                except Cancelled:
                    await DBOS.run_step_async(_CLOSING, self._close, job_id, self._job_store.cancelled)
                    return {"state": "cancelled"}
                except Exception as caught:
                    error = as_workbench_error(caught, stage)
                    await DBOS.run_step_async(_CLOSING, self._close, job_id, self._job_store.failed, stage, error)
                    log.warning("job failed", stage=stage, code=error.code, error=error.message)
                    raise error from caught
                if ran:  # else the step only read what an earlier process had finished
                    log.info("stage finished", stage=stage, seconds=ran[0])
                state |= added
            await DBOS.run_step_async(_CLOSING, self._close, job_id, self._job_store.done, state)
            log.info("job done")
        return {"state": "done"}

    async def _close(self, job_id: str, write: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        """Write the job's end; while the tables cannot be written, wait until they can."""
        wait = 0.5
        while True:
            try:
                await write(job_id, *arguments)
                return
            except (StorageFull, Unavailable) as error:
                log.warning("a job's end cannot be written yet", job=job_id, code=error.code, error=error.message)
                self._trouble[job_id] = error.message
            await asyncio.sleep(wait)
            wait = min(2 * wait, RECONCILE_SECONDS)

    async def _stage(
        self, job_id: str, pipeline: str, plan: list[str], stage: str, state: dict[str, Any], ran: list[float]
    ) -> dict[str, Any]:
        """The step of one stage: try it, by the rules of :mod:`pipelines.jobs.retry`, on the pipeline's worker."""
        began = time.monotonic()
        worker = self._workers.get(pipeline)
        if worker is None:
            raise ConfigurationError(f"This version of the program has no pipeline '{pipeline}'.")
        policy = self._policy.within(self._limits.get(pipeline, {}).get(stage))

        async def attempt(number: int) -> dict[str, Any]:
            job = await self._job_store.begin_stage(job_id, stage)
            log.info("stage started", stage=stage, attempt=number)
            call = StageCall(
                job_id=job_id,
                owner_id=job.owner_id,
                title=job.title,
                input=job.input,
                options=job.options,
                plan=plan,
                stage=stage,
                state=state,
                attempt=number,
                correlation_id=correlation_id(),
            )
            response = worker.run.remote(call)
            try:
                answer: StageAnswer = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
            if answer.error is not None:
                raise revive(answer.error)
            return answer.added or {}

        async def retrying(error: WorkbenchError, number: int, wait: float) -> None:
            message = f"{error.message} Trying again in {wait:g} s ({number + 1} of {policy.attempts})."
            await self._job_store.event(job_id, "retrying", stage=stage, message=message)

        added = await with_retries(stage, attempt, policy, retrying)
        ran.append(round(time.monotonic() - began, 3))
        return added

    async def _correlation(self, job_id: str) -> str:
        """The id of the request that began the job. Only logs depend on it, so it is no step, and its loss no failure."""
        try:
            return await self._job_store.correlation_id(job_id) or job_id
        except Exception as error:
            log.warning("the job's row cannot be read", job=job_id, error=str(error)[:300])
            return job_id

    async def _tend(self) -> None:
        """Now and then: what :class:`Reconciler` mends, and uploads that nobody needs any more."""
        swept = -SWEEP_SECONDS
        while True:
            try:
                await self._reconciler.look()
                self._trouble.pop(HOUSEKEEPING, None)
            except Exception as error:
                log.warning("housekeeping failed, trying again", error=f"{type(error).__name__}: {error}"[:500])
                known = find_workbench_error(error) or storage_full(error)
                if isinstance(known, StorageFull | Unavailable):  # of all jobs; what concerns one does not stop the queue
                    self._trouble[HOUSEKEEPING] = known.message
                else:
                    self._trouble.pop(HOUSEKEEPING, None)
            if time.monotonic() - swept > SWEEP_SECONDS:
                swept = time.monotonic()
                try:
                    await asyncio.to_thread(drop_read, self._settings, self._database, self._store)
                except Exception as error:
                    log.warning("uploads could not be removed", error=f"{type(error).__name__}: {error}"[:500])
            await asyncio.sleep(RECONCILE_SECONDS)


def _log_like_everyone_else() -> None:
    """DBOS's lines as JSON in our log, in place of its own console handler."""
    found = logging.getLogger("dbos")
    found.handlers.clear()
    found.propagate = True
