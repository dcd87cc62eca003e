"""From a job row to its workflow: done by whoever accepts a job, and again by the runner for rows that lack one."""

from __future__ import annotations

from infra.database.tables import AnalysisJob
from pipelines.durable import Workflows

# In a job's options: the stage at which a job that continues another one (``parent_id``) begins.
FROM_STAGE = "from_stage"


async def launch(job: AnalysisJob, workflows: Workflows) -> None:
    """Enqueue the job's workflow. Safe to repeat: the job's id is the workflow's."""
    stage = job.options.get(FROM_STAGE)
    if job.parent_id and stage:
        await workflows.fork(job.id, job.parent_id, job.plan.index(stage) + 1)
    else:
        await workflows.start(job.id, job.pipeline, job.plan)
