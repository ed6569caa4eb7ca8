"""The time by the clock that all who write to a database share."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connections

from .. import records

#: By vendor, what gives it in a transaction too, which may have begun long ago. SQLite has the host's.
_STATEMENTS = {"postgresql": "SELECT clock_timestamp()", "mysql": "SELECT UTC_TIMESTAMP(6)"}


def now(using: str) -> datetime:
    """The current time by the database's clock, aware and in UTC."""
    connection = connections[using]
    statement = _STATEMENTS.get(connection.vendor)
    if statement is None:
        return records.now()
    with connection.cursor() as cursor:
        cursor.execute(statement)
        (found,) = cursor.fetchone()
    time: datetime = found
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
