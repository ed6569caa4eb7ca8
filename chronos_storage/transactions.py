"""Attempts: calls that are made again, as a whole, where the database is busy or was restarted.

A thread has at most one under way on each alias: what an attempt calls begins again with it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.db import Error, connections, transaction

from . import preparing
from .compat.connections import connection_on, driver_connection, in_transaction, pool_of
from .database_errors import failure, has_waited, is_lost, is_outdated, sqlstate, worth_retrying
from .exceptions import RetryTransaction
from .migrated import not_migrated
from .turns import by_turns, end_turns

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Any")

#: Seconds before each further attempt, on average: of one call, and of work that is several.
_DELAYS = (0.02, 0.1, 0.5)
_LONG_DELAYS = (0.1, 0.5, 2.0)

_state = threading.local()


def _under_way() -> dict[str, Any]:
    """By the alias that this thread has an attempt under way on, Django's connection; for who makes one to change."""
    try:
        aliases: dict[str, Any] = _state.aliases
    except AttributeError:
        aliases = _state.aliases = {}
    return aliases


def connection_of(using: str) -> Any:
    """Django's connection, which an attempt that is under way has looked up already: that takes a while."""
    return _under_way().get(using) or connection_on(using)


@contextmanager
def nothing_under_way() -> Iterator[None]:
    """Within the block calls are attempts of their own: what is called there is not made again with the outer one."""
    end_turns()
    before = _under_way()
    _state.aliases = {}
    try:
        yield
    finally:
        _state.aliases = before


def _let_go(connection: Any) -> None:
    """Have the next statement make a new connection, where Django does not do so as its transaction ends."""
    if not in_transaction(connection):
        with suppress(Error):
            connection.close()
    if pool := pool_of(connection):
        pool.check()  # the others that wait there were lost too


def _forget_prepared(connection: Any) -> None:
    """Have the next statement sent on a connection that has prepared none yet."""
    driver_connection(connection).close()  # first, as a pool would keep it
    connection.close()
    if drain := getattr(pool_of(connection), "drain", None):  # which psycopg's pools have since 3.3
        drain()  # the others that wait there have prepared the same


@contextmanager
def translated(using: str, make: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
    """A caller's transaction, which raises `RetryTransaction` where the database ends it, even as it commits.

    Args:
        make: gives the transaction; called again where the connection turns out to be lost before anything was done.
    """
    try:
        with ExitStack() as stack:
            yield attempt(using, lambda: stack.enter_context(make()))
    except Error as error:
        if retry := worth_retrying(connections[using], error):
            raise retry from error
        raise


def _pause(delay: float) -> None:
    """Wait before a further attempt, so many seconds on average."""
    time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311


def attempt(using: str, function: Callable[[], T], again: Callable[[], T] | None = None) -> T:
    """What a function returns that is called a few times, with jitter, while the database is busy or was restarted.

    Within another attempt on the same alias it is simply called: that other one begins again, as a whole.

    Args:
        again: called instead once a connection was lost: what was sent before may have been done.

    Raises:
        RetryTransaction: the last attempt failed too, or the caller has a transaction open, which the database may
            have ended.
        StoreFailure: the database is full, may only be read, or is damaged.
    """
    aliases = _under_way()
    if using in aliases:
        return function()
    connection = aliases[using] = connection_on(using)
    try:
        for delay in (*_DELAYS, None):
            try:
                return by_turns(connection, function)
            except (Error, RetryTransaction) as error:
                if (retry := worth_retrying(connection, error)) is None:
                    if problem := not_migrated(connection, cast(Error, error)) or failure(error):
                        raise problem from error
                    raise
                if sqlstate(error) in preparing.STATES:
                    preparing.turn_off(connection)
                if is_lost(connection, error):
                    function = again or function
                    _let_go(connection)
                elif is_outdated(error) and not in_transaction(connection):
                    _forget_prepared(connection)
                if delay is None or in_transaction(connection) or has_waited(error):
                    raise retry from (error.__cause__ if retry is error else error)
            _pause(delay)
    finally:
        del aliases[using]
    raise AssertionError("the last attempt returns or raises")


def again(using: str | None, work: Callable[[], T]) -> T:
    """What work returns that is several calls in one transaction, done a few times while the database is busy.

    Inside a caller's transaction, which the database may have ended, it is done once.

    Args:
        using: the alias of the Django database, where it is one.

    Raises:
        RetryTransaction: the last attempt failed too.
    """
    for delay in (*_LONG_DELAYS, None):
        try:
            return work()
        except RetryTransaction:
            if delay is None or (using is not None and in_transaction(connections[using])):
                raise
        _pause(delay)
    raise AssertionError("the last attempt returns or raises")


def in_callers_transaction(using: str) -> bool:
    """Whether an `atomic` block is open, other than the one around each test of Django's `TestCase`."""
    if not in_transaction(connections[using]):
        return False
    try:
        with transaction.atomic(using=using, durable=True):
            return False
    except RuntimeError:
        return True


def retried(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method of something with an alias that is made by `attempt`; what it writes has its id before."""

    @wraps(method)
    def call(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return attempt(self.alias, partial(method, self, *args, **kwargs))

    return cast(Callable[Concatenate[S, P], T], call)
