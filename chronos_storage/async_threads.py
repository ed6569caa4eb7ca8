"""The threads in which the asynchronous variants' calls run, a few for each database alias, and who does not go there.

Calls run beside each other in threads of the storage's own, each of which has a connection. Four kinds stay in the
thread in which Django makes an asynchronous caller's synchronous calls:

- those of a caller with a transaction open there: what waits in `async_to_sync`, as a test of Django's `TestCase` does;
- those on an alias whose connections carry what belongs to a request, as the tenant of django-tenants, and those on a
  store that is no database but has transactions, which nobody else can see;
- those that a job in one of our own threads waits for: with all threads busy with such jobs, they would wait for ever;
- those for which a router looks into a database to tell the alias.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary, ref

from django.core.exceptions import SynchronousOnlyOperation
from django.core.signals import setting_changed
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from . import conf
from .compat.connections import NO_DATABASE, in_transaction, is_in_memory, settings_of, unused_connection
from .compat.event_loops import call_in, waiting_thread
from .exceptions import TransactionOpen
from .sqlite_files import in_memory
from .threads import PATIENCE, Threads, close_all, is_worker

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds that a thread keeps its connection after its last call.
_LINGER = 10.0

#: The connections that were made, by their threads and aliases. Another thread's can't be asked for, only looked at.
_connections: WeakValueDictionary[tuple[int | None, str], BaseDatabaseWrapper] = WeakValueDictionary()


#: The thread that last made a call within a transaction, and on which alias; for who runs in a copy of its context.
_within: ContextVar[tuple[threading.Thread, str] | None] = ContextVar("within", default=None)

#: This thread's `_Outcomes`.
_here = threading.local()

#: Each alias's threads, made when they are first needed; None where calls stay in the caller's.
_threads: dict[str, _AliasThreads | None] = {}


def make(function: Callable[..., T], args: Any, kwargs: Any) -> T:
    """What a function returns that an asynchronous caller waits for."""
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        # No future takes it, so who awaits would wait for ever; a coroutine makes the same of it.
        raise RuntimeError("the function raised StopIteration") from error


class _Outcomes:
    """What came of an event loop's calls. The first of them has the loop look for all: to wake it takes a while."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = ref(loop)
        self._put: deque[tuple[asyncio.Future[Any], Callable[[Any], None], Any]] = deque()
        self._is_looked_for = False

    def put(
        self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], tell: Callable[[Any], None], outcome: Any
    ) -> None:
        """Have `tell` called with an outcome in the loop's thread, unless the future is cancelled."""
        self._put.append((future, tell, outcome))
        if not self._is_looked_for:
            self._is_looked_for = True
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_looked_for = False  # first: for what is put there from now on somebody has the loop look again
        try:
            while self._put:
                future, tell, outcome = self._put.popleft()
                if not future.cancelled():
                    tell(outcome)
        except BaseException:  # a signal's: who lets the loop go on waits for the others
            asyncio.get_running_loop().call_soon(self._tell)
            raise


def _outcomes_of(loop: asyncio.AbstractEventLoop) -> _Outcomes:
    """Where what came of the calls of this thread's loop is put."""
    found: _Outcomes | None = getattr(_here, "outcomes", None)
    if found is None or found.loop() is not loop:
        found = _here.outcomes = _Outcomes(loop)
    return found


