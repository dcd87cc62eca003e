"""Reviews: what is uncertain is put before a person; the score follows, and the agreement is logged to MLflow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlmodel import Session

from infra.database.tables import User
from infra.telemetry import logger
from pipelines.compliance import records
from pipelines.evaluation.tracking import log_figures
from workbench.accounts.audit import record
from workbench.services.compliance.analyses import AnalysisView, view_of
from workbench.services.context import Services

log = logger(__name__)
_logging: set[asyncio.Task[None]] = set()  # the loop keeps no strong reference


@dataclass(frozen=True)
class OpenReview:
    """A verdict that a person should look at; ``uncertainty`` is 0 to 1."""

    match_id: str
    analysis_id: str
    document: str
    text: str
    severity: str
    verdict: str
    uncertainty: float
    conflict: bool


async def review_verdict(services: Services, user: User, match_id: str, verdict: str, reason: str = "") -> AnalysisView:
    """Confirm a verdict (by saying the same) or overturn it, with a reason; gives the analysis with its new score.

    Raises:
        NotFound: no such verdict for this person.
        InvalidInput: there is no such verdict to give, or it overturns without a reason.
    """

    def work(session: Session) -> tuple[AnalysisView, str, bool, tuple[int, int]]:
        review = records.add_review(session, user.id, match_id, verdict, reason)
        record(session, "compliance.reviewed", user_id=user.id, subject=match_id, job=review.analysis_id, agreed=review.agreed)
        return view_of(session, user, review.analysis_id), review.analysis_id, review.agreed, records.agreement(session)

    view, analysis_id, agreed, (same, all_of_them) = await services.database.run(work)
    task = asyncio.create_task(_log(services, analysis_id, agreed, same, all_of_them))
    _logging.add(task)
    task.add_done_callback(_logging.discard)
    return view


async def open_reviews(services: Services, user: User, limit: int = 50) -> list[OpenReview]:
    """What waits for this person, the most uncertain first."""

    def work(session: Session) -> list[OpenReview]:
        return [
            OpenReview(
                match.id,
                row.id,
                row.document,
                str(match.requirement["text"]),
                str(match.requirement["severity"]),
                match.verdict,
                match.uncertainty,
                match.conflict,
            )
            for match, row in records.open_matches(session, user.id, limit)
        ]

    return await services.database.run(work)


async def _log(services: Services, analysis_id: str, agreed: bool, same: int, all_of_them: int) -> None:
    figures = {"agreed": float(agreed), "agreement": same / max(1, all_of_them), "reviews": float(all_of_them)}
    try:
        await asyncio.to_thread(log_figures, services.settings, "compliance review", figures, {"analysis": analysis_id})
    except Exception as error:  # a review does not wait for MLflow, nor fail with it
        log.warning("the review could not be logged", error=f"{type(error).__name__}: {str(error)[:200]}")
