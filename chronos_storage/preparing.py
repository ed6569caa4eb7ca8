"""Prepared statements, and the poolers that know of none: each transaction gets another session of the server's there.

A statement that was prepared in one session is unknown in the next, or another one of the same name. Django prepares
none unless the host sets ``prepare_threshold`` in OPTIONS; we do what is sent again and again, as planning it takes the
server longer than doing it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from .compat.connections import (
    connect,
    database_errors,
    driver_connection,
    hold_nothing,
    is_logged,
    is_watched,
    settings_of,
    validate,
    wrapped_cursor,
)
from .compat.queries import cursor_with_texts, take_times_as_text

logger = logging.getLogger(__name__)

#: PostgreSQL's errors where a prepared statement is not there (invalid name), or one that is not ours (duplicate).
STATES = frozenset({"26000", "42P05"})

#: How often a statement is sent before it is prepared: that costs a round trip, which it has paid by then.
_AGAIN = 2

#: The option by which a host says what is to be prepared.
_DECIDES = "prepare_threshold"
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
    """A block with a cursor of Django's connection; on PostgreSQL, with psycopg 3, its statements are prepared.

    Times come from it as `cursor_with_texts` gives them.
    """
    if connection.vendor != "postgresql" or not hasattr(connection.Database, "pq") or is_logged(connection):
        return cursor_with_texts(connection)  # whose log of queries has the values in it
    return _prepared.of(connection, _AGAIN)


class KeptCursors:
    """Cursors of PostgreSQL's driver, psycopg 3, that are used again: one of each connection of Django's.

    Args:
        ready: called with Django's connection and a cursor before its first use.
    """

    def __init__(self, ready: Callable[[Any, Any], object]) -> None:
        self._ready = ready
        #: By Django's connection, those not in use: a new one takes longer than most statements' values.
        self._idle: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()

    def of(self, connection: Any, threshold: int | None, *, logged: bool = False) -> AbstractContextManager[Any]:
        """A block with a cursor of the connection's, which what is called in there does not get.

        Args:
            threshold: as `preparing_cursor` takes it.
            logged: whether Django keeps a log of what is sent on the connection.
        """
        connect(connection)
        driver = driver_connection(connection)
        idle = self._idle.get(connection)
        if idle is None:
            idle = self._idle.setdefault(connection, [])
        while idle:
            cursor = idle.pop()
            if cursor.connection is driver:
                cursor.threshold = _threshold(connection, threshold)
                break
        else:
            cursor = preparing_cursor(connection, threshold)
            self._ready(connection, cursor)
        return _Block(connection, cursor, idle, logged or is_watched(connection))


class _Block:
    """A cursor in use, with those that are not."""

    __slots__ = ("_connection", "_cursor", "_idle", "_wrapped")

    def __init__(self, connection: Any, cursor: Any, idle: list[Any], wrapped: bool) -> None:
        self._connection, self._cursor, self._idle, self._wrapped = connection, cursor, idle, wrapped

    def __enter__(self) -> Any:
        if self._wrapped:
            return wrapped_cursor(self._connection, self._cursor)
        validate(self._connection)  # as Django's own cursor would, which costs as much as the driver's
        return self._cursor

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            database_errors(self._connection).__exit__(kind, error, traceback)
            return
        hold_nothing(self._cursor)
        self._idle.append(self._cursor)


_prepared = KeptCursors(lambda connection, cursor: take_times_as_text(cursor))


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
    cursor.threshold = _threshold(connection, threshold)
    return cursor


def _threshold(connection: Any, wanted: int | None) -> int | None:
    """How often a statement is sent before it is prepared, where so often is wanted."""
    if connection.alias in _off:
        return None
    settings = settings_of(connection)
    if _DECIDES in settings["OPTIONS"]:
        threshold: int | None = driver_connection(connection).prepare_threshold
        return threshold
    return None if settings.get("DISABLE_SERVER_SIDE_CURSORS") else wanted


def _greet(connection: Any, driver: Any) -> None:
    if _DECIDES not in settings_of(connection)["OPTIONS"] and not is_off(connection):
        with database_errors(connection):
            (session,) = driver.execute("SELECT pg_backend_pid()").fetchone()
        if session != driver.info.backend_pid:
            # Not the server itself has greeted us. A statement of the same name, prepared by somebody else in the
            # session that we are given, would be taken for ours without an error.
            turn_off(connection)
    _greeted.add(driver)


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

        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            connection = self.connection
            threshold, connection.prepare_threshold = connection.prepare_threshold, self.threshold
            try:
                return super().execute(query, params, **options)
            finally:
                connection.prepare_threshold = threshold

    return PreparingCursor
