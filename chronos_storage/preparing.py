"""Prepared statements, and the poolers that know of none: each transaction gets another session of the server's there.

A statement that was prepared in one session is unknown in the next, or another one of the same name. Django prepares
none unless the host sets ``prepare_threshold`` in OPTIONS; we do what is sent again and again, as planning it takes the
server longer than doing it.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any
from weakref import WeakSet

from .compat.connections import connect, database_errors, driver_connection, settings_of, wrapped_cursor

logger = logging.getLogger(__name__)

#: PostgreSQL's errors where a prepared statement is not there (invalid name), or one that is not ours (duplicate).
STATES = frozenset({"26000", "42P05"})

#: How often a statement is sent before it is prepared: that costs a round trip, which it has paid by then.
_AGAIN = 2

#: The aliases on which nothing is prepared any more.
_off: set[str] = set()
#: The driver's connections that were seen to be to the server itself, or whose alias was turned off.
_greeted: WeakSet[Any] = WeakSet()


def is_off(connection: Any) -> bool:
    """Whether nothing may be prepared on Django's connection, as its sessions are a pooler's."""
    return connection.alias in _off


def turn_off(connection: Any) -> None:
    """Prepare nothing any more on the alias of Django's connection."""
    driver_connection(connection).prepare_threshold = None
    if not is_off(connection):
        _off.add(connection.alias)
        logger.warning(
            "The database %r is behind a pooler that gives each transaction another session: statements are not"
            " prepared any more. Set DISABLE_SERVER_SIDE_CURSORS to say so from the start.",
            connection.alias,
        )


def prepared_cursor(connection: Any) -> Any:
    """A cursor of Django's connection; on PostgreSQL, with psycopg 3, one whose statements are prepared."""
    if connection.vendor != "postgresql" or not hasattr(connection.Database, "pq") or connection.queries_logged:
        return connection.cursor()  # whose log of queries has the values in it
    return wrapped_cursor(connection, preparing_cursor(connection, _AGAIN))


def preparing_cursor(connection: Any, threshold: int | None) -> Any:
    """A cursor of PostgreSQL's driver, psycopg 3, that sends parameters apart from the statement, for `wrapped_cursor`.

    Args:
        threshold: how often a statement is sent before it is prepared; None for never. It is not either where the host
            says ``DISABLE_SERVER_SIDE_CURSORS`` or there is a pooler that gives each transaction another session. A
            host that has a ``prepare_threshold`` in OPTIONS decides itself.
    """
    connect(connection)
    driver = driver_connection(connection)
    if driver not in _greeted:
        _greet(connection, driver)
    cursor = _cursor_class(connection.Database)(driver)
    settings = settings_of(connection)
    if is_off(connection):
        cursor.threshold = None
    elif _host_decides(connection):
        cursor.threshold = driver.prepare_threshold
    elif not settings.get("DISABLE_SERVER_SIDE_CURSORS"):
        cursor.threshold = threshold
    return cursor


def _greet(connection: Any, driver: Any) -> None:
    if not _host_decides(connection) and not is_off(connection):
        with database_errors(connection):
            (session,) = driver.execute("SELECT pg_backend_pid()").fetchone()
        if session != driver.info.backend_pid:
            # Not the server itself has greeted us. A statement of the same name, prepared by somebody else in the
            # session that we are given, would be taken for ours without an error.
            turn_off(connection)
    _greeted.add(driver)


def _host_decides(connection: Any) -> bool:
    """Whether the host says what is to be prepared."""
    return "prepare_threshold" in settings_of(connection)["OPTIONS"]


@cache
def _cursor_class(driver: Any) -> Any:
    class PreparingCursor(driver.Cursor):  # type: ignore[misc]  # of the module that Django has imported
        """A cursor that prepares its statements as it says, whatever Django has for its own.

        Attributes:
            known: what it knows of types, where that is not what its connection knows.
            threshold: the driver's `prepare_threshold` while it executes: 0 prepares from the first use on, None never.
        """

        known: Any = None
        threshold: int | None = None

        @property
        def adapters(self) -> Any:
            return self.known or super().adapters

        def execute(self, *arguments: Any, **options: Any) -> Any:
            connection = self.connection
            threshold, connection.prepare_threshold = connection.prepare_threshold, self.threshold
            try:
                return super().execute(*arguments, **options)
            finally:
                connection.prepare_threshold = threshold

    return PreparingCursor
