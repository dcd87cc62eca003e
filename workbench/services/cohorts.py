"""Cohorts: many scans sent together, each a durable job; their table, their page, and what can be done with all of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from infra.database.tables import AnalysisJob, AnalysisResult, Upload, User
from infra.database.tables_cohorts import Cohort, CohortScan
from infra.errors import Conflict, NotFound
from pipelines.imaging.cohort.keys import work_key
from pipelines.jobs import LIVE
from pipelines.jobs.job_store import QUIET
from workbench.services.context import Services

MOST_AGAIN = 50  # how often one content may be begun anew before its last job is taken as it is


@dataclass(frozen=True)
class CohortRow:
    """One scan: its place in the cohort, its job, what the job found (None before its end), and the scan whose job it shares."""

    scan: CohortScan
    job: AnalysisJob
    summary: dict[str, Any] | None
    same_as: str | None

    @property
    def reason(self) -> str:
        return str((self.job.error or {}).get("message", "")) if self.job.state == "failed" else ""


@dataclass(frozen=True)
class CohortView:
    """A cohort and its scans, by name."""

    cohort: Cohort
    rows: tuple[CohortRow, ...]

    def count(self, *states: str) -> int:
        return sum(row.job.state in states for row in self.rows)

    @property
    def live(self) -> bool:
        return any(row.job.state in LIVE for row in self.rows)

    @property
    def fraction(self) -> float:
        """Share of the work that is done, 0 to 1."""
        return sum(row.job.fraction if row.job.state in LIVE else 1.0 for row in self.rows) / max(1, len(self.rows))


@dataclass(frozen=True)
class CohortCard:
    """A cohort in a list: how many scans by their jobs' state."""

    id: str
    title: str
    created_at: datetime
    states: dict[str, int]
    study: bool


async def create_cohort(
    services: Services, user: User, title: str, options: Mapping[str, Any] | None = None, *, study: bool = False
) -> Cohort:
    """An empty cohort; ``options`` are those of every scan's analysis. The scans of a ``study`` are the sequences of one visit."""
    printable = "".join(letter for letter in title if letter.isprintable()).strip()[:200]
    cohort = Cohort(owner_id=user.id, title=printable or ("Visit" if study else "Cohort"), options=dict(options or {}), study=study)

    def add(session: Session) -> None:
        session.add(cohort)

    await services.database.run(add)
    return cohort


async def add_scan(
    services: Services, user: User, cohort_id: str, upload: Upload, name: str, facts: Mapping[str, str] | None = None
) -> CohortRow:
    """Put an uploaded scan into a cohort and begin its job.

    A content that this person had analysed in a cohort with the same options and the same champion has its job already:
    that one is shown, and nothing is done twice. A job that was cancelled, or failed by something that passes, is begun
    anew. The same name with the same content again changes nothing.

    Raises:
        NotFound: there is no such cohort of this person.
    """
    cohort = await _find(services, user, cohort_id)
    job = await _job(services, user, cohort, upload)
    shown = "".join(letter for letter in name if letter.isprintable())[:400] or upload.name
    scan = await _enter(services, CohortScan(cohort_id=cohort.id, name=shown, facts=dict(facts or {}), upload_id=upload.id, job_id=job.id))
    view = await show_cohort(services, user, cohort.id)
    return next(row for row in view.rows if row.scan.id == scan.id)


async def show_cohort(services: Services, user: User, cohort_id: str) -> CohortView:
    """Where a cohort stands. Raises NotFound."""
    cohort = await _find(services, user, cohort_id)

    def read(session: Session) -> list[Any]:
        query = (
            select(CohortScan, AnalysisJob, AnalysisResult)
            .join(AnalysisJob, col(AnalysisJob.id) == col(CohortScan.job_id))
            .outerjoin(AnalysisResult, col(AnalysisResult.job_id) == col(AnalysisJob.id))
            .where(CohortScan.cohort_id == cohort.id)
            .order_by(col(CohortScan.name))
        )
        return list(session.exec(query))

    first: dict[str, str] = {}
    rows = []
    for scan, job, result in await services.database.run(read):
        same_as = first.get(job.id)
        first.setdefault(job.id, scan.name)
        rows.append(CohortRow(scan, job, result.summary if result else None, same_as))
    return CohortView(cohort, tuple(rows))


async def list_cohorts(services: Services, user: User, limit: int = 20) -> list[CohortCard]:
    """The person's cohorts, newest first."""

    def read(session: Session) -> list[CohortCard]:
        query = select(Cohort).where(Cohort.owner_id == user.id).order_by(col(Cohort.created_at).desc()).limit(limit)
        cohorts = list(session.exec(query))
        counts = (
            select(CohortScan.cohort_id, AnalysisJob.state, func.count())
            .join(AnalysisJob, col(AnalysisJob.id) == col(CohortScan.job_id))
            .where(col(CohortScan.cohort_id).in_([cohort.id for cohort in cohorts]))
            .group_by(CohortScan.cohort_id, AnalysisJob.state)
        )
        states: dict[str, dict[str, int]] = {}
        for cohort_id, state, count in session.exec(counts):
            states.setdefault(cohort_id, {})[state] = count
        return [CohortCard(cohort.id, cohort.title, cohort.created_at, states.get(cohort.id, {}), cohort.study) for cohort in cohorts]

    return await services.database.run(read)


