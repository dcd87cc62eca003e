"""One engine a process: SQLite in WAL mode embedded, Postgres at scale."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, create_engine

from infra.errors import InvalidInput, StorageFull, Unavailable, storage_full

Result = TypeVar("Result")


class Database:
    """Short transactions on the tables.

    ``with database.session() as session:`` commits at the end and rolls back on an error. In async code use
    ``await database.run(function)``, where ``function(session)`` runs in a thread.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url)

    @contextmanager
    def session(self) -> Iterator[Session]:
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except OperationalError as error:
            text = str(error.orig).lower()
            if storage_full(error) or "readonly" in text:
                raise StorageFull("The database cannot be written: the disk is full or read-only. Free some space.") from error
            if "locked" in text or "connect" in text or "unable to open" in text:
                raise Unavailable("The database is not responding. Try again.") from error
            raise

    async def run(self, function: Callable[[Session], Result]) -> Result:
        """``function(session)`` in one transaction, off the event loop."""

        def work() -> Result:
            with self.session() as session:
                return function(session)

        return await asyncio.to_thread(work)

    def close(self) -> None:
        self.engine.dispose()


def make_engine(url: str) -> Engine:
    """An engine for ``url``; SQLite gets WAL, foreign keys and a patient lock.

    A value that no column can hold is InvalidInput, whatever it came by: a number of more than 64 bits, a text that is no
    Unicode (half a surrogate pair) or has a NUL.
    """
    if make_url(url).get_backend_name() != "sqlite":
        engine = create_engine(url, pool_pre_ping=True)
        event.listen(engine, "handle_error", _name_impossible_values)
        return engine
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    event.listen(engine, "handle_error", _name_impossible_values)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _name_impossible_values(context: ExceptionContext) -> None:
    error = context.original_exception
    name = type(error).__name__
    if isinstance(error, OverflowError) or name == "NumericValueOutOfRange":
        raise InvalidInput("Number too large: integers are limited to 64 bits.") from error
    if isinstance(error, UnicodeEncodeError) or name in ("UntranslatableCharacter", "CharacterNotInRepertoire"):
        raise InvalidInput("The text contains invalid Unicode characters. Enter it again.") from error
    if name == "DataError" and "NUL" in str(error):
        raise InvalidInput("The text contains a NUL character. Enter it again.") from error


def as_utc(value: datetime) -> datetime:
    """``value`` with its zone: SQLite gives back naive times, which are UTC here."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)
