"""Notifications: a job of a person has finished or failed."""

from __future__ import annotations

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from infra.database.tables import AnalysisJob, Notification, User, now
from workbench.services.context import Services

SHOWN = 20


async def list_notifications(services: Services, user: User) -> tuple[int, list[tuple[Notification, str | None]]]:
    """Number of unread ones, and the person's latest, newest first, each with the pipeline of its job (None without one)."""

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


async def mark_read(services: Services, user: User, *, notification_id: str | None = None, job_id: str | None = None) -> None:
    """Mark the person's notifications as read: one, those of a job, or all where neither is named."""

    def work(session: Session) -> None:
        change = update(Notification).where(col(Notification.user_id) == user.id, col(Notification.read_at).is_(None))
        if notification_id is not None:
            change = change.where(col(Notification.id) == notification_id)
        if job_id is not None:
            change = change.where(col(Notification.job_id) == job_id)
        session.exec(change.values(read_at=now()))  # type: ignore[call-overload]

    await services.database.run(work)
