"""Whether a database's tables are up to date, and what is said where they are not."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error

from .aliases import is_connected
from .exceptions import ConfigurationError

_SQLITE = ("no such table", "no such column", "has no column named")
#: That there is no such table, column, type or function: PostgreSQL's states, and MariaDB's and MySQL's numbers.
_CODES = {"42P01", "42703", "42704", "42883", 1054, 1146, 1305}


def remedy(using: str) -> str:
    """What brings the tables of this database up to date."""
    if is_connected(using):
        return "call the storage's migrate()"
    return "run migrate" if using == DEFAULT_DB_ALIAS else f"run migrate --database {using}"


def not_migrated(connection: Any, error: Error) -> ConfigurationError | None:
    """What to raise where a statement of ours failed for want of a table, column or function; else None."""
    cause: Any = error.__cause__
    if connection.vendor == "sqlite":
        lacking = any(words in str(error) for words in _SQLITE)
    else:
        lacking = bool(_CODES & {getattr(cause, "sqlstate", None), *getattr(cause, "args", ())[:1]})
    if not lacking:
        return None
    problem = str(error).partition("\n")[0]
    return ConfigurationError(
        f"the tables in the database {connection.alias!r} are missing or not up to date: {remedy(connection.alias)}"
        f" ({problem})"
    )
