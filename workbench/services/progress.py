"""How far a job is, as pages and terminals show it: its stages in order, each with state, message and duration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from infra.database import as_utc
from infra.database.tables import AnalysisJob, JobEvent, User, now
from infra.errors import NotFound
from pipelines.jobs import LIVE
from workbench.services.context import Services


@dataclass(frozen=True)
class StageProgress:
    """One stage of a job.

    Attributes:
        name: the stage's name in the plan.
        title: for a person.
        state: ``waiting``, ``running``, ``done``, ``failed``, ``cancelled`` or ``skipped`` (taken over from an earlier job).
        message: what it is doing, or why it failed.
        seconds: how long it took, or has been taking; None where it has not begun.
    """

    name: str
    title: str
    state: str
    message: str
    seconds: float | None


@dataclass(frozen=True)
class JobProgress:
    """A job and its stages.

    Attributes:
        job: the row.
        stages: in the order of the plan.
        seconds: from its start until its end, or until now; None where it waits.
    """

    job: AnalysisJob
    stages: tuple[StageProgress, ...]
    seconds: float | None

    @property
    def live(self) -> bool:
        return self.job.state in LIVE


async def job_progress(services: Services, user: User, job_id: str) -> JobProgress:
    """Where a job of ``user`` stands.

    Raises:
        NotFound: there is no such job of this person.
    """
    job = await services.jobs.get(job_id, user.id)
    events = await services.jobs.events(job_id, owner_id=user.id)
    titles = _titles(services, job)
    return JobProgress(job, stages_of(job, events, titles, now()), _span(job, now()))


async def list_progress(services: Services, user: User, limit: int = 100, *, pipeline: str | None = None) -> list[JobProgress]:
    """The person's jobs, of all pipelines or of one, newest first. Stages have names and titles, no durations."""
    return _progress_of(services, await services.jobs.list(user.id, limit, pipeline))


async def page_of_progress(
    services: Services, user: User, *, limit: int, offset: int = 0, pipeline: str | None = None, states: Sequence[str] = (), text: str = ""
) -> tuple[list[JobProgress], int]:
    """The person's jobs from ``offset`` on, newest first, and how many match in all; narrowed as in ``JobService.page``."""
    jobs, count = await services.jobs.page(user.id, limit=limit, offset=offset, pipeline=pipeline, states=states, containing=text)
    return _progress_of(services, jobs), count


def _progress_of(services: Services, jobs: Sequence[AnalysisJob]) -> list[JobProgress]:
    at = now()
    titles = {job.pipeline: _titles(services, job) for job in jobs}
    return [JobProgress(job, stages_of(job, [], titles[job.pipeline], at), _span(job, at)) for job in jobs]


def stages_of(job: AnalysisJob, events: list[JobEvent], titles: dict[str, str], at: datetime) -> tuple[StageProgress, ...]:
    """The stages of a job's plan, told from its row and its events."""
    latest: dict[str, JobEvent] = {}
    began: dict[str, datetime] = {}
    taken: dict[str, float] = {}
    finished: set[str] = set()
    for event in events:
        if event.stage is None:
            continue
        latest[event.stage] = event
        if event.kind == "started":
            began[event.stage] = as_utc(event.created_at)
            finished.discard(event.stage)
        elif event.kind == "finished":
            finished.add(event.stage)
            if event.seconds is not None:
                taken[event.stage] = event.seconds
    # A job that continues another one has no events for the stages it took over.
    first = min((job.plan.index(stage) for stage in latest if stage in job.plan), default=0)
    found = []
    for number, name in enumerate(job.plan):
        event = latest.get(name)
        message = event.message if event and event.kind in ("progress", "retrying") else ""
        seconds = taken.get(name)
        if name in finished or (job.state == "done" and event):
            state = "done"
            message = ""
        elif event is None and number < first:
            state = "skipped"
        elif name == job.stage and job.state in ("failed", "cancelled"):
            state = job.state
            message = str((job.error or {}).get("message", "")) if state == "failed" else "Cancelled here"
            if name in began:
                seconds = ((as_utc(job.finished_at) if job.finished_at else at) - began[name]).total_seconds()
        elif event is not None and job.state == "running":
            state = "running"
            seconds = (at - began[name]).total_seconds() if name in began else None
        else:
            state, message = "waiting", ""
        found.append(StageProgress(name, titles.get(name, name.capitalize()), state, message, seconds))
    return tuple(found)


def _titles(services: Services, job: AnalysisJob) -> dict[str, str]:
    try:
        definition = services.jobs.catalog.pipeline(job.pipeline)
    except NotFound:  # a pipeline of a newer or older program: its stages are shown by their names
        return {}
    stages = {**definition.retired, **{stage.name: stage for stage in definition.stages}}
    return {name: stage.title for name, stage in stages.items()}


def _span(job: AnalysisJob, at: datetime) -> float | None:
    if job.started_at is None:
        return None
    return ((as_utc(job.finished_at) if job.finished_at else at) - as_utc(job.started_at)).total_seconds()
