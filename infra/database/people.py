"""Roles of people, what each allows, and the owner: the first person in the tables, made where there is none."""

from __future__ import annotations

import getpass

from sqlmodel import Session, col, select

from infra.database.tables import User

OWNER = "owner"
PROMOTER = "promoter"
MEMBER = "member"
ROLES = (OWNER, PROMOTER, MEMBER)
"""Values of ``User.role``. An owner may do everything; a promoter what a member may, and change what MLflow's aliases name."""


def is_owner(user: User) -> bool:
    return user.role == OWNER


def may_promote(user: User) -> bool:
    """Whether the person may register model versions and change aliases."""
    return user.role in (OWNER, PROMOTER)


def owner_of(session: Session) -> tuple[User, bool]:
    """The owner, and whether they were made just now (named as the person of this machine, without a password)."""
    owner = session.exec(select(User).where(User.role == OWNER, col(User.disabled_at).is_(None)).order_by(col(User.created_at))).first()
    if owner is not None:
        return owner, False
    owner = User(name=_machine_name(), role=OWNER)
    session.add(owner)
    session.flush()
    return owner, True


def _machine_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "owner"
