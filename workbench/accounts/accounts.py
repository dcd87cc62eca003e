"""How people sign in, and who asks: one-time links, passwords, sessions and API tokens. :mod:`workbench.accounts.people`
manages the people themselves.

All methods are blocking; async code calls them with ``asyncio.to_thread``, and those that take a password in the thread
``Accounts.passwords``. Secrets are kept as hashes
only: a stolen database signs nobody in.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, delete, update
from sqlmodel import Session, col, select

from infra.database import Database, as_utc
from infra.database.identifiers import refuse_id_as_name
from infra.database.people import MEMBER, ROLES, owner_of
from infra.database.tables import ApiToken, SignInLink, User, UserSession, now
from infra.datafolder import DataFolder, write_private
from infra.errors import InvalidInput, NotFound, NotSignedIn, WorkbenchError
from infra.settings import Settings
from workbench.accounts.audit import record
from workbench.accounts.limits import SignInLimits
from workbench.accounts.passwords import PasswordThread, hash_password, verify_password
from workbench.accounts.sessions import Devices, Sessions

CACHE_SECONDS = 5.0
USE_NOTED_EVERY = timedelta(minutes=5)
ENDED_SESSIONS_KEPT = timedelta(days=30)
DISABLED = "This account is disabled. Ask an owner of the workbench."
OWNER_TOKEN = "owner's token in the data folder"  # noqa: S105  a token's name
WRONG = "The name or the password is wrong. Without a password, sign in by a link: `workbench login` prints one."


class Accounts:
    """The people of one workbench.

    Args:
        settings: for how long sessions and links live, and the address that links name.
        database: the tables, migrated.
        folder: holds the signing secret and the owner's token.
    """

    def __init__(self, settings: Settings, database: Database, folder: DataFolder) -> None:
        self.settings = settings
        self.database = database
        self.folder = folder
        self.sessions = Sessions(settings, folder.secret())
        self.devices = Devices(settings, folder.secret())
        self.limits = SignInLimits(settings.gateway.sign_in_tries_per_minute)
        self.passwords = PasswordThread()
        # Every request asks who it is: a few seconds of memory spare the database. Changes made here forget it at once.
        self._cache: dict[str, tuple[float, User | None]] = {}
        self._cache_lock = threading.Lock()
        self._changes = 0
        self._uses: dict[str, datetime] = {}
        self.on_change: list[Callable[[], None]] = []
        """Called, in any thread, when a session, token or person has ended or changed."""

    # -- people

    def ensure_owner(self) -> User:
        """The owner, made at the first start (named as the person of this machine, without a password)."""
        with self.database.session() as session:
            owner, made = owner_of(session)
            if made:
                record(session, "user.created", user_id=owner.id, subject=owner.name, role="owner")
            return owner

    def add_user(self, name: str, *, role: str = MEMBER, password: str | None = None, by: str | None = None) -> User:
        """A new person; ``by`` is the id of who added them, for the record.

        Raises:
            InvalidInput: the name is taken or not usable, the role is none, or the password too short.
        """
        name = name.strip()
        if role not in ROLES:
            raise InvalidInput(f"Unknown role: {role[:40]!r}. Roles: {', '.join(ROLES)}.")
        if not 1 <= len(name) <= 80 or not name.isprintable():
            raise InvalidInput("Names must have 1 to 80 printable characters.")
        refuse_id_as_name(name, "a user")
        hashed = hash_password(password) if password is not None else None
        with self.database.session() as session:
            if session.exec(select(User).where(User.name == name)).first():
                raise InvalidInput(f"There is already a user named {name}.")
            user = User(name=name, role=role, password_hash=hashed)
            session.add(user)
            session.flush()
            record(session, "user.created", user_id=by or user.id, subject=name, role=role)
            return user

    def user_named(self, name: str) -> User:
        """Raises NotFound."""
        user = self._cached(f"name:{name}", lambda session: session.exec(select(User).where(User.name == name)).first())
        if user is None:
            raise NotFound(f"There is no user named {name}.")
        return user

    # -- one-time links

    def make_link(self, user: User, *, next_path: str = "/", url: str | None = None, valid: timedelta | None = None) -> str:
        """A full address (below ``url``, by default the settings') that signs ``user`` in, once, while it is ``valid``
        (by default ``gateway.sign_in_link_minutes``)."""
        secret = secrets.token_urlsafe(24)
        expires = now() + (valid or timedelta(minutes=self.settings.gateway.sign_in_link_minutes))
        with self.database.session() as session:
            session.add(SignInLink(user_id=user.id, secret_sha256=_sha256(secret), expires_at=expires))
            record(session, "link.made", user_id=user.id, subject=user.name)
        follow = f"&next={next_path}" if next_path != "/" else ""
        return f"{(url or self.settings.url).rstrip('/')}/auth/link?secret={secret}{follow}"

    def user_of_link(self, secret: str) -> User | None:
        """Whom a link would sign in; None where it is used up, too old, or was never made. It stays as it is."""
        usable = (col(SignInLink.used_at).is_(None), col(SignInLink.expires_at) > now())
        with self.database.session() as session:
            link = session.exec(select(SignInLink).where(SignInLink.secret_sha256 == _sha256(secret), *usable)).first()
            return session.get(User, link.user_id) if link else None

    def use_link(self, secret: str) -> User:
        """The person a link signs in; the link is used up.

        Raises:
            NotSignedIn: it was used already, is too old, or was never made.
        """
        digest = _sha256(secret)
        spent = NotSignedIn("This sign-in link was already used or has expired. Create a new one with `workbench login`.")
        with self.database.session() as session:
            # Looked for first: made-up links, however many, never take the database's lock for writing.
            if session.exec(select(SignInLink.id).where(SignInLink.secret_sha256 == digest)).first() is None:
                raise spent
            # One statement decides: of two requests with the same link exactly one changes the row.
            changed = session.execute(
                update(SignInLink)
                .where(col(SignInLink.secret_sha256) == digest, col(SignInLink.used_at).is_(None), col(SignInLink.expires_at) > now())
                .values(used_at=now())
            )
            if not isinstance(changed, CursorResult) or changed.rowcount != 1:
                raise spent
            link = session.exec(select(SignInLink).where(SignInLink.secret_sha256 == digest)).one()
            user = session.get_one(User, link.user_id)
            if user.disabled_at:
                raise NotSignedIn(DISABLED)
            record(session, "sign_in", user_id=user.id, subject=user.name, by="link")
            return user

    # -- passwords

    def sign_in(self, name: str, password: str, *, address: str = "") -> User:
        """The person of that name and password. Routes call it within ``limits.attempt`` and in the thread ``passwords``.

        Raises:
            NotSignedIn: one of both is wrong (it does not say which).
        """
        with self.database.session() as session:
            user = session.exec(select(User).where(User.name == name)).first()
        if not verify_password(password, user.password_hash if user else None):
            with self.database.session() as session:
                record(session, "sign_in.failed", user_id=user.id if user else None, subject=name[:80], address=address)
            raise NotSignedIn(WRONG)
        assert user is not None
        if user.disabled_at:
            raise NotSignedIn(DISABLED)
        with self.database.session() as session:
            record(session, "sign_in", user_id=user.id, subject=user.name, by="password")
        return user

    def set_password(self, user: User, password: str, *, current: str | None = None) -> User:
        """Set or change a password; every session of the person ends.

        Raises:
            NotSignedIn: there is a password already and ``current`` is not it.
            InvalidInput: the new one is too short.
        """
        with self.database.session() as session:
            stored = session.get_one(User, user.id).password_hash
        if stored is not None:
            # Who asks is signed in: the limit is the person's own, as a device's is.
            with self.limits.attempt(user.name, "", device=f"change {user.id}"):
                if not verify_password(current or "", stored):
                    raise NotSignedIn("The current password is wrong.")
        hashed = hash_password(password)
        with self.database.session() as session:
            changed = session.get_one(User, user.id)
            changed.password_hash = hashed
            session.add(changed)
            end_sessions(session, user.id)
            record(session, "password.set", user_id=user.id, subject=user.name)
        self.forget()
        return changed

    # -- sessions

    def start_session(self, user: User, *, cookies: str | None = None) -> str:
        """Sign a browser in; the session that its ``cookies`` had until now ends. Returns the value of ``Set-Cookie``."""
        moment = now()
        with self.database.session() as session:
            self._end(session, cookies)
            started = UserSession(user_id=user.id, created_at=moment, expires_at=moment + timedelta(seconds=self.sessions.seconds))
            session.add(started)
            session.execute(delete(UserSession).where(col(UserSession.expires_at) < moment - ENDED_SESSIONS_KEPT))
        return self.sessions.header(started.id)

    def end_session(self, cookies: str | None) -> None:
        """Sign out the browser that sends ``cookies``; a copy of its cookie is worth nothing from now on."""
        with self.database.session() as session:
            ended = self._end(session, cookies)
            if ended:
                record(session, "sign_out", user_id=ended)
        self.forget()

    def end_sessions(self, user: User) -> None:
        """Sign a person out everywhere."""
        with self.database.session() as session:
            end_sessions(session, user.id)
            record(session, "sessions.ended", user_id=user.id, subject=user.name)
        self.forget()

    def _end(self, session: Session, cookies: str | None) -> str | None:
        """End the session of the cookies; whose it was, None where there was none."""
        session_id = self.sessions.read(cookies)
        found = session.get(UserSession, session_id) if session_id else None
        if found is None or found.ended_at is not None:
            return None
        found.ended_at = now()
        session.add(found)
        return found.user_id

    # -- tokens

    def make_token(self, user: User, name: str, *, days: int | None = None) -> str:
        """A new API token for ``user``, valid for ``days`` (by default and at most ``gateway.token_days``); shown this once.

        Raises:
            InvalidInput: the name is not usable, or the days are too many.
        """
        name = name.strip()
        refuse_id_as_name(name, "a token")
        most = self.settings.gateway.token_days
        if not 1 <= len(name) <= 80 or not name.isprintable():
            raise InvalidInput("Token names must have 1 to 80 printable characters.")
        if days is not None and not 1 <= days <= most:
            raise InvalidInput(f"Tokens can be valid for 1 to {most} days (setting gateway.token_days).")
        token = f"wb_{secrets.token_urlsafe(32)}"
        expires = now() + timedelta(days=days or most)
        with self.database.session() as session:
            session.add(ApiToken(user_id=user.id, name=name, token_sha256=_sha256(token), expires_at=expires))
            record(session, "token.made", user_id=user.id, subject=name, expires_at=expires.isoformat())
        return token

    def ensure_owner_token(self, owner: User) -> str:
        """The owner's token in the data folder (mode 0600). A lost or foreign one is replaced, and one that is valid for less
        than a third of its time; that one still holds until it expires, since somebody may be using it."""
        try:
            token = self.folder.owner_token.read_text().strip()
        except OSError:
            token = ""
        renewed_before = now() + timedelta(days=self.settings.gateway.token_days / 3)
        if token and (known := self.user_of_token(token)) and known.id == owner.id and self._expiry(token) > renewed_before:
            return token
        token = self.make_token(owner, OWNER_TOKEN)
        write_private(self.folder.owner_token, token + "\n")
        self.forget()
        return token

    def _expiry(self, token: str) -> datetime:
        with self.database.session() as session:
            return as_utc(session.exec(select(ApiToken.expires_at).where(ApiToken.token_sha256 == _sha256(token))).one())

    def revoke_tokens(self, user: User, name: str | None = None) -> int:
        """End a person's tokens (all, or those of one name); how many ended."""
        with self.database.session() as session:
            tokens = session.exec(select(ApiToken).where(ApiToken.user_id == user.id, col(ApiToken.revoked_at).is_(None))).all()
            ended = [token for token in tokens if name is None or token.name == name]
            for token in ended:
                token.revoked_at = now()
                session.add(token)
            record(session, "tokens.revoked", user_id=user.id, subject=name or "all", count=len(ended))
        self.forget()
        return len(ended)

    # -- who is it

    def user_of_token(self, token: str) -> User | None:
        """The person of a token that is valid; notes that it was used."""
        digest = _sha256(token)

        def find(session: Session) -> User | None:
            valid = (col(ApiToken.revoked_at).is_(None), col(ApiToken.expires_at) > now())
            found = session.exec(select(ApiToken).where(ApiToken.token_sha256 == digest, *valid)).first()
            user = session.get(User, found.user_id) if found else None
            return user if user and user.disabled_at is None else None

        user = self._cached(f"token:{digest}", find)
        if user is not None:
            self._note_use(digest)
        return user

    def _note_use(self, digest: str) -> None:
        """Write when a token was last used, at most every few minutes. That it cannot be written hinders nobody."""
        until = now() - USE_NOTED_EVERY
        if self._uses.get(digest, until) > until:
            return
        self._uses[digest] = now()
        of_token = (col(ApiToken.token_sha256) == digest, col(ApiToken.last_used_at).is_(None) | (col(ApiToken.last_used_at) < until))
        with contextlib.suppress(WorkbenchError), self.database.session() as session:
            session.execute(update(ApiToken).where(*of_token).values(last_used_at=now()))

    def user_of_cookies(self, cookies: str | None) -> User | None:
        """The person a ``Cookie`` header signs in, if its session is valid and not ended."""
        session_id = self.sessions.read(cookies)
        if session_id is None:
            return None

        def find(session: Session) -> User | None:
            found = session.get(UserSession, session_id)
            if found is None or found.ended_at is not None or as_utc(found.expires_at) <= now():
                return None
            user = session.get(User, found.user_id)
            return user if user and user.disabled_at is None else None

        return self._cached(f"session:{session_id}", find)

    def cached_user(self, *, token: str | None, cookies: str | None) -> tuple[bool, User | None]:
        """``(known, user)`` without touching the database; not known means: ask again in a thread."""
        session_id = None if token else self.sessions.read(cookies)
        if not token and session_id is None:
            return True, None
        found = self._remembered(f"token:{_sha256(token)}" if token else f"session:{session_id}")
        return (False, None) if found is None else (True, found[1])

    def forget(self) -> None:
        """Drop what is remembered of people, so that a change shows at once."""
        with self._cache_lock:
            self._cache.clear()
            self._changes += 1
        for listener in self.on_change:
            listener()

    def _remembered(self, key: str) -> tuple[float, User | None] | None:
        found = self._cache.get(key)
        return found if found and time.monotonic() - found[0] < CACHE_SECONDS else None

    def _cached(self, key: str, find) -> User | None:
        found = self._remembered(key)
        if found:
            return found[1]
        changes = self._changes
        with self.database.session() as session:
            user = find(session)
        with self._cache_lock:
            if changes != self._changes:
                return user  # read before a change that has been made meanwhile: not to be remembered
            if len(self._cache) > 10_000:
                self._cache.clear()
            self._cache[key] = (time.monotonic(), user)
        return user


def end_sessions(session: Session, user_id: str) -> None:
    """End every session of a person, in the caller's transaction."""
    of_person = (col(UserSession.user_id) == user_id, col(UserSession.ended_at).is_(None))
    session.execute(update(UserSession).where(*of_person).values(ended_at=now()))


def _sha256(secret: str) -> str:
    # The secrets are random and long: a plain hash is enough, there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()
