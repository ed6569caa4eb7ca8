"""Subscriptions: a handler, called in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from django.db import Error, close_old_connections

from ..exceptions import ConfigurationError, CursorExpired, InvalidRecord, RetryTransaction, StoreFailure
from ..records import QueueEntry
from .base import Handler
from .notifiers import Wake

logger = logging.getLogger("chronos_storage.queue")

#: What is raised where the database can't be asked now: it is away, busy, damaged, or its tables are being migrated.
FAILURES = (Error, RetryTransaction, StoreFailure, ConfigurationError)
#: Seconds before it is asked again.
DELAY = 1.0

#: Gives the entries after a number, or None after nothing, and the number to go on after.
Read = Callable[[int | None], tuple[list[QueueEntry], int]]


class Waiting(Protocol):
    """What wakes a subscription, such as a `Notifier`."""

    def waiting(self, topics: list[str], wake: Wake) -> AbstractContextManager[None]:
        """Within the block, have `wake` called when there may be something new on one of the topics."""


class Subscription:
    """Calls a handler with each entry of a topic after the number `after`."""

    def __init__(self, topic: str, handler: Handler, read: Read, after: int) -> None:
        self._topic, self._handler, self._read, self._after = topic, handler, read, after
        self._news = threading.Event()
        self._over = False
        self._thread: threading.Thread | None = None

    def start(self, notifier: Waiting) -> None:
        """Begin, in a new thread."""
        self._thread = threading.Thread(
            target=self._run, args=[notifier], name=f"chronos-queue-subscription {self._topic}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the handler isn't running any more, unless it is the handler that calls this."""
        self._over = True
        self._news.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self, notifier: Waiting) -> None:
        after: int | None = self._after
        with notifier.waiting([self._topic], self._news.set):
            while not self._over:
                self._news.clear()
                try:
                    page, after = self._read(after)
                except CursorExpired:
                    logger.error("A subscription of %r missed what was removed before it was handled", self._topic)
                    after = None
                    continue
                except InvalidRecord:  # no topic has given the number that it has read before
                    logger.error("The topic %r began anew under a subscription, which goes on from there", self._topic)
                    after = None
                    continue
                except FAILURES as error:
                    logger.warning("A subscription of %r can't read; trying again: %s", self._topic, error)
                    self._news.wait(DELAY)
                    continue
                if page:
                    self._handle(page)
                elif not self._over:
                    self._news.wait()

    def _handle(self, page: list[QueueEntry]) -> None:
        close_old_connections()
        for entry in page:
            if self._over:
                break
            try:
                self._handler(entry)
            except Exception:
                logger.exception("A handler of %r failed at the entry %s", self._topic, entry.cursor)
        close_old_connections()
