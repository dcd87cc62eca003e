"""Jobs and workflows stand in two databases; after a crash they may disagree. This makes them agree again."""

from __future__ import annotations

from collections.abc import Collection

from infra.errors import NotFound, WorkbenchError
from infra.telemetry import logger
from pipelines.durable import Workflows
from pipelines.launch import launch
from pipelines.ledger import Ledger

log = logger(__name__)


async def reconcile(ledger: Ledger, workflows: Workflows, *, executors: Collection[str]) -> None:
    """Bring rows and workflows together.

    - A job without a workflow (its submitter stopped between the two, or the runner's database was not there yet) is enqueued.
    - A job whose workflow ended without closing it is failed, with what DBOS knows.
    - A workflow whose job was cancelled (while DBOS's database was away) is cancelled.
    - A workflow of an executor that there is no more (the runner had more replicas once) goes back into the queue.

    Args:
        executors: those that there are. Each finds its own workflows again when it starts.
    """
    jobs = await ledger.live()
    known = await workflows.statuses([job.id for job in jobs])
    for job in jobs:
        status = known.get(job.id)
        if status is None:
            log.info("job had no workflow, enqueued", job=job.id)
            try:
                await launch(job, workflows)
            except NotFound as error:
                await ledger.failed(job.id, job.stage, error)
        elif status == "CANCELLED":
            await ledger.cancelled(job.id)
        elif status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
            await ledger.failed(
                job.id,
                job.stage,
                WorkbenchError("The program was stopped again and again during this stage, so the job was given up. The log may say why."),
            )
        elif status in ("ERROR", "SUCCESS"):
            log.error("workflow ended without closing its job", job=job.id, status=status)
            await ledger.failed(
                job.id,
                job.stage,
                WorkbenchError("The job ended without saying why. This is an error of the program; the log has the details."),
            )
    active = await workflows.active()
    states = await ledger.states(list(active))
    for job_id, executor in active.items():
        if states.get(job_id) == "cancelled":  # one that is done is about to end by itself
            log.info("workflow of a cancelled job, cancelled", job=job_id)
            await workflows.cancel(job_id)
        elif executor is not None and executor not in executors:
            log.info("workflow had lost its runner, enqueued", job=job_id, executor=executor)
            await workflows.resume(job_id)
