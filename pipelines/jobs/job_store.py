"""The job row, its events, and what it leaves: every write that a job makes to the tables.

A job is queued, then running, then exactly one of done, failed or cancelled. The row is the truth: whoever finds
it ended leaves it as it is, so a cancel and a last stage that meet give one answer.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from infra.database import Database, as_utc
from infra.database.tables import AnalysisJob, AnalysisResult, JobEvent, Notification, now
from infra.database.tables_knowledge import KbDocument
from infra.errors import Cancelled, NotFound, WorkbenchError
from pipelines.jobs import ENDED, LIVE

QUIET = "quiet"  # in a job's options: it is one of many (a cohort), and tells nobody of itself


class JobStore:
    """Reads and writes of one job at a time, each in one short transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def begin_stage(self, job_id: str, stage: str) -> AnalysisJob:
        """Note that the job works on ``stage``; gives the row, in which the job's choices stand.

        Raises:
            NotFound: there is no such job.
            Cancelled: it was cancelled meanwhile.
        """

        def work(session: Session) -> AnalysisJob:
            job = _locked(session, job_id)
            if job.state not in LIVE:
                raise Cancelled(f"The job is {job.state}.")
            job.state, job.stage = "running", stage
            job.started_at = job.started_at or now()
            return job

        return await self.database.run(work)

    async def event(
        self,
        job_id: str,
        kind: str,
        *,
        stage: str | None = None,
        message: str = "",
        fraction: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """Write an event of a live job; ``fraction`` (of the whole) goes into the row too. An ended job gets no more."""

        def work(session: Session) -> None:
            job = _locked(session, job_id)
            if job.state in LIVE:
                if fraction is not None:
                    job.fraction = fraction
                session.add(JobEvent(job_id=job_id, kind=kind, stage=stage, message=message, fraction=fraction, seconds=seconds))

        await self.database.run(work)

    async def done(self, job_id: str, state: dict[str, Any]) -> None:
        """Close the job: its result, the sentence for its owner, and the row, all at once and once only."""

        def work(session: Session) -> None:
            job = _locked(session, job_id)
            if job.state not in LIVE:
                return
            session.add(
                AnalysisResult(
                    job_id=job_id,
                    kind=job.pipeline,
                    summary=state.get("summary") or {},
                    artifacts=state.get("artifacts") or {},
                    models=state.get("models") or [],
                )
            )
            _notify(session, job, state.get("notification") or f"{job.title} is ready.")
            job.state, job.stage, job.fraction, job.error, job.finished_at = "done", None, 1.0, None, now()
            session.add(JobEvent(job_id=job_id, kind="done", message="Done", fraction=1.0, seconds=_seconds(job)))

        await self.database.run(work)

    async def failed(self, job_id: str, stage: str | None, error: WorkbenchError) -> None:
        """Close the job with the stage and the error it failed by."""

        def work(session: Session) -> None:
            job = _locked(session, job_id)
            if job.state not in LIVE:
                return
            job.state, job.stage, job.error, job.finished_at = "failed", stage, {**error.as_dict(), "stage": stage}, now()
            _notify(session, job, f"{job.title} failed{_where(session, job_id, stage)}: {error.message}")
            session.add(JobEvent(job_id=job_id, kind="failed", stage=stage, message=error.message, seconds=_seconds(job)))

        await self.database.run(work)

    async def cancelled(self, job_id: str) -> bool:
        """Close the job as cancelled; False where it had ended already."""

        def work(session: Session) -> bool:
            job = _locked(session, job_id)
            if job.state not in LIVE:
                return False
            job.state, job.finished_at = "cancelled", now()
            session.add(JobEvent(job_id=job_id, kind="cancelled", stage=job.stage, message="Cancelled", seconds=_seconds(job)))
            return True

        return await self.database.run(work)

    async def end_documents(self) -> int:
        """Mark documents as failed that wait for a job which has ended; gives how many.

        A stage that is cancelled or fails does so itself, unless its process was killed or the tables could not be written.
        """

        def work(session: Session) -> int:
            waiting = (
                select(KbDocument, AnalysisJob)
                .join(AnalysisJob, col(AnalysisJob.id) == col(KbDocument.job_id))
                .where(col(KbDocument.state).in_(("queued", "reading", "embedding")), col(AnalysisJob.state).in_(ENDED))
                .limit(1000)
            )
            found = session.exec(waiting).all()
            for document, job in found:
                said = {name: value for name, value in (job.error or {}).items() if name != "stage"}
                stopped = Cancelled("Upload cancelled. Upload it again.").as_dict()
                document.state, document.progress, document.error, document.updated_at = "failed", "", said or stopped, now()
            return len(found)

        return await self.database.run(work)

    async def correlation_id(self, job_id: str) -> str | None:
        """Of the request that began the job; None where it had none, or there is no such job."""

        def work(session: Session) -> str | None:
            job = session.get(AnalysisJob, job_id)
            return job.correlation_id if job else None

        return await self.database.run(work)

    async def live(self) -> list[AnalysisJob]:
        """Jobs that have not ended, oldest first."""

        def work(session: Session) -> list[AnalysisJob]:
            return list(session.exec(select(AnalysisJob).where(AnalysisJob.state.in_(LIVE)).order_by(AnalysisJob.created_at)))  # type: ignore[attr-defined]

        return await self.database.run(work)

    async def states(self, job_ids: list[str]) -> dict[str, str]:
        """The state of each of these jobs that has a row."""

        def work(session: Session) -> dict[str, str]:
            return dict(session.exec(select(AnalysisJob.id, AnalysisJob.state).where(AnalysisJob.id.in_(job_ids))).all())  # type: ignore[attr-defined]

        return await self.database.run(work) if job_ids else {}


def _locked(session: Session, job_id: str) -> AnalysisJob:
    """The row, held until the transaction ends.

    Held by a write: an SQLite transaction that reads first and writes later fails at once when another one wrote between.
    """
    session.execute(update(AnalysisJob).where(AnalysisJob.id == job_id).values(id=job_id))  # type: ignore[arg-type]
    job = session.get(AnalysisJob, job_id)
    if job is None:
        raise NotFound(f"Job not found: {job_id}.")
    return job


def _where(session: Session, job_id: str, stage: str | None) -> str:
    """Where the job failed, by the stage's title, which its first event has; nothing for a stage that never started."""
    query = select(JobEvent.message).where(JobEvent.job_id == job_id, JobEvent.stage == stage, JobEvent.kind == "started")
    title = session.exec(query.limit(1)).first() if stage else None
    return f' at the stage "{title}"' if title else ""


def _notify(session: Session, job: AnalysisJob, text: str) -> None:
    if job.options.get(QUIET):
        return
    # The job's id names it: written twice is written once.
    if session.get(Notification, job.id) is None:
        session.add(Notification(id=job.id, user_id=job.owner_id, job_id=job.id, text=text))


def _seconds(job: AnalysisJob) -> float | None:
    return round((now() - as_utc(job.started_at)).total_seconds(), 3) if job.started_at else None
