from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import transaction

from .base import Listen, Notifier, Numbers, StopEvent


class PollingNotifier(Notifier):
    """Looks at the topics themselves, again and again; only what this process publishes it hears of at once.

    Args:
        interval: seconds between two looks.
    """

    keeps_connection = True

    def __init__(self, numbers: Numbers, interval: float) -> None:
        self.interval = interval
        super().__init__(numbers)

    def announce(self, using: str, topics: Iterable[str]) -> None:
        transaction.on_commit(lambda: self.wake(topics), using=using, robust=True)

    @contextmanager
    def listening(self, stop: StopEvent) -> Iterator[Listen]:
        def listen(seconds: float) -> Iterable[str]:
            stop.wait(seconds)
            return ()

        yield listen
