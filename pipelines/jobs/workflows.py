"""What the runner (which executes durable workflows) and those who submit jobs agree on, and the latter's access to DBOS.

One workflow serves every pipeline. Its arguments are the pipeline's name and the plan (the names of the stages), so a
job finishes by the plan it was begun with, whatever the pipeline has become since. Stage ``plan[i]`` is step ``i + 1``.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dbos import DBOSClient, Serializer, SetWorkflowID
from dbos import error as of_dbos
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from infra.database.tables import AnalysisJob
from infra.errors import NotFound, Unavailable, WorkbenchError, storage_full
from infra.settings import Settings
from pipelines.jobs.retry import revive

Result = TypeVar("Result")

APPLICATION = "workbench"
QUEUE = "jobs"
WORKFLOW = "run-pipeline"

# DBOS recovers a workflow only where this is what it was begun with. It names the contract of the orchestration
# (one step a stage, in the order of the plan, then one step to close), not the stages: those stand in each
# workflow's arguments. Raise it only together with code that still finishes the workflows of the old contract.
CONTRACT = "stages-1"

CLOSE = "close-job"  # the name of the last step

FROM_STAGE = "from_stage"
"""In a job's options: the stage at which a job that continues another one (``parent_id``) begins."""


class JsonSerializer(Serializer):
    """JSON in the database, where DBOS would pickle. An error becomes its dictionary under ``__error__``."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=_encode, allow_nan=False, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        value = json.loads(serialized_data)
        if isinstance(value, dict) and "__error__" in value:
            return revive(value["__error__"])
        return value

    def name(self) -> str:
        return "workbench_json"


def _encode(value: Any) -> Any:
    if isinstance(value, WorkbenchError):
        return {"__error__": value.as_dict()}
    if isinstance(value, BaseException):
        return {"__error__": {"code": "internal", "message": f"{type(value).__name__}: {value}"[:500], "retryable": False}}
    raise TypeError(f"{type(value).__name__} is not JSON; between stages only small JSON is passed")


def jobs_url(settings: Settings) -> str:
    """The address of DBOS's database, made ready: an SQLite file gets its folder and WAL, so readers never wait."""
    url = make_url(settings.jobs_url)
    if url.get_backend_name() == "sqlite" and url.database:
        import sqlite3

        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(url.database, timeout=30) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    return settings.jobs_url


async def _asked(work: Callable[[], Result]) -> Result:
    """``work()`` in a thread, with errors as :mod:`infra.errors` has them."""
    try:
        return await asyncio.to_thread(work)
    except of_dbos.DBOSNonExistentWorkflowError as error:
        raise NotFound("The earlier job is no longer in the job database. Start a new job.") from error
    except (SQLAlchemyError, of_dbos.DBOSException) as error:
        away = Unavailable("Job database unavailable. Try again in a few seconds.")
        raise storage_full(error) or away from error


class Workflows:
    """DBOS as a submitter sees it. The connection is made at first use.

    Every method raises Unavailable where the database is away or was not made yet (the runner makes it, at its start), and
    StorageFull where it cannot be written.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: DBOSClient | None = None
        self._lock = threading.Lock()

    def _connected(self) -> DBOSClient:
        with self._lock:
            if self._client is None:
                self._client = DBOSClient(
                    system_database_url=jobs_url(self._settings),
                    serializer=JsonSerializer(),
                    application_name=APPLICATION,
                    system_database_pool_size=2,
                    lazy=True,
                    retry_connection_errors=False,  # a submitter waits for nothing: what could not be enqueued, the runner finds
                )
            return self._client

    async def launch(self, job: AnalysisJob) -> None:
        """Enqueue the workflow of a job's row. Done by whoever accepts a job, and again by the runner for rows that lack one:
        safe to repeat, since the job's id is the workflow's."""
        stage = job.options.get(FROM_STAGE)
        if job.parent_id and stage:
            await self.fork(job.id, job.parent_id, job.plan.index(stage) + 1)
        else:
            await self.start(job.id, job.pipeline, job.plan)

    async def start(self, job_id: str, pipeline: str, plan: Sequence[str]) -> None:
        """Enqueue the job's workflow; one that is there already is left as it is."""

        def work() -> None:
            self._connected().enqueue(
                {"queue_name": QUEUE, "workflow_name": WORKFLOW, "workflow_id": job_id, "app_version": CONTRACT}, pipeline, list(plan)
            )

        await _asked(work)

    async def fork(self, job_id: str, parent_id: str, step: int) -> None:
        """Enqueue the job as a copy of ``parent_id`` that begins at ``step`` (from 1); one that is there is left as it is.

        Raises:
            NotFound: DBOS knows no such parent.
        """

        def work() -> None:
            client = self._connected()
            if not client.list_workflows(workflow_ids=[job_id], load_input=False, load_output=False):
                with SetWorkflowID(job_id):
                    client.fork_workflow(parent_id, step, application_version=CONTRACT, queue_name=QUEUE)

        await _asked(work)

    async def cancel(self, job_id: str) -> None:
        """Stop the workflow: in the queue at once, in a stage within about a second."""
        await _asked(lambda: self._connected().cancel_workflow(job_id))

    async def statuses(self, job_ids: Sequence[str]) -> dict[str, str]:
        """DBOS's status of each job that has a workflow."""

        def work() -> dict[str, str]:
            found = self._connected().list_workflows(workflow_ids=list(job_ids), load_input=False, load_output=False)
            return {item.workflow_id: item.status for item in found}

        return await _asked(work) if job_ids else {}

    async def active(self) -> dict[str, str | None]:
        """The jobs whose workflow waits or runs; with the executor that runs it, None where it waits."""

        def work() -> dict[str, str | None]:
            found = self._connected().list_workflows(status=["ENQUEUED", "PENDING"], name=WORKFLOW, load_input=False, load_output=False)
            return {item.workflow_id: item.executor_id if item.status == "PENDING" else None for item in found}

        return await _asked(work)

    async def resume(self, job_id: str) -> None:
        """Put the workflow back into the queue, to go on after its last finished step."""
        await _asked(lambda: self._connected().resume_workflow(job_id, queue_name=QUEUE))

    async def finished_steps(self, job_id: str) -> list[str]:
        """The names of the steps that ended well, in order."""

        def work() -> list[str]:
            return [step["function_name"] for step in self._connected().list_workflow_steps(job_id) if step["error"] is None]

        return await _asked(work)

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.destroy()
                self._client = None
