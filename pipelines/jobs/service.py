"""Jobs as the gateway, the CLI and notebooks use them: submit, look, watch, cancel, begin again.

A job row is written first, then its workflow is enqueued under the job's id. Where the second part is missing (a crash
between, the runner not there yet), the runner finds the row and enqueues it, so an accepted job is never lost; where it
happens twice, the id makes it one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from infra.database import Database
from infra.database.people import is_owner
from infra.database.tables import AnalysisJob, JobEvent, User, new_id
from infra.errors import Conflict, InvalidInput, NotFound, StorageFull, Unavailable
from infra.settings import Settings
from infra.telemetry import correlation_id, logger
from pipelines.jobs import ENDED
from pipelines.jobs.catalog import CATALOG, Catalog
from pipelines.jobs.job_store import JobStore
from pipelines.jobs.workflows import FROM_STAGE, Workflows

log = logger(__name__)


class Jobs:
    """Submits, reads, watches, cancels and retries jobs.

    Wherever a method takes ``owner_id``, it is the person who asks: another's job is NotFound for them, unless their
    role is ``owner``. None is the program itself, which may see every job.
    """

    def __init__(self, settings: Settings, database: Database, catalog: Catalog = CATALOG) -> None:
        self.catalog = catalog
        self._database = database
        self._job_store = JobStore(database)
        self._workflows = Workflows(settings)

    async def submit(
        self,
        pipeline: str,
        *,
        owner_id: str,
        title: str,
        input: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> AnalysisJob:
        """Accept a job. The same owner and key give the same job, also when two ask at once.

        Raises:
            NotFound: there is no such pipeline.
            Conflict: the key was used for another pipeline or another input.
        """
        definition = self.catalog.pipeline(pipeline)
        job = AnalysisJob(
            owner_id=owner_id,
            pipeline=pipeline,
            title=title,
            plan=definition.plan,
            input=dict(input),
            options=dict(options or {}),
            code_version=definition.version,
            idempotency_key=idempotency_key,
            correlation_id=correlation_id(),
        )
        try:
            await self._database.run(lambda session: _insert(session, job))
        except IntegrityError:
            existing = await self.by_key(owner_id, idempotency_key)
            if existing is None:
                raise
            if existing.pipeline != pipeline or existing.input != dict(input):
                raise Conflict(
                    f"The idempotency key '{idempotency_key}' was already used for another request. Use a new key.", job_id=existing.id
                ) from None
            job = existing
        await self._launch(job)
        return job

    async def get(self, job_id: str, owner_id: str | None = None) -> AnalysisJob:
        """The job's row as it is now. Raises NotFound."""
        return await self._database.run(lambda session: _visible(session, job_id, owner_id))

    async def list(
        self, owner_id: str | None, limit: int = 50, pipeline: str | None = None, *, everyone: bool = False
    ) -> list[AnalysisJob]:
        """A person's jobs, newest first; with ``everyone`` all that they may see (the role ``owner``: every person's)."""

        def work(session: Session) -> list[AnalysisJob]:
            query = select(AnalysisJob)
            if owner_id is not None and not (everyone and _sees_all(session, owner_id)):
                query = query.where(AnalysisJob.owner_id == owner_id)
            if pipeline:
                query = query.where(AnalysisJob.pipeline == pipeline)
            return list(session.exec(query.order_by(col(AnalysisJob.created_at).desc()).limit(limit)))

        return await self._database.run(work)

    async def page(
        self, owner_id: str, *, limit: int, offset: int = 0, pipeline: str | None = None, states: Sequence[str] = (), containing: str = ""
    ) -> tuple[list[AnalysisJob], int]:
        """A person's jobs from ``offset`` on, newest first, and how many there are in all.

        Args:
            states: only jobs in one of these; all where none is named.
            containing: only jobs whose title has this text.
        """

        def work(session: Session) -> tuple[list[AnalysisJob], int]:
            wanted: list[Any] = [col(AnalysisJob.owner_id) == owner_id]
            if pipeline:
                wanted.append(AnalysisJob.pipeline == pipeline)
            if states:
                wanted.append(col(AnalysisJob.state).in_(states))
            if text := containing.strip().lower():
                wanted.append(func.lower(col(AnalysisJob.title)).contains(text, autoescape=True))
            count = session.exec(select(func.count()).select_from(AnalysisJob).where(*wanted)).one()
            rows = select(AnalysisJob).where(*wanted).order_by(col(AnalysisJob.created_at).desc(), col(AnalysisJob.id))
            return list(session.exec(rows.offset(max(offset, 0)).limit(limit))), count

        return await self._database.run(work)

    async def events(self, job_id: str, after: int = 0, *, owner_id: str | None = None) -> list[JobEvent]:
        """What happened to the job, oldest first; only events whose id is above ``after``. Raises NotFound."""

        def work(session: Session) -> list[JobEvent]:
            _visible(session, job_id, owner_id)
            query = select(JobEvent).where(JobEvent.job_id == job_id, col(JobEvent.id) > after)
            return list(session.exec(query.order_by(col(JobEvent.id))))

        return await self._database.run(work)

    async def watch(self, job_id: str, after: int = 0, *, owner_id: str | None = None, interval: float = 0.25) -> AsyncIterator[JobEvent]:
        """Events as they come; ends with the job (at once, after its events, where it has ended). Raises NotFound."""
        while True:
            # The row before its events: an ended row's events are all written, so none is missed.
            job = await self.get(job_id, owner_id)
            for event in await self.events(job_id, after):
                after = event.id or after
                yield event
            if job.state in ENDED:
                return
            await asyncio.sleep(interval)

    async def wait(self, job_id: str, *, owner_id: str | None = None) -> AnalysisJob:
        """The job's row once it has ended. Raises NotFound."""
        async for _ in self.watch(job_id, owner_id=owner_id):
            pass
        return await self.get(job_id, owner_id)

    async def cancel(self, job_id: str, *, owner_id: str | None = None) -> AnalysisJob:
        """Stop a job; a stage that runs is interrupted within about a second. An ended job is left as it is.

        Raises:
            NotFound: there is no such job for this person.
        """
        await self.get(job_id, owner_id)
        if await self._job_store.cancelled(job_id):
            log.info("job cancelled", job=job_id)
            try:
                await self._workflows.cancel(job_id)
            except (StorageFull, Unavailable):
                # The row says cancelled, which stops the job before its next stage; the runner tells DBOS later.
                log.warning("the runner's database does not answer; the job stops before its next stage", job=job_id)
        return await self.get(job_id, owner_id)

    async def retry(
        self,
        job_id: str,
        from_stage: str | None = None,
        models: Mapping[str, str] | None = None,
        *,
        owner_id: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> AnalysisJob:
        """A new job that takes over what ``job_id`` finished before ``from_stage`` and works from there.

        Args:
            from_stage: where to begin; by default the stage at which the job failed or was cancelled, else the first.
                From the first stage on, the new job follows the pipeline as it is now; else the old job's plan.
            models: role to version, over the old job's choices.
            options: further choices, over the old job's.

        Raises:
            NotFound: there is no such job for this person.
            Conflict: the job has not ended; cancel it first.
            Unavailable: what the job has finished cannot be read for now.
            InvalidInput: its plan has no such stage, or it never got so far.
        """
        parent = await self.get(job_id, owner_id)
        if parent.state not in ENDED:
            raise Conflict(f"The job '{parent.title}' is still {parent.state}. Cancel it or wait until it ends.")
        stage = from_stage or parent.stage or (parent.plan[0] if parent.plan else None)
        definition = self.catalog.pipeline(parent.pipeline)
        fresh = stage is None or stage == parent.plan[0]
        if from_stage is not None and from_stage not in parent.plan:
            if from_stage != definition.plan[0]:
                raise InvalidInput(f"Unknown stage '{from_stage}'. Stages: {', '.join(parent.plan)}.")
            fresh = True
        if not fresh:
            finished = await self._workflows.finished_steps(job_id)
            before = parent.plan[: parent.plan.index(stage)]  # type: ignore[arg-type]
            if missing := [name for name in before if name not in finished]:
                raise InvalidInput(
                    f"The job has not finished stage '{missing[0]}', so it cannot start at '{stage}'. Start at '{missing[0]}'."
                )
        chosen = {**parent.options, **(options or {})}
        chosen["models"] = {**(parent.options.get("models") or {}), **(models or {})}
        chosen.pop(FROM_STAGE, None)
        if not fresh:
            chosen[FROM_STAGE] = stage
        job = AnalysisJob(
            id=new_id(),
            owner_id=parent.owner_id,
            pipeline=parent.pipeline,
            title=parent.title,
            plan=definition.plan if fresh else parent.plan,
            input=parent.input,
            options=chosen,
            code_version=definition.version if fresh else parent.code_version,
            parent_id=parent.id,
            correlation_id=correlation_id(),
        )
        await self._database.run(lambda session: _insert(session, job))
        await self._launch(job)
        return job

    def close(self) -> None:
        """Give back the connections to DBOS's database (the tables' database is the caller's)."""
        self._workflows.close()

    async def _launch(self, job: AnalysisJob) -> None:
        if job.state in ENDED:
            return
        try:
            await self._workflows.launch(job)
        except (StorageFull, Unavailable):
            # Accepted all the same: the runner makes its database at its start, and then looks for such rows.
            log.warning("job waits for the runner, whose database does not answer yet", job=job.id)

    async def by_key(self, owner_id: str, key: str | None) -> AnalysisJob | None:
        """The job that this person's idempotency key names, or None."""

        def work(session: Session) -> AnalysisJob | None:
            query = select(AnalysisJob).where(AnalysisJob.owner_id == owner_id, AnalysisJob.idempotency_key == key)
            return session.exec(query).first()

        return await self._database.run(work) if key is not None else None


def _insert(session: Session, job: AnalysisJob) -> None:
    session.add(job)
    session.flush()
    session.add(JobEvent(job_id=job.id, kind="queued", message="Waiting", fraction=0.0))


def _visible(session: Session, job_id: str, owner_id: str | None) -> AnalysisJob:
    job = session.get(AnalysisJob, job_id)
    if job is None or (owner_id is not None and job.owner_id != owner_id and not _sees_all(session, owner_id)):
        raise NotFound(f"Job not found: {job_id}.")
    return job


def _sees_all(session: Session, person_id: str) -> bool:
    person = session.get(User, person_id)
    return person is not None and is_owner(person)
