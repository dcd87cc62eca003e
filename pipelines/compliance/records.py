"""Analyses in the tables: written by the pipeline's last stage, read and reviewed by people."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete
from sqlmodel import Session, col, func, select

from infra.database import Database
from infra.database.people import is_owner
from infra.database.tables import AnalysisJob, Upload, User
from infra.database.tables_compliance import AnalysisRequest, ComplianceAnalysis, PolicyMatch, Review
from infra.errors import InvalidInput, NotFound
from knowledge.requirements.contract import Requirement
from pipelines.compliance.contract import (
    VERDICTS,
    ComplianceReport,
    Evidence,
    OwnObligation,
    Probabilities,
    RequirementVerdict,
    Verdict,
)
from pipelines.compliance.scoring import grade
from pipelines.jobs.definition import StageContext
from serving.registry.versions import ModelRef

ASKED = 0.35
"""Uncertainty from which on a person is asked to look."""


@dataclass(frozen=True)
class Kept:
    """An analysis with its rows; ``report`` has the reviews in it."""

    analysis: ComplianceAnalysis
    request: AnalysisRequest
    matches: tuple[PolicyMatch, ...]
    reviews: tuple[Review, ...]
    report: ComplianceReport


def keep_analysis(context: StageContext, report: ComplianceReport, text_key: str) -> None:
    """Write the rows of a job's analysis; begun again, they are written anew. An inline run has no job, and leaves no rows."""
    with closing(Database(context.settings.database_url)) as database, database.session() as session:
        if session.get(AnalysisJob, context.job_id) is None:
            return
        forget(session, context.job_id)
        given = context.input["document"]
        upload = session.get(Upload, given["upload"]) if given.get("upload") else None
        session.add(
            AnalysisRequest(
                id=context.job_id,
                owner_id=context.owner_id,
                job_id=context.job_id,
                upload_id=upload.id if upload else None,
                document=report.document,
                sha256=report.sha256,
                policies=[dict(one) for one in report.policies],
                requirements_key=str(context.input["requirements"]),
            )
        )
        session.flush()
        session.add(
            ComplianceAnalysis(
                id=context.job_id,
                owner_id=context.owner_id,
                document=report.document,
                score=report.grade.score,
                first_score=report.grade.score,
                risk=report.grade.risk,
                grade=report.grade.as_dict(),
                counts=report.counts(),
                own=[one.as_dict() for one in report.own],
                models=[model.as_dict() for model in report.models],
                seconds=dict(report.seconds),
                warnings=list(report.warnings),
                text_key=text_key,
            )
        )
        session.flush()
        for position, one in enumerate(report.requirements):
            session.add(
                PolicyMatch(
                    analysis_id=context.job_id,
                    position=position,
                    requirement_id=one.requirement.id,
                    requirement=one.requirement.as_dict(),
                    verdict=one.verdict,
                    conflict=one.conflict,
                    uncertainty=one.uncertainty,
                    evidence=[span.as_dict() for span in one.evidence],
                    satisfied=one.probabilities.satisfied,
                    violated=one.probabilities.violated,
                    not_addressed=one.probabilities.not_addressed,
                )
            )


def find_analysis(session: Session, user_id: str, analysis_id: str) -> Kept:
    """An analysis of a person; the workbench's owner sees everybody's. Raises NotFound."""
    row = session.get(ComplianceAnalysis, analysis_id)
    if row is None or not _may_see(session, user_id, row):
        raise NotFound(f"Compliance analysis not found: {analysis_id}.")
    request = session.get_one(AnalysisRequest, analysis_id)
    matches = list(session.exec(select(PolicyMatch).where(PolicyMatch.analysis_id == analysis_id).order_by(col(PolicyMatch.position))))
    reviews = list(session.exec(select(Review).where(Review.analysis_id == analysis_id).order_by(col(Review.created_at))))
    return Kept(row, request, tuple(matches), tuple(reviews), _report(row, request, matches))


def analyses_of(session: Session, user_id: str, limit: int | None = None) -> list[tuple[ComplianceAnalysis, AnalysisRequest]]:
    """A person's analyses, newest first."""
    query = (
        select(ComplianceAnalysis, AnalysisRequest)
        .join(AnalysisRequest, col(AnalysisRequest.id) == col(ComplianceAnalysis.id))
        .where(ComplianceAnalysis.owner_id == user_id)
        .order_by(col(ComplianceAnalysis.created_at).desc())
    )
    return list(session.exec(query.limit(limit) if limit else query))


def latest_of(analyses: Sequence[tuple[ComplianceAnalysis, AnalysisRequest]]) -> list[str]:
    """Ids of those that no later analysis of the same document against the same policies has taken the place of.

    Args:
        analyses: newest first.
    """
    found: dict[tuple[str, frozenset[str]], str] = {}
    for row, request in analyses:
        policies = frozenset(one["collection"] or one["name"] for one in request.policies)
        found.setdefault((row.document, policies), row.id)
    return list(found.values())


