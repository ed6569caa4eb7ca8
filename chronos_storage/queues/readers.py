"""The threads that read for those who wait, in threads and event loops, so that no one of them needs a connection."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, reset_queries

from ..compat.connections import close_connections
from ..forks import PerProcess

T = TypeVar("T")

_THREADS = 4
#: Seconds that a thread keeps its connection after its last job.
_LINGER = 1.0


class Readers(PerProcess):
    """A few threads, made when there is something to read, each with a connection until it is idle for a second."""

    def begin(self) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closing = False

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Have `job`, which only reads, called in one of the threads."""
        future: Future[T] = Future()
        with self._changed:
            self._jobs.append((future, job))
            if self._idle:
                self._changed.notify()
            elif len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._work, name="chronos-queue-reader", daemon=True)
                self._threads.add(thread)
                thread.start()
        return future

    def close(self) -> None:
        """Wait until nothing is left to read, and end the threads."""
        with self._changed:
            threads = self._threads - {threading.current_thread()}
            self._closing = True
            self._changed.notify_all()
        for thread in threads:
            thread.join()
        with self._changed:
            self._closing = False

    def _work(self) -> None:
        try:
            while taken := self._next():
                future, job = taken
                if future.set_running_or_notify_cancel():
                    _run(future, job)
        finally:
            close_connections()

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next job; None where none comes for a while."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs or self._closing, _LINGER)
            self._idle -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._threads.discard(threading.current_thread())
            return None


def _run(future: Future[Any], job: Callable[[], Any]) -> None:
    try:
        try:
            result = job()
        except (InterfaceError, OperationalError):
            close_connections()  # it may have been lost since it was last used
            result = job()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    finally:
        reset_queries()  # which Django keeps under DEBUG
