"""Tables (SQLModel), their engine, and the migrations that run at start."""

from infra.database.engine import Database, as_utc
from infra.database.migrate import migrate

__all__ = ["Database", "as_utc", "migrate"]
