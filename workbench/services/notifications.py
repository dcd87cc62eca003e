"""Sentences for a person that no one has read yet: a job of theirs is ready, or failed."""

from __future__ import annotations

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from infra.database.tables import AnalysisJob, Notification, User, now
from workbench.services.context import Services

SHOWN = 20


async def list_notifications(services: Services, user: User) -> tuple[int, list[tuple[Notification, str | None]]]:
    """How many are unread, and the person's latest, newest first, each with the pipeline of its job (None without one)."""

    def find(session: Session) -> tuple[int, list[tuple[Notification, str | None]]]:
        mine = col(Notification.user_id) == user.id
        unread = session.exec(select(func.count()).select_from(Notification).where(mine, col(Notification.read_at).is_(None))).one()
        query = (
            select(Notification, AnalysisJob.pipeline)
            .join(AnalysisJob, col(AnalysisJob.id) == col(Notification.job_id), isouter=True)
            .where(mine)
            .order_by(col(Notification.created_at).desc())
            .limit(SHOWN)
        )
        return unread, [(notification, pipeline) for notification, pipeline in session.exec(query)]

    return await services.database.run(find)


async def mark_read(services: Services, user: User, job_id: str | None = None) -> None:
    """All of the person's are read; with ``job_id`` only what that job had to say."""

    def work(session: Session) -> None:
        change = update(Notification).where(col(Notification.user_id) == user.id, col(Notification.read_at).is_(None))
        if job_id is not None:
            change = change.where(col(Notification.job_id) == job_id)
        session.exec(change.values(read_at=now()))  # type: ignore[call-overload]

    await services.database.run(work)