def open_matches(session: Session, user_id: str, limit: int | None = None) -> list[tuple[PolicyMatch, ComplianceAnalysis]]:
    """Verdicts that a person should look at, the most uncertain first: of the latest analyses only."""
    query = (
        select(PolicyMatch, ComplianceAnalysis)
        .join(ComplianceAnalysis, col(ComplianceAnalysis.id) == col(PolicyMatch.analysis_id))
        .where(col(PolicyMatch.analysis_id).in_(latest_of(analyses_of(session, user_id))), *_waits())
        .order_by(col(PolicyMatch.uncertainty).desc(), col(PolicyMatch.id))
    )
    return list(session.exec(query.limit(limit) if limit else query))


def count_open(session: Session, analysis_ids: Sequence[str]) -> dict[str, int]:
    """Analysis to how many of its verdicts wait for a person."""
    query = (
        select(PolicyMatch.analysis_id, func.count())
        .where(col(PolicyMatch.analysis_id).in_(analysis_ids), *_waits())
        .group_by(col(PolicyMatch.analysis_id))
    )
    return {identifier: int(count) for identifier, count in session.exec(query)}


def _waits() -> tuple[ColumnElement[bool], ...]:
    """Uncertain, scored (as :func:`pipelines.compliance.scoring.scored`), and nobody has decided it."""
    modality = col(PolicyMatch.requirement)["modality"].as_string()
    return col(PolicyMatch.reviewed).is_(None), col(PolicyMatch.uncertainty) >= ASKED, modality != "permission"


def add_review(session: Session, user_id: str, match_id: str, verdict: str, reason: str) -> Review:
    """A person's verdict; score and risk of the analysis follow.

    Raises:
        NotFound: there is no such verdict for this person.
        InvalidInput: no verdict, or one that overturns without a reason.
    """
    match = session.get(PolicyMatch, match_id)
    if match is None:
        raise NotFound("Verdict not found.")
    find_analysis(session, user_id, match.analysis_id)
    if verdict not in VERDICTS:
        raise InvalidInput(f"Unknown verdict '{verdict}'. Available: {', '.join(VERDICTS)}.")
    if verdict != match.verdict and not reason.strip():
        raise InvalidInput("Enter a reason to change the verdict.")
    review = Review(
        match_id=match.id,
        analysis_id=match.analysis_id,
        user_id=user_id,
        verdict=verdict,
        agreed=verdict == match.verdict,
        reason=reason.strip()[:2000],
    )
    match.reviewed = verdict
    session.add_all([review, match])
    session.flush()
    kept = find_analysis(session, user_id, match.analysis_id)
    made = grade(kept.report.requirements)
    kept.analysis.score, kept.analysis.risk, kept.analysis.grade = made.score, made.risk, made.as_dict()
    kept.analysis.counts = kept.report.counts()
    session.add(kept.analysis)
    session.flush()
    return review


def agreement(session: Session, user_id: str | None = None) -> tuple[int, int]:
    """Reviews that agreed with the models, and all; of each verdict only the last review."""
    query = select(Review).order_by(col(Review.created_at))
    if user_id is not None:
        query = query.where(Review.user_id == user_id)
    last = {review.match_id: review.agreed for review in session.exec(query)}
    return sum(last.values()), len(last)


def forget(session: Session, analysis_id: str) -> None:
    """Take an analysis out of the tables."""
    for table, column in (
        (Review, Review.analysis_id),
        (PolicyMatch, PolicyMatch.analysis_id),
        (ComplianceAnalysis, ComplianceAnalysis.id),
        (AnalysisRequest, AnalysisRequest.id),
    ):
        session.execute(delete(table).where(col(column) == analysis_id))


def _may_see(session: Session, user_id: str, row: ComplianceAnalysis) -> bool:
    person = session.get(User, user_id)
    return row.owner_id == user_id or (person is not None and is_owner(person))


def _report(row: ComplianceAnalysis, request: AnalysisRequest, matches: Sequence[PolicyMatch]) -> ComplianceReport:
    verdicts = tuple(verdict_of_row(match) for match in matches)
    return ComplianceReport(
        document=row.document,
        sha256=request.sha256,
        policies=tuple(request.policies),
        grade=grade(verdicts),
        models=tuple(ModelRef(**model) for model in row.models),
        requirements=verdicts,
        own=tuple(OwnObligation(**said) for said in row.own),
        seconds=dict(row.seconds),
        warnings=tuple(row.warnings),
    )


def verdict_of_row(match: PolicyMatch) -> RequirementVerdict:
    """The typed verdict of a row, its review in it."""
    said: dict[str, Any] = match.model_dump(include={"verdict", "reviewed"})
    verdict: Verdict = said["verdict"]
    return RequirementVerdict(
        Requirement.from_dict(match.requirement),
        verdict,
        Probabilities(match.satisfied, match.violated, match.not_addressed),
        match.conflict,
        tuple(Evidence.from_dict(one) for one in match.evidence),
        said["reviewed"],
    )
