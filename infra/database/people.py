"""The person whose machine this is: the first in the tables, made where there is none."""

from __future__ import annotations

import getpass

from sqlmodel import Session, col, select

from infra.database.tables import User


def owner_of(session: Session) -> tuple[User, bool]:
    """The owner, and whether they were made just now (named as the person of this machine, without a password)."""
    owner = session.exec(select(User).where(User.role == "owner").order_by(col(User.created_at))).first()
    if owner is not None:
        return owner, False
    owner = User(name=_machine_name(), role="owner")
    session.add(owner)
    session.flush()
    return owner, True


def _machine_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "owner"