async def cancel_cohort(services: Services, user: User, cohort_id: str) -> CohortView:
    """Stop what has not ended; a job that another cohort of this person shares stops with it. Raises NotFound."""
    view = await show_cohort(services, user, cohort_id)
    for job_id in dict.fromkeys(row.job.id for row in view.rows if row.job.state in LIVE):
        await services.jobs.cancel(job_id, owner_id=user.id)
    return await show_cohort(services, user, cohort_id)


async def retry_cohort(services: Services, user: User, cohort_id: str) -> CohortView:
    """Begin anew what failed or was cancelled, as new jobs that go on where the old ones stopped; a study too. Raises NotFound."""
    view = await show_cohort(services, user, cohort_id)
    renewed: dict[str, str] = {}
    for row in view.rows:
        if row.job.state in ("failed", "cancelled") and row.job.id not in renewed:
            renewed[row.job.id] = (await services.jobs.retry(row.job.id, owner_id=user.id)).id

    def point(session: Session) -> None:
        for scan in session.exec(select(CohortScan).where(CohortScan.cohort_id == cohort_id)):
            scan.job_id = renewed.get(scan.job_id, scan.job_id)
        cohort = session.get(Cohort, cohort_id)
        if cohort and "error" in cohort.merged:
            cohort.merged = {}

    await services.database.run(point)
    return await show_cohort(services, user, cohort_id)


async def _find(services: Services, user: User, cohort_id: str) -> Cohort:
    cohort = await services.database.run(lambda session: session.get(Cohort, cohort_id))
    if cohort is None or cohort.owner_id != user.id:
        raise NotFound(f"Cohort not found: {cohort_id}.")
    return cohort


async def _job(services: Services, user: User, cohort: Cohort, upload: Upload) -> AnalysisJob:
    champion = services.champions().get("segmentation")
    plan = services.jobs.catalog.pipeline("imaging").version
    key = f"cohort:{work_key(upload.sha256, cohort.options, champion.as_dict() if champion else None, plan)}"
    bucket = services.settings.storage.buckets.uploads_raw
    given = {"bucket": bucket, "key": upload.key, "name": upload.name, "size": upload.size, "sha256": upload.sha256}
    for turn in range(1, MOST_AGAIN + 1):
        this = key if turn == 1 else f"{key}:{turn}"
        job = await services.jobs.by_key(user.id, this)
        if job is None:
            options = {**cohort.options, QUIET: True}
            with contextlib.suppress(Conflict):  # the same content under another name was sent at this moment
                return await services.jobs.submit(
                    "imaging", owner_id=user.id, title=upload.name, input=given, options=options, idempotency_key=this
                )
            job = await services.jobs.by_key(user.id, this)
            assert job is not None
        passing = job.state == "cancelled" or (job.state == "failed" and (job.error or {}).get("retryable"))
        if not passing or turn == MOST_AGAIN:
            break
    await asyncio.to_thread(_forget_dicom, services, upload)
    return job


def _forget_dicom(services: Services, upload: Upload) -> None:
    """A DICOM whose job has read it already is not read again, so nobody else would remove this copy and its identifiers."""
    bucket = services.settings.storage.buckets.uploads_raw
    with contextlib.suppress(NotFound):
        note = json.loads(services.store.get(bucket, f"scans/{upload.sha256}.json"))
        if str(note.get("format", "")).startswith("DICOM"):
            services.store.delete(bucket, upload.key)


async def _enter(services: Services, scan: CohortScan) -> CohortScan:
    """The row; of two scans of one name but another content the second gets a number."""
    plain = scan.name
    for number in range(2, 1000):
        wanted = scan

        def add(session: Session, wanted: CohortScan = wanted) -> CohortScan:
            query = select(CohortScan).where(CohortScan.cohort_id == wanted.cohort_id, CohortScan.name == wanted.name)
            found = session.exec(query).first()
            if found is None:
                session.add(wanted)
                return wanted
            old, new = session.get(Upload, found.upload_id), session.get(Upload, wanted.upload_id)
            if old and new and old.sha256 == new.sha256:
                found.job_id = wanted.job_id
                return found
            raise Conflict("This name is taken.")

        try:
            return await services.database.run(add)
        except (Conflict, IntegrityError):
            scan = CohortScan(**{**scan.model_dump(exclude={"id", "created_at"}), "name": f"{plain} ({number})"})
    raise Conflict("Too many scans of the cohort have this name.")
