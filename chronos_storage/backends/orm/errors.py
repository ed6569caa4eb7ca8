"""Database errors, translated in one place."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.db import DatabaseError, connections

from ...exceptions import RetryTransaction
from ...snapshots import Unseen
from . import preparing
from .migrations import not_migrated

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Any")

#: Seconds before each further attempt, on average.
_DELAYS = (0.02, 0.1, 0.5)

_POSTGRESQL_STATES = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available
_MYSQL_NUMBERS = {1020, 1205, 1213}  # record changed since it was read, lock wait timeout, deadlock
_SQLITE_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_transient(error: DatabaseError) -> bool:
    """Whether the database gave up for the sake of other transactions, so that the same work may succeed later."""
    if isinstance(error, Unseen):
        return True
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_CODES
    if (state := _sqlstate(error)) in _POSTGRESQL_STATES or state in preparing.STATES:
        return True
    # PyMySQL gives its errors a state too, which says less than their numbers.
    return bool(cause is not None and cause.args and cause.args[0] in _MYSQL_NUMBERS)


def _sqlstate(error: Exception) -> str | None:
    """PostgreSQL's code of an error."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)


@contextmanager
def translated(block: AbstractContextManager[T]) -> Iterator[T]:
    """A caller's transaction, which raises `RetryTransaction` where the database ends it, even as it commits."""
    try:
        with block as opened:
            yield opened
    except DatabaseError as error:
        if is_transient(error):
            raise RetryTransaction from error
        raise


def retried(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A write that is attempted a few times, with jitter, while the database is busy.

    Inside a caller's transaction, which the database may have ended, it raises `RetryTransaction` at once.
    """

    @wraps(method)
    def call(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        for delay in (*_DELAYS, None):
            try:
                return method(self, *args, **kwargs)
            except (DatabaseError, RetryTransaction) as error:
                if isinstance(error, DatabaseError) and not is_transient(error):
                    if lacking := not_migrated(connections[self.alias], error):
                        raise lacking from error
                    raise
                if _sqlstate(error) in preparing.STATES:
                    preparing.turn_off(connections[self.alias])
                if delay is None or connections[self.alias].in_atomic_block:
                    raise RetryTransaction from error
            time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError("the last attempt returns or raises")

    return cast(Callable[Concatenate[S, P], T], call)
