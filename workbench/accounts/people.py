"""Managing people and tokens: what an owner may do with others, and everybody with their own tokens.

All functions are blocking and short. Each change writes an audit event that names who made it, and shows at once in the
process that made it (elsewhere within seconds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from infra.database import as_utc
from infra.database.identifiers import find_by_id_or_name
from infra.database.people import OWNER, ROLES, is_owner
from infra.database.tables import ApiToken, SignInLink, User, UserSession, now
from infra.errors import Conflict, InvalidInput, NotAllowed, NotFound
from workbench.accounts.accounts import Accounts, end_sessions
from workbench.accounts.audit import record

PASSWORD_PAGE = "/auth/password"  # noqa: S105  an address


@dataclass(frozen=True)
class Person:
    """A person as an owner sees them."""

    id: str
    name: str
    role: str
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None
    sessions: int
    tokens: int


@dataclass(frozen=True)
class TokenView:
    """A token as its person sees it; the token itself is shown once, when it is made."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


def list_people(accounts: Accounts, actor: User) -> list[Person]:
    """Everybody, the oldest first, with how many sessions and tokens of each are valid.

    Raises:
        NotAllowed: the actor is no owner.
    """
    _check_owner(actor)
    with accounts.database.session() as session:
        return _people(session, session.exec(select(User).order_by(col(User.created_at), col(User.id))).all())


def add_person(accounts: Accounts, actor: User, name: str, role: str, *, url: str | None = None) -> tuple[Person, str]:
    """A new person, and the one-time link to hand over to them (valid for ``gateway.invitation_hours``).

    Raises:
        NotAllowed: the actor is no owner.
        InvalidInput: the name is taken or not usable, or there is no such role.
    """
    _check_owner(actor)
    user = accounts.add_user(name, role=role, by=actor.id)
    link = _invitation(accounts, user, url)
    with accounts.database.session() as session:
        return _people(session, [user])[0], link


def change_role(accounts: Accounts, actor: User, user_id: str, role: str) -> Person:
    """Give a person another role.

    Raises:
        NotAllowed: the actor is no owner.
        NotFound: there is no such person.
        InvalidInput: there is no such role.
        Conflict: it would leave the workbench without an owner.
    """
    _check_owner(actor)
    if role not in ROLES:
        raise InvalidInput(f"Unknown role: {role[:40]!r}. Roles: {', '.join(ROLES)}.")
    with accounts.database.session() as session:
        user = _get(session, user_id)
        if role != OWNER:
            _keep_an_owner(session, user)
        record(session, "user.role", user_id=actor.id, subject=user.name, role=role, earlier=user.role)
        user.role = role
        session.add(user)
        session.flush()
        person = _people(session, [user])[0]
    accounts.forget()
    return person


def disable(accounts: Accounts, actor: User, user_id: str) -> Person:
    """Refuse a person from now on: their sessions end, their links are void, their tokens are refused. Their results stay.

    Raises:
        NotAllowed: the actor is no owner.
        NotFound: there is no such person.
        Conflict: it is the actor, or the last owner.
    """
    _check_owner(actor)
    if user_id == actor.id:
        raise Conflict("You cannot disable yourself. Another owner can.")
    with accounts.database.session() as session:
        user = _get(session, user_id)
        _keep_an_owner(session, user)
        user.disabled_at = user.disabled_at or now()
        session.add(user)
        end_sessions(session, user.id)
        _void_links(session, user)
        record(session, "user.disabled", user_id=actor.id, subject=user.name)
        session.flush()
        person = _people(session, [user])[0]
    accounts.forget()
    return person


def reset(accounts: Accounts, actor: User, user_id: str, *, url: str | None = None) -> tuple[Person, str]:
    """Give a person a new start: the password is forgotten, sessions end, tokens and links are void, a disabled account is
    enabled. Returns the one-time link to hand over.

    Raises:
        NotAllowed: the actor is no owner.
        NotFound: there is no such person.
    """
    _check_owner(actor)
    with accounts.database.session() as session:
        user = _get(session, user_id)
        user.password_hash = user.disabled_at = None
        session.add(user)
        end_sessions(session, user.id)
        _void_links(session, user)
        of_person = (col(ApiToken.user_id) == user.id, col(ApiToken.revoked_at).is_(None))
        session.execute(update(ApiToken).where(*of_person).values(revoked_at=now()))
        record(session, "user.reset", user_id=actor.id, subject=user.name)
        session.flush()
        person = _people(session, [user])[0]
    accounts.forget()
    return person, _invitation(accounts, user, url)


