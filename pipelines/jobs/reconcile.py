"""Jobs and workflows stand in two databases; after a crash or a full disk they may disagree. This makes them agree again."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection

from infra.database.tables import AnalysisJob
from infra.errors import NotFound, WorkbenchError
from infra.telemetry import logger
from pipelines.jobs.job_store import JobStore
from pipelines.jobs.workflows import Workflows

log = logger(__name__)

IDLE_SECONDS = 8.0
"""How long a workflow may be claimed by a living runner that does not work on it: between claim and begin, and between end and
record, lies a moment. After that its thread has died, as it does when DBOS cannot write to its database."""
RESUMES = 10
"""How often a job is resumed by this process before it is failed."""


class Reconciler:
    """Brings rows and workflows together, look by look.

    - A job without a workflow (its submitter stopped between the two, or the runner's database was not there yet) is enqueued.
    - A job whose workflow ended without closing it is failed, with what DBOS knows.
    - A workflow whose job was cancelled (while DBOS's database was away) is cancelled.
    - A workflow of an executor that there is no more (the runner had more replicas once) goes back into the queue.
    - A workflow that this runner has claimed and does not work on (its thread died) goes back into the queue.
    - A document whose job has ended gets a final state.

    Args:
        executor: this runner's.
        executors: those that there are. Each finds its own workflows again when it starts.
        at_work: the jobs that this runner works on now.

    Attributes:
        stalled: jobs that were claimed by this runner and not worked on, as of the last look.
    """

    def __init__(
        self,
        job_store: JobStore,
        workflows: Workflows,
        *,
        executor: str,
        executors: Collection[str],
        at_work: Callable[[], Collection[str]],
    ) -> None:
        self._job_store, self._workflows = job_store, workflows
        self._executor, self._executors, self._at_work = executor, frozenset(executors), at_work
        self._idle_since: dict[str, float] = {}
        self._resumed: dict[str, int] = {}

    @property
    def stalled(self) -> list[str]:
        return list(self._idle_since)

    async def look(self) -> None:
        """Look once, and mend what is found. One job that cannot be mended does not keep the others from it.

        Raises:
            Exception: what the databases raised, or the first error of a job, after all jobs were looked at.
        """
        errors: list[Exception] = []

        async def mend(work: Awaitable[object]) -> None:
            try:
                await work
            except Exception as error:
                errors.append(error)

        jobs = await self._job_store.live()
        known = await self._workflows.statuses([job.id for job in jobs])
        for job in jobs:
            await mend(self._job(job, known.get(job.id)))
        active = await self._workflows.active()
        states = await self._job_store.states(list(active))
        now = time.monotonic()
        at_work = frozenset(self._at_work())
        mine = {job_id for job_id, executor in active.items() if executor == self._executor and job_id not in at_work}
        self._idle_since = {job_id: self._idle_since.get(job_id, now) for job_id in mine}
        for job_id, executor in active.items():
            if states.get(job_id) == "cancelled":  # one that is done is about to end by itself
                log.info("workflow of a cancelled job, cancelled", job=job_id)
                await mend(self._workflows.cancel(job_id))
            elif executor is not None and executor not in self._executors:
                log.info("workflow had lost its runner, enqueued", job=job_id, executor=executor)
                await mend(self._workflows.resume(job_id))
            elif job_id in mine and now - self._idle_since[job_id] >= IDLE_SECONDS:
                await mend(self._revive(job_id))
        await mend(self._job_store.end_documents())
        if errors:
            raise errors[0]

    async def _job(self, job: AnalysisJob, status: str | None) -> None:
        if status is None:
            log.info("job had no workflow, enqueued", job=job.id)
            try:
                await self._workflows.launch(job)
            except NotFound as error:
                await self._job_store.failed(job.id, job.stage, error)
        elif status == "CANCELLED":
            await self._job_store.cancelled(job.id)
        elif status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
            await self._give_up(job.id, job.stage)
        elif status in ("ERROR", "SUCCESS"):
            log.error("workflow ended without closing its job", job=job.id, status=status)
            await self._job_store.failed(
                job.id,
                job.stage,
                WorkbenchError("The job ended without a reported error. See the log."),
            )

    async def _revive(self, job_id: str) -> None:
        if self._resumed.get(job_id, 0) >= RESUMES:
            log.error("workflow stopped again and again, cancelled", job=job_id)
            await self._give_up(job_id, None)
            await self._workflows.cancel(job_id)
            return
        await self._workflows.resume(job_id)
        self._resumed[job_id] = self._resumed.get(job_id, 0) + 1
        self._idle_since.pop(job_id, None)
        log.warning("workflow made no progress, enqueued again", job=job_id, times=self._resumed[job_id])

    async def _give_up(self, job_id: str, stage: str | None) -> None:
        await self._job_store.failed(
            job_id,
            stage,
            WorkbenchError("The job was stopped after repeated crashes in this stage. See the log."),
        )
