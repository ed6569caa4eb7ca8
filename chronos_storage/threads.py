"""Threads that work for those who wait, in threads and event loops, so that no one of them needs a connection."""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakSet

from django.conf import settings
from django.db import reset_queries

from .compat.connections import close_connections
from .forks import PerProcess

#: Seconds that work under way is waited for where all threads are to end.
PATIENCE = 5.0

_all: WeakSet[Threads] = WeakSet()


class _Worker(threading.Thread):
    """One of the threads."""


def is_worker(thread: threading.Thread | None) -> bool:
    """Whether a thread is one of those that are made here."""
    return isinstance(thread, _Worker)


class Threads(PerProcess):
    """A few threads, made when there is something to do, each with its connections until it is idle for a while.

    Args:
        name: what the threads are called.
        size: how many there are, at most.
        linger: seconds that a thread waits for its next job; None where it has to stay.
    """

    def __init__(self, name: str, size: int, linger: float | None) -> None:
        self._name, self._size, self._linger = name, size, linger
        super().__init__()
        _all.add(self)

    def begin(self) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[Callable[[], object]] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        #: Another one after each `close`.
        self._era = object()

    def add(self, job: Callable[[], object]) -> None:
        """Have `job`, which raises nothing, called in one of the threads."""
        with self._changed:
            # Of the idle ones some may have been woken for jobs that are still there.
            if len(self._jobs) >= self._idle and len(self._threads) < self._size:
                thread = _Worker(target=self._work, args=(self._era,), name=self._name, daemon=True)
                thread.start()
                self._threads.add(thread)
            self._jobs.append(job)
            self._changed.notify()

    def close(self, patience: float | None = None) -> None:
        """End the threads once nothing is left to do; those that have to stay do.

        Args:
            patience: seconds to wait for them, at most.
        """
        if self._linger is None:
            return
        deadline = None if patience is None else time.monotonic() + patience
        with self._changed:
            threads = self._threads - {threading.current_thread()}
            self._era = object()
            self._changed.notify_all()
        for thread in threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _work(self, era: object) -> None:
        try:
            while job := self._next(era):
                job()
                del job  # who waited may have let go of what it holds
                if settings.DEBUG:
                    reset_queries()  # which Django keeps then; to look for them takes a while
        finally:
            close_connections()

    def _next(self, era: object) -> Callable[[], object] | None:
        """The next job; None where none comes for a while."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs or self._era is not era, self._linger)
            self._idle -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._threads.discard(threading.current_thread())
            return None


def close_all() -> None:
    """End all threads of this process but those that have to stay; work under way is waited for a few seconds."""
    for threads in list(_all):
        threads.close(PATIENCE)


atexit.register(close_all)
