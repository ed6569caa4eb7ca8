"""The threads that read for those who wait, in threads and event loops, so that no one of them needs a connection."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from django.db import InterfaceError, OperationalError

from ..compat.connections import close_connections
from ..threads import Threads

T = TypeVar("T")

_THREADS = 4
#: Seconds that a thread keeps its connection after its last job.
_LINGER = 1.0


class Readers(Threads):
    """A few threads for jobs that only read, each with a connection until it is idle for a second."""

    def __init__(self) -> None:
        super().__init__("chronos-queue-reader", _THREADS, _LINGER)

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Have `job`, which only reads, called in one of the threads."""
        future: Future[T] = Future()
        self.add(partial(_read, future, job))
        return future


def _read(future: Future[T], job: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
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
