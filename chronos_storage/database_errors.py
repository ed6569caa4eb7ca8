"""Database errors, told apart in one place: what is worth another attempt, what was lost, and what is the caller's."""

from __future__ import annotations

import sqlite3
from typing import Any

from django.db import DatabaseError, Error, InterfaceError, InternalError, OperationalError
from django.db.transaction import TransactionManagementError

from . import preparing
from .compat.connections import is_closed
from .exceptions import RetryTransaction, StoreFailure
from .snapshots import Unseen

# Serialization failure, deadlock, lock not available, statement ended by its time limit or an administrator.
_POSTGRESQL_STATES = {"40001", "40P01", "55P03", "57014"}
# Record changed since it was read, lock wait timeout, deadlock, statement ended by an administrator or its time limit.
_MYSQL_NUMBERS = {1020, 1205, 1213, 1317, 1969, 3024}
_SQLITE_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

# The server ends, begins, or ends this session: an administrator's command, a crash, a start-up, a time limit.
_POSTGRESQL_LOST = {"57P01", "57P02", "57P03", "57P05", "25P03"}
#: What Citus says, as an error of its own, of a server that was killed.
_CITUS_LOST = "postmaster was shut down"
# The server ends, can't be reached, is gone or has too many connections; the connection was lost, killed or ended by a
# time limit.
_MYSQL_LOST = {1040, 1053, 1203, 1927, 2002, 2003, 2006, 2013, 2055, 4031}
#: This user may not do that.
_DENIED = "42501"
#: A statement in a transaction that has failed before: the caller's mistake.
_ENDED_BEFORE = "25P02"
#: Of psycopg's message for a statement that no server takes.
_TOO_MANY = "number of parameters"
_LOST = "the connection with the database was lost, or none could be made: try again"


def is_transient(error: Error) -> bool:
    """Whether the database gave up for the sake of other transactions, so that the same work may succeed later."""
    if isinstance(error, Unseen):
        return True
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_CODES
    if (state := sqlstate(error)) in _POSTGRESQL_STATES or state in preparing.STATES or is_outdated(error):
        return True
    # PyMySQL gives its errors a state too, which says less than their numbers.
    return bool(cause is not None and cause.args and cause.args[0] in _MYSQL_NUMBERS)


def is_lost(connection: Any, error: Exception) -> bool:
    """Whether the error is that Django's connection was lost, or could not be made.

    The connection itself can't be asked: where a transaction was open, Django may have made another one meanwhile. But
    as long as the transaction is open, and Django takes nothing more in it, it is the one that was lost.
    """
    if isinstance(error, TransactionManagementError):
        return is_closed(connection)
    cause = error.__cause__
    if connection.vendor == "postgresql":
        state = sqlstate(error)
        if state is not None:
            return state in _POSTGRESQL_LOST or state.startswith("08") or _CITUS_LOST in str(error)
        # What the driver says itself, without the server, is that; but for a statement that it doesn't send at all.
        return isinstance(error, OperationalError) and _TOO_MANY not in str(error)
    if connection.vendor == "mysql":
        closed = isinstance(error, InterfaceError)  # as PyMySQL says it of a connection it has closed
        return closed or bool(cause and cause.args and cause.args[0] in _MYSQL_LOST)
    return False


def is_outdated(error: Exception) -> bool:
    """Whether a statement was prepared before a column that it selects got another type; only its connection is in the
    way then. PostgreSQL's code for it says no more than that something is not supported.
    """
    details = getattr(error.__cause__, "diag", None)
    return getattr(details, "source_function", None) == "RevalidateCachedQuery"


def sqlstate(error: Exception) -> str | None:
    """PostgreSQL's code of an error."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)


def worth_retrying(connection: Any, error: Error | RetryTransaction) -> RetryTransaction | None:
    """What to raise where another attempt may succeed, else None."""
    if isinstance(error, RetryTransaction):  # of a transaction within this attempt
        return error
    if is_lost(connection, error):
        return RetryTransaction(_LOST)
    return RetryTransaction() if is_transient(error) else None


def failure(error: Exception) -> StoreFailure | None:
    """What to raise where the database can't do what it was asked, whoever asks; None for a mistake of who asks."""
    of_the_database = (
        isinstance(error, OperationalError | InternalError | InterfaceError)
        or type(error) is DatabaseError
        or sqlstate(error) == _DENIED  # which is a ProgrammingError on PostgreSQL, as a mistake is
    )
    if not of_the_database or sqlstate(error) == _ENDED_BEFORE:
        return None
    problem = str(error).partition("\n")[0]
    return StoreFailure(f"the database can't do what it was asked: {problem}")


def has_waited(error: Exception) -> bool:
    """Whether psycopg's pool gave no connection for as long as the host lets it: others need not wait longer."""
    return type(error.__cause__).__name__ == "PoolTimeout"
