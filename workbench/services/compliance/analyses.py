"""Analyses: begun, listed, looked at, deleted."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, cast
from sqlmodel import Session, col, func, select

from infra.database import as_utc
from infra.database.tables import AnalysisJob, User
from infra.database.tables_cohorts import CohortScan
from infra.database.tables_compliance import AnalysisRequest, ComplianceAnalysis
from infra.errors import Conflict, InvalidInput
from knowledge.library import find_collection
from knowledge.library.archives import read_document_archive
from knowledge.reading import Document
from knowledge.reading.picture_cache import forget_pictures
from knowledge.requirements import Policy
from pipelines import requirement_rows as rows
from pipelines.compliance import records
from pipelines.compliance.contract import ComplianceReport, RequirementVerdict
from pipelines.compliance.reading import folder_of
from pipelines.compliance.stages import DOCUMENT
from workbench.accounts.audit import record
from workbench.services.compliance.requirements import extract_requirements
from workbench.services.context import Services
from workbench.services.results import find_result
from workbench.services.uploads import find_upload, forget_uploads

PIPELINE = "compliance"
MOST_POLICIES = 20


@dataclass(frozen=True)
class AnalysisCard:
    """An analysis as a list shows it.

    Attributes:
        policies: cards: name, collection, version, requirements.
        counts: satisfied, violated, not_addressed, conflicts; reviews counted.
        open_reviews: verdicts that wait for a person; none where a later analysis took this one's place.
    """

    id: str
    document: str
    policies: list[dict[str, Any]]
    score: float
    risk: str
    counts: dict[str, int]
    open_reviews: int
    created_at: datetime


@dataclass(frozen=True)
class ReviewCard:
    """What a person said of a verdict."""

    person: str
    verdict: str
    agreed: bool
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class MatchCard:
    """A verdict with its id, by which it is reviewed, and what people said of it, oldest first."""

    id: str
    position: int
    verdict: RequirementVerdict
    reviews: tuple[ReviewCard, ...]


@dataclass(frozen=True)
class AnalysisView:
    """A finished analysis.

    Attributes:
        upload_id: the file that was checked; None where it is gone.
        report: with the reviews in it.
        first_score: before any review.
    """

    id: str
    upload_id: str | None
    created_at: datetime
    report: ComplianceReport
    matches: tuple[MatchCard, ...]
    first_score: float


async def start_compliance(
    services: Services,
    user: User,
    upload_id: str,
    *,
    policies: Sequence[str] = (),
    requirements: Policy | None = None,
    title: str = "",
    options: dict[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> AnalysisJob:
    """Begin the analysis of an uploaded document; the requirements are kept as they are now.

    Args:
        policies: collections, by name or id.
        requirements: a file's, in place of collections.

    Raises:
        NotFound: no such upload or collection for this person.
        InvalidInput: neither policies nor requirements, or both; a collection without requirements.
        Conflict: the idempotency key was used for something else.
    """
    if idempotency_key is not None and (begun := await services.jobs.by_key(user.id, idempotency_key)):
        if begun.pipeline != PIPELINE:
            raise Conflict(f"The idempotency key '{idempotency_key}' was already used for another request. Use a new key.", job_id=begun.id)
        return begun
    if bool(policies) == (requirements is not None) or len(policies) > MOST_POLICIES:
        raise InvalidInput(f"Choose 1 to {MOST_POLICIES} policy collections, or upload requirements.")
    upload = await find_upload(services, user, upload_id)
    if requirements is not None:
        chosen = [requirements]
    else:
        for name in policies:
            await extract_requirements(services, user, name)

        def find(session: Session) -> list[Policy]:
            places = {(place := find_collection(session, user.id, name)).id: place for name in policies}
            return [rows.policy_of(session, place) for place in places.values()]

        chosen = await services.database.run(find)
    content = json.dumps([policy.as_dict() for policy in chosen], sort_keys=True).encode()
    key = f"compliance/requirements/{hashlib.sha256(content).hexdigest()}.json"
    bucket = services.settings.storage.buckets.analysis_reports
    await asyncio.to_thread(services.store.put, bucket, key, content, media_type="application/json")
    uploads = services.settings.storage.buckets.uploads_raw
    document = {"bucket": uploads, "key": upload.key, "name": upload.name, "sha256": upload.sha256, "upload": upload.id}
    job = await services.jobs.submit(
        PIPELINE,
        owner_id=user.id,
        title=title or upload.name,
        input={"document": document, "requirements": key},
        options=options or {},
        idempotency_key=idempotency_key,
    )
    names = [policy.name for policy in chosen]
    await services.database.run(
        lambda session: record(session, "compliance.started", user_id=user.id, subject=upload.name, job=job.id, policies=names)
    )
    return job


async def list_analyses(services: Services, user: User, limit: int = 50) -> list[AnalysisCard]:
    """The person's analyses, newest first."""

    def work(session: Session) -> list[AnalysisCard]:
        found = records.analyses_of(session, user.id, limit)
        waiting = records.count_open(session, records.latest_of(found))
        return [_card(row, request, waiting.get(row.id, 0)) for row, request in found]

    return await services.database.run(work)


