"""Turns of a process's threads at writing to a SQLite file, first come, first served.

SQLite has whoever comes while another writes look again after a while, and a longer one each time: among many threads
those that have waited long hardly ever look when the file is free. So they wait here, for as long as SQLite would have
let them, and then ask it all the same; in other processes there may be others.

A call that is a transaction of its own takes its turn with the first statement that writes, and gives it back as it
ends. In a transaction of the caller's, which may hold SQLite's lock already, it takes none: who has a turn may wait for
that transaction, in SQLite, but nobody in the transaction waits for a turn.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from .compat.connections import in_transaction, settings_of
from .forks import PerProcess

#: How a statement begins that takes SQLite's lock.
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")
#: Seconds that SQLite lets wait where nothing is said; the driver's own.
_TIMEOUT = 5.0

T = TypeVar("T")


class Turns(PerProcess):
    """The turns at one file."""

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    def take(self, patience: float) -> bool:
        """Wait for a turn, so many seconds at most; whether it has come."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        try:
            if called.wait(patience):
                return True
        except BaseException:  # nobody else would give it back
            if not self._leave(called):
                self.give()
            raise
        return not self._leave(called)

    def give(self) -> None:
        """Let the next have its turn."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False

    def _leave(self, called: threading.Event) -> bool:
        """Wait no longer; False where the turn has come meanwhile."""
        with self._lock:
            if called.is_set():
                return False
            self._waiting.remove(called)
            return True


_files: dict[str, Turns] = {}


class _Held(threading.local):
    """The files that a thread has its turn at."""

    def __init__(self) -> None:
        self.files: set[str] = set()


_held = _Held()


def by_turns(connection: Any, call: Callable[[], T]) -> T:
    """What a call returns, whose turn, if it writes, ends with it."""
    if connection.vendor != "sqlite" or in_transaction(connection):
        return call()
    name = _file(str(settings_of(connection)["NAME"]))
    # A plain database in memory is each connection's own. By another alias of this file the thread may have a turn.
    if name == ":memory:" or name in _held.files:
        return call()
    with _turn(connection, name):
        return call()


@contextmanager
def _turn(connection: Any, name: str) -> Iterator[None]:
    turns = _files.get(name) or _files.setdefault(name, Turns())
    patience = settings_of(connection)["OPTIONS"].get("timeout", _TIMEOUT)

    # Threads that share a connection may call each other's, which are all the same.
    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if name not in _held.files and sql.startswith(_WRITES) and turns.take(patience):
            _held.files.add(name)
        return run(sql, params, many, context)

    try:
        with connection.execute_wrapper(execute):
            yield
    finally:
        _end(name)


def end_turns() -> None:
    """Have the thread's turns end now, as what it has written is committed."""
    for name in list(_held.files):
        _end(name)


def _end(name: str) -> None:
    if name in _held.files:
        _held.files.discard(name)
        _files[name].give()


@cache
def _file(name: str) -> str:
    """What all names of a file have in common."""
    return name if name == ":memory:" or name.startswith("file:") else os.path.realpath(name)
