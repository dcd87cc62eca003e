"""The Serve deployment that does a pipeline's work: one deployment a pipeline, holding the handles of its models.

The runner asks it for one stage at a time. It imports the pipeline (and whatever heavy libraries that brings), so the
runner need not.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Any

import structlog
from ray.serve.handle import DeploymentHandle

from infra.database import Database
from infra.datafolder import DataFolder
from infra.objectstore import make_object_store
from infra.settings import Settings
from infra.telemetry import correlated, log_to_folder, logger
from pipelines.index_service.remote import INDEX, remote_index_service
from pipelines.jobs.catalog import Catalog
from pipelines.jobs.definition import StageContext
from pipelines.jobs.execution import find_stage, run_stage, sweep_work_folders
from pipelines.jobs.job_store import JobStore
from pipelines.jobs.progress import reporting
from pipelines.jobs.retry import as_workbench_error
from pipelines.jobs.stage_call import StageAnswer, StageCall
from serving.cluster.head import keep_replica_private
from serving.cluster.remote import roles_from_handles

log = logger(__name__)

ANSWERS_KEPT = 16  # of jobs that may have ended or lost their runner


class StageWorker:
    """Runs stages of one pipeline.

    Args:
        name: the pipeline's, as the catalog knows it.
        settings: the program's.
        catalog: where the definition stands.
        models: the handle of each role that is deployed, and of the index service.
    """

    def __init__(self, name: str, settings: Settings, catalog: Catalog, models: Mapping[str, DeploymentHandle]) -> None:
        keep_replica_private()
        log_to_folder(DataFolder(settings.home).logs, level=settings.telemetry.level, component=f"pipelines-{name}")
        self._pipeline = catalog.pipeline(name)
        self._settings = settings
        self._roles = roles_from_handles(models)
        self._index_service = remote_index_service(models[INDEX]) if INDEX in models else None
        self._store = make_object_store(settings)
        self._database = Database(settings.database_url)
        self._job_store = JobStore(self._database)
        self._work = settings.home.resolve() / "work" / name
        self._stages: dict[tuple[str, str], asyncio.Task[StageAnswer]] = {}
        sweep_work_folders(self._work)
        log.info("stage worker ready", pipeline=name, plan=self._pipeline.plan, version=self._pipeline.version, pid=os.getpid())

    async def run(self, call: StageCall) -> StageAnswer:
        """Run one stage.

        A runner that was killed asks again, while the stage that its predecessor asked for is still at work here, or
        has finished with nobody to tell: it is then waited for, or its answer given, and not begun a second time.
        A cancelled call cancels the stage.
        """
        key = (call.job_id, call.stage)
        self._forget(call)
        task = self._stages.get(key)
        while task is not None and task.cancelling():
            await asyncio.wait({task})  # the last try's, which is being stopped
            task = self._stages.get(key)
        if task is None:
            task = asyncio.create_task(self._run(call))
            self._stages[key] = task
            task.add_done_callback(lambda ended: self._ended(key, ended))
        else:
            log.info("stage was begun already", job=call.job_id, stage=call.stage, finished=task.done(), pid=os.getpid())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            raise

    def _ended(self, key: tuple[str, str], task: asyncio.Task[StageAnswer]) -> None:
        if task.cancelled() or task.exception() is not None or task.result().added is None:
            self._stages.pop(key, None)  # a failed stage may be tried again

    def _forget(self, call: StageCall) -> None:
        """Drop answers that were surely received: a job that asks for another stage has this one in the database."""
        received = [key for key, task in self._stages.items() if task.done() and key[0] == call.job_id and key[1] != call.stage]
        finished = [key for key, task in self._stages.items() if task.done() and key[0] != call.job_id]
        for key in received + finished[: max(0, len(finished) - ANSWERS_KEPT)]:
            del self._stages[key]

    async def _run(self, call: StageCall) -> StageAnswer:
        with correlated(call.correlation_id), structlog.contextvars.bound_contextvars(job=call.job_id, stage=call.stage, pid=os.getpid()):
            log.info("stage begins", attempt=call.attempt)
            began = time.monotonic()
            try:
                added = await self._work_on(call, began)
            except asyncio.CancelledError:
                log.info("stage cancelled", seconds=round(time.monotonic() - began, 3))
                raise
            except Exception as caught:
                error = as_workbench_error(caught, call.stage)
                log.warning("stage failed", seconds=round(time.monotonic() - began, 3), code=error.code, error=error.message)
                return StageAnswer(error=error.as_dict())
            log.info("stage ends", seconds=round(time.monotonic() - began, 3))
            return StageAnswer(added=added)

    async def _work_on(self, call: StageCall, began: float) -> dict[str, Any]:
        stage = find_stage(self._pipeline, call.stage)
        begin, end = self._pipeline.span(call.plan, call.stage)

        async def write(fraction: float, message: str) -> None:
            whole = begin + (end - begin) * fraction
            await self._job_store.event(call.job_id, "progress", stage=call.stage, message=message, fraction=whole)

        await self._job_store.event(call.job_id, "started", stage=call.stage, message=stage.title, fraction=begin)
        async with reporting(write) as progress:
            context = StageContext(
                job_id=call.job_id,
                owner_id=call.owner_id,
                title=call.title,
                input=call.input,
                options=call.options,
                store=self._store,
                roles=self._roles,
                settings=self._settings,
                workdir=self._work,
                progress=progress,
                index_service=self._index_service,
            )
            added = await run_stage(self._pipeline, call.stage, context, call.state)
        seconds = round(time.monotonic() - began, 3)
        await self._job_store.event(call.job_id, "finished", stage=call.stage, message=stage.title, fraction=end, seconds=seconds)
        return added