def end_persons_sessions(accounts: Accounts, actor: User, user_id: str) -> Person:
    """Sign a person out everywhere; tokens stay.

    Raises:
        NotAllowed: the actor is no owner.
        NotFound: there is no such person.
    """
    _check_owner(actor)
    with accounts.database.session() as session:
        user = _get(session, user_id)
        end_sessions(session, user.id)
        record(session, "sessions.ended", user_id=actor.id, subject=user.name)
        session.flush()
        person = _people(session, [user])[0]
    accounts.forget()
    return person


def find_person(accounts: Accounts, actor: User, name: str) -> Person:
    """The person of a name or an id.

    Raises:
        NotAllowed: the actor is no owner.
        NotFound: there is no such person.
    """
    found = find_by_id_or_name(name, list_people(accounts, actor), lambda person: (person.id, person.name))
    if not found:
        raise NotFound(f"There is no user named {name}.")
    return found[0]


def list_tokens(accounts: Accounts, user: User) -> list[TokenView]:
    """A person's valid tokens, the newest first."""
    valid = (col(ApiToken.user_id) == user.id, col(ApiToken.revoked_at).is_(None), col(ApiToken.expires_at) > now())
    with accounts.database.session() as session:
        found = session.exec(select(ApiToken).where(*valid).order_by(col(ApiToken.created_at).desc())).all()
    return [_token(one) for one in found]


def add_token(accounts: Accounts, user: User, name: str, days: int | None = None) -> tuple[TokenView, str]:
    """A new token of a person, and what is shown of it this once.

    Raises:
        InvalidInput: the name is not usable, or the days are too many.
        Conflict: there is a valid token of that name.
    """
    if any(one.name == name.strip() for one in list_tokens(accounts, user)):
        raise Conflict(f"You already have a token named {name.strip()}. Revoke it or choose another name.")
    secret = accounts.make_token(user, name, days=days)
    return next(one for one in list_tokens(accounts, user) if one.name == name.strip()), secret


def revoke_token(accounts: Accounts, user: User, token: str) -> TokenView:
    """End one of a person's tokens, named by its id or name.

    Raises:
        NotFound: the person has no such token.
    """
    found = find_by_id_or_name(token, list_tokens(accounts, user), lambda one: (one.id, one.name))
    if not found:
        raise NotFound(f"You have no valid token '{token[:80]}'.")
    with accounts.database.session() as session:
        row = session.get_one(ApiToken, found[0].id)
        row.revoked_at = now()
        session.add(row)
        record(session, "token.revoked", user_id=user.id, subject=row.name)
    accounts.forget()
    return found[0]


def _check_owner(actor: User) -> None:
    if not is_owner(actor):
        raise NotAllowed("Only owners can manage users.")


def _get(session: Session, user_id: str) -> User:
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("User not found.")
    return user


def _keep_an_owner(session: Session, user: User) -> None:
    others = (col(User.role) == OWNER, col(User.disabled_at).is_(None), col(User.id) != user.id)
    if is_owner(user) and session.exec(select(User.id).where(*others)).first() is None:
        raise Conflict(f"{user.name} is the only owner. Make another user an owner first.")


def _void_links(session: Session, user: User) -> None:
    unused = (col(SignInLink.user_id) == user.id, col(SignInLink.used_at).is_(None))
    session.execute(update(SignInLink).where(*unused).values(expires_at=now()))


def _invitation(accounts: Accounts, user: User, url: str | None) -> str:
    valid = timedelta(hours=accounts.settings.gateway.invitation_hours)
    return accounts.make_link(user, next_path=PASSWORD_PAGE, url=url, valid=valid)


def _people(session: Session, users: Sequence[User]) -> list[Person]:
    sessions = (col(UserSession.ended_at).is_(None), col(UserSession.expires_at) > now())
    tokens = (col(ApiToken.revoked_at).is_(None), col(ApiToken.expires_at) > now())
    of_sessions = select(UserSession.user_id, func.count()).where(*sessions).group_by(col(UserSession.user_id))
    of_tokens = select(ApiToken.user_id, func.count()).where(*tokens).group_by(col(ApiToken.user_id))
    open_sessions, valid_tokens = (dict(session.exec(counted).all()) for counted in (of_sessions, of_tokens))
    return [
        Person(
            user.id,
            user.name,
            user.role,
            user.password_hash is not None,
            as_utc(user.created_at),
            as_utc(user.disabled_at) if user.disabled_at else None,
            open_sessions.get(user.id, 0),
            valid_tokens.get(user.id, 0),
        )
        for user in users
    ]


def _token(row: ApiToken) -> TokenView:
    used = as_utc(row.last_used_at) if row.last_used_at else None
    return TokenView(row.id, row.name, as_utc(row.created_at), as_utc(row.expires_at), used)
