"""Finished analyses: what they found, and the files they left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlmodel import Session, col, select

from infra.database.tables import AnalysisJob, AnalysisResult, User
from infra.errors import Cancelled, NotFound, Unavailable, from_dict
from infra.objectstore import ObjectInfo
from workbench.services.context import Services

if TYPE_CHECKING:
    from pipelines.imaging.report import Report


@dataclass(frozen=True)
class ResultCard:
    """A finished job, as a list shows it."""

    job: AnalysisJob
    kind: str
    summary: dict[str, Any]
    models: list[dict[str, str]]
    created_at: datetime


class StillRunning(Unavailable):
    """The job is not finished yet."""

    code = "still_running"
    status = 409


async def list_results(services: Services, user: User, limit: int = 20, *, pipeline: str = "imaging") -> list[ResultCard]:
    """The person's latest results of a pipeline, newest first."""

    def find(session: Session) -> list[ResultCard]:
        query = (
            select(AnalysisResult, AnalysisJob)
            .join(AnalysisJob, col(AnalysisJob.id) == col(AnalysisResult.job_id))
            .where(AnalysisJob.owner_id == user.id, AnalysisJob.pipeline == pipeline)
            .order_by(col(AnalysisResult.created_at).desc())
            .limit(limit)
        )
        return [ResultCard(job, result.kind, result.summary, result.models, result.created_at) for result, job in session.exec(query)]

    return await services.database.run(find)


async def find_job(services: Services, user: User, job_id: str) -> AnalysisJob:
    """Raises NotFound where there is none that this person may see."""
    return await services.jobs.get(job_id, user.id)


async def find_result(services: Services, user: User, job_id: str) -> AnalysisResult:
    """What a job left.

    Raises:
        NotFound: no such job of this person.
        StillRunning: it is not finished.
        WorkbenchError: the error it failed with; Cancelled where it was cancelled.
    """
    job = await find_job(services, user, job_id)
    if job.state == "failed":
        raise from_dict(job.error or {"message": "The job failed."})
    if job.state == "cancelled":
        raise Cancelled("This job was cancelled. `workbench jobs retry` runs it again.")
    result = await services.database.run(lambda session: session.get(AnalysisResult, job_id))
    if job.state != "done" or result is None:
        raise StillRunning("The job is not finished yet.", job=job.id, state=job.state, stage=job.stage, fraction=job.fraction)
    return result


async def load_report(services: Services, user: User, job_id: str) -> Report:
    """The report of a finished imaging job (errors as :func:`find_result`)."""
    from pipelines.imaging.report import Report

    stream, _ = await open_artifact(services, user, job_id, "report.json")

    def read() -> Report:
        with stream:
            return Report.model_validate_json(stream.read())

    return await asyncio.to_thread(read)


async def open_artifact(services: Services, user: User, job_id: str, name: str) -> tuple[BinaryIO, ObjectInfo]:
    """A file that a finished job left, its digest checked; the caller closes the stream.

    Raises:
        NotFound: no such job of this person, or it left no such file.
    """
    info = artifact_info(await find_result(services, user, job_id), name)
    return await asyncio.to_thread(services.store.open, info.bucket, info.key), info


def artifact_info(result: AnalysisResult, name: str) -> ObjectInfo:
    """Raises NotFound where the job left no such file."""
    noted = result.artifacts.get(name)
    if noted is None:
        raise NotFound(f"This result has no file {name}. Files: {', '.join(sorted(result.artifacts)) or 'none'}.")
    return ObjectInfo(**noted)
