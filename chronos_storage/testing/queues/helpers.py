"""What the tests of every group share."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from ... import records
from ...queues.base import EventQueue
from ...records import QueueEntry

#: Seconds after which something that should have come is given up.
PATIENCE = 60


def events(entries: Iterable[QueueEntry]) -> list[Any]:
    """What was published."""
    return [entry.event for entry in entries]


def publish(queue: EventQueue, topic: str, count: int, first: int = 0) -> list[str]:
    """Publish so many numbers; returns their cursors."""
    return [queue.publish(topic, number) for number in range(first, first + count)]


class Collector:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.entries: list[QueueEntry] = []
        self._changed = threading.Condition()

    def __call__(self, entry: QueueEntry) -> None:
        with self._changed:
            self.entries.append(entry)
            self._changed.notify_all()

    def wait(self, count: int) -> list[Any]:
        """The events, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.entries) >= count, PATIENCE), len(self.entries)
            return events(self.entries)


async def take(stream: AsyncIterator[QueueEntry], count: int) -> list[QueueEntry]:
    """The next so many entries of a stream, which goes on."""
    taken: list[QueueEntry] = []
    while len(taken) < count:
        taken.append(await anext(stream))
    return taken


async def read(queue: EventQueue, topic: str, after: str | None, count: int) -> list[QueueEntry]:
    """The first so many entries of a new stream, which is closed then."""
    async with aclosing(queue.stream(topic, after)) as stream:
        return await take(stream, count)


class Clock:
    """The time, which can be moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moved: timedelta = timedelta(0)
        now = records.now
        monkeypatch.setattr(records, "now", lambda: now() + self.moved)

    def move(self, **by: float) -> None:
        """Move on, or back."""
        self.moved += timedelta(**by)