async def load_analysis(services: Services, user: User, analysis_id: str) -> AnalysisView:
    """A finished analysis.

    Raises:
        NotFound: no such analysis for this person.
        StillRunning: it is not finished.
        WorkbenchError: what it failed with.
    """
    job = await services.jobs.get(analysis_id, user.id)
    if job.state != "done":
        await find_result(services, user, analysis_id)
    return await services.database.run(lambda session: view_of(session, user, analysis_id))


def view_of(session: Session, user: User, analysis_id: str) -> AnalysisView:
    """The typed view of an analysis's rows. Raises NotFound."""
    kept = records.find_analysis(session, user.id, analysis_id)
    people = {
        person.id: person.name for person in session.exec(select(User).where(col(User.id).in_({one.user_id for one in kept.reviews})))
    }
    matches = tuple(
        MatchCard(
            match.id,
            match.position,
            verdict,
            tuple(
                ReviewCard(people.get(one.user_id, ""), one.verdict, one.agreed, one.reason, as_utc(one.created_at))
                for one in kept.reviews
                if one.match_id == match.id
            ),
        )
        for match, verdict in zip(kept.matches, kept.report.requirements, strict=True)
    )
    created = as_utc(kept.analysis.created_at)
    return AnalysisView(analysis_id, kept.request.upload_id, created, kept.report, matches, kept.analysis.first_score)


async def document_text(services: Services, user: User, analysis_id: str) -> Document:
    """The document as it was read: evidence's offsets are in its ``text``. Raises NotFound."""
    kept = await services.database.run(lambda session: records.find_analysis(session, user.id, analysis_id))
    job = await services.jobs.get(analysis_id, user.id)
    name = str(job.input["document"]["name"])
    bucket = services.settings.storage.buckets.analysis_reports

    def read() -> Document:
        return read_document_archive(services.store.get(bucket, kept.analysis.text_key), DOCUMENT, name=name, media_type="")

    return await asyncio.to_thread(read)


async def delete_analysis(services: Services, user: User, analysis_id: str) -> None:
    """Take an analysis out of the tables and the store, with the file that was sent for it, pictures of its pages, and what
    was kept of its text. What another analysis still needs is left: the file where one was begun with the same upload, the
    text where one is of a document of that name.

    Raises:
        NotFound: no such analysis for this person.
    """

    def work(session: Session) -> tuple[list[str], list[str], str]:
        kept = records.find_analysis(session, user.id, analysis_id)
        owner, document, sha256 = kept.request.owner_id, kept.request.document, kept.request.sha256
        alike = select(func.count()).select_from(AnalysisRequest)
        same = session.exec(alike.where(AnalysisRequest.owner_id == owner, AnalysisRequest.document == document)).one()
        upload = kept.request.upload_id
        uploads = [upload] if upload and not _needed(session, upload, analysis_id) else []
        records.forget(session, analysis_id)
        record(session, "compliance.deleted", user_id=user.id, subject=document, job=analysis_id)
        return [f"compliance/{analysis_id}/"] + ([folder_of(owner, document)] if same == 1 else []), uploads, sha256

    folders, uploads, sha256 = await services.database.run(work)
    bucket = services.settings.storage.buckets.analysis_reports

    def drop() -> None:
        for folder in folders:
            for info in list(services.store.list(bucket, folder)):
                services.store.delete(bucket, info.key)
        forget_pictures(services.folder.cache, [sha256])

    await asyncio.to_thread(drop)
    await forget_uploads(services, uploads)


def _needed(session: Session, upload: str, analysis_id: str) -> bool:
    """Whether something other than this analysis still has an upload: a cohort, an analysis, or a job that will read it (one that
    failed does not)."""
    if session.exec(select(CohortScan.id).where(CohortScan.upload_id == upload)).first() is not None:
        return True
    naming = select(AnalysisJob).where(cast(AnalysisJob.input, String).contains(upload), AnalysisJob.id != analysis_id)
    return any(job.state in ("queued", "running") or session.get(ComplianceAnalysis, job.id) is not None for job in session.exec(naming))


def _card(row: ComplianceAnalysis, request: AnalysisRequest, waiting: int) -> AnalysisCard:
    return AnalysisCard(
        id=row.id,
        document=row.document,
        policies=list(request.policies),
        score=row.score,
        risk=row.risk,
        counts=dict(row.counts),
        open_reviews=waiting,
        created_at=as_utc(row.created_at),
    )