class _AliasThreads(Threads):
    """Threads on one alias. One whose connection is a pool's gives it back after each call, as others wait for it."""

    def __init__(self, alias: str, size: int, linger: float | None, *, has_pool: bool) -> None:
        self._alias, self._has_pool = alias, has_pool
        super().__init__(f"chronos-{alias}", size, linger)

    async def call(self, function: Callable[..., T], args: Any, kwargs: Any) -> T:
        """What a function returns, called in one of the threads in the caller's context.

        The way there and back takes half as long as by `sync_to_async` with an executor.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        call = partial(make, function, args, kwargs)
        self.add(partial(self._call, loop, _outcomes_of(loop), future, copy_context(), call))
        return await future

    def result(self, call: Callable[[], T]) -> T:
        """What a function returns, called in one of the threads in the caller's context; the caller's thread waits.

        From Python 3.12 on an interpreter that ends makes no threads any more, while those that are there still work,
        as those that export spans do. The caller's own makes the call then, and has no connection before or afterwards.
        """
        future: Future[T] = Future()
        answer = partial(self._answer, future, partial(copy_context().run, call))
        try:
            self.add(answer)
        except RuntimeError:
            answer()
            connections[self._alias].close()
        return future.result()

    def _answer(self, future: Future[T], call: Callable[[], T]) -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)
        self._give_back()
        del future, call  # what holds an error, which holds this frame

    def _give_back(self) -> None:
        if self._has_pool:
            with suppress(Error):
                connections[self._alias].close()

    def _call(
        self,
        loop: asyncio.AbstractEventLoop,
        outcomes: _Outcomes,
        future: asyncio.Future[T],
        context: Context,
        call: Callable[[], T],
    ) -> None:
        if future.cancelled():
            return
        tell: Callable[[Any], None]
        outcome: Any
        try:
            tell, outcome = future.set_result, call_in(context, loop, call)
        except BaseException as error:
            tell, outcome = future.set_exception, error
        self._give_back()
        outcomes.put(loop, future, tell, outcome)
        del tell, outcome, future  # what holds an error, which holds this frame


def threads_for(store: object) -> _AliasThreads | None:
    """The threads for an asynchronous caller's call on a store; None where it belongs in the caller's.

    Raises:
        TransactionOpen: the thread of the caller's event loop has a transaction open, which the call could neither be
            part of nor wait for.
    """
    try:
        alias: str | None = getattr(store, "alias", None)
    except SynchronousOnlyOperation:
        return None
    if alias is None and getattr(store, "supports_transactions", True):
        return None
    here, caller = threading.current_thread(), waiting_thread()
    if alias is not None and _has_transaction(here, alias):
        raise TransactionOpen(
            f"the thread of this event loop has a transaction open on {alias!r}: run the coroutine function by"
            " asgiref.sync.async_to_sync(function)(…), not by asyncio.run(function(…))"
        )
    if is_worker(here) or is_worker(caller) or (caller and alias is not None and _has_transaction(caller, alias)):
        return None
    return _threads_of(alias)


def _threads_of(alias: str | None) -> _AliasThreads | None:
    name = alias or ""
    if name not in _threads:
        _threads.setdefault(name, _new_threads(alias))
    return _threads[name]


def from_any_thread(store: object, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function returns that works on a store, whosever the thread is that calls.

    A thread of a framework's executor ends no request: nobody would close the connection that it opens. Where a thread
    beside the process's first has no connection yet, one of the storage's own makes the call.
    """
    here = threading.current_thread()
    alias: str | None = getattr(store, "alias", None)
    if alias is not None and in_transaction(connections[alias]):
        _within.set((here, alias))
    if alias is None or here is threading.main_thread() or is_worker(here) or connections[alias].connection is not None:
        return function(*args, **kwargs)
    threads = _threads_of(alias)
    return threads.result(partial(function, *args, **kwargs)) if threads else function(*args, **kwargs)


def refuse_outside(alias: str, remedy: str) -> None:
    """Refuse a write in a thread of a framework's executor that is made for one with a transaction open.

    It would be no part of that, and would wait for it without end where that has locked the same: that thread waits
    for the executor.

    Args:
        remedy: what the caller is to do.

    Raises:
        TransactionOpen: the thread whose context this one's is a copy of has a transaction open.
    """
    if (within := _within.get()) is None:
        return
    thread, its_alias = within
    if alias == its_alias and thread is not threading.current_thread() and _has_transaction(thread, alias):
        raise TransactionOpen(f"the caller's thread has a transaction open on {alias!r}: {remedy}")


def _has_transaction(thread: threading.Thread, alias: str) -> bool:
    connection = _connections.get((thread.ident, alias))
    return connection is not None and in_transaction(connection)


def _new_threads(alias: str | None) -> _AliasThreads | None:
    if not (size := size_for(alias)):
        return None
    if alias is None:
        return _AliasThreads("", size, _LINGER, has_pool=False)
    connection = unused_connection(alias)
    # Django closes no database in memory but by ending the thread, and with it goes what is in there.
    linger = None if connection.vendor == "sqlite" and is_in_memory(connection) else _LINGER
    return _AliasThreads(alias, size, linger, has_pool=bool(settings_of(connection)["OPTIONS"].get("pool")))


def size_for(alias: str | None) -> int:
    """How many threads there are for an alias, or for all stores without one; 0 where calls stay in the caller's."""
    size = conf.async_connections(alias)
    if alias is None:
        return size
    connection = unused_connection(alias)
    if hasattr(connection, "set_tenant"):  # django-tenants and its like
        return 0
    return min(size, 1) if in_memory(connection) else size


def release(alias: str) -> None:
    """Close this thread's connection with a database, unless it has a transaction open, and end the alias's threads."""
    connection = connections[alias]
    if not in_transaction(connection):
        connection.close()
    if threads := _threads.get(alias):
        threads.close(PATIENCE)


def _note(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection.alias == NO_DATABASE:
        close_all()  # a database is about to be made or removed, of which another may be the copy
    else:
        _connections[threading.get_ident(), connection.alias] = connection


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == conf.NAME:
        before = list(_threads.values())
        _threads.clear()
        for threads in before:
            if threads:
                threads.close(0)  # what is under way goes on


connection_created.connect(_note, dispatch_uid=__name__)
setting_changed.connect(_forget, dispatch_uid=__name__)
