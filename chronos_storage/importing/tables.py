"""Tables of another system's database, read only, a row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.connections import connect, streaming_cursor
from ..compat.schema import column_names, quoted, table_names
from ..dsn import connect_read_only
from ..exceptions import ConfigurationError

_PAGE = 500
#: Where rows that are otherwise equal stand in the order in which they were written, as far as the database knows.
_WRITTEN = {"sqlite": "rowid", "postgresql": "ctid"}

Row = dict[str, Any]


class Tables:
    """The tables of a database, whose names of tables and columns are ours to choose from and never a caller's."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def require(self, table: str, *columns: str) -> None:
        """Raise `ConfigurationError` unless there is such a table with these columns, in any case of letters."""
        if table not in table_names(self._connection):
            raise ConfigurationError(f"the database has no table {table!r}")
        there = self._columns(table)
        if lacking := [column for column in columns if column.lower() not in there]:
            raise ConfigurationError(f"the database's table {table!r} has no column {lacking[0]!r}")

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {self._quote(table)}")
            (count,) = cursor.fetchone()
        return int(count)

    def rows(self, table: str, order: str, **equal: Any) -> Iterator[Row]:
        """The rows with these values, in the order of a column and then of writing, by columns in small letters."""
        columns = self._columns(table)
        where = " AND ".join(f"{self._quote(columns[name])} = %s" for name in equal) or "1 = 1"
        tie = _WRITTEN.get(self._connection.vendor, self._quote(columns["id"]))
        chosen = ", ".join(map(self._quote, columns.values()))
        with streaming_cursor(self._connection) as cursor:
            cursor.execute(
                f"SELECT {chosen} FROM {self._quote(table)} WHERE {where}"
                f" ORDER BY {self._quote(columns[order])}, {tie}",
                list(equal.values()),
            )
            while page := cursor.fetchmany(_PAGE):
                for row in page:
                    yield dict(zip(columns, row, strict=True))

    def _columns(self, table: str) -> dict[str, str]:
        """A table's columns by their names in small letters, as PostgreSQL makes them of unquoted ones."""
        return {name.lower(): name for name in column_names(self._connection, table)}

    def _quote(self, name: str) -> str:
        return quoted(self._connection, name)


@contextmanager
def opened(url: str) -> Iterator[Tables]:
    """The tables of the database that an address names; nothing can be written there.

    Raises:
        ConfigurationError: it can't be read.
    """
    connection = connect_read_only(url)
    try:
        try:
            connect(connection)
        except DatabaseError as error:
            raise ConfigurationError(f"the database can't be used: {error}") from error
        yield Tables(connection)
    finally:
        connection.close()
