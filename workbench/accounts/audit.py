"""Who did what, for the record."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from infra.database.tables import AuditEvent
from infra.telemetry import correlation_id


def record(session: Session, action: str, *, user_id: str | None, subject: str = "", **details: Any) -> None:
    """Add an audit event to the caller's transaction, so that the act and its record stand or fall together."""
    session.add(AuditEvent(user_id=user_id, action=action, subject=subject, details=details, correlation_id=correlation_id()))
