"""Subscriptions: what was recorded, then what is, by whatever process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakSet

from eventsourcing.persistence import Notification, Subscription

if TYPE_CHECKING:
    from .recorders import ChronosApplicationRecorder

_PAGE = 500
#: Seconds until another look where nobody in this process has recorded anything.
_INTERVAL = 0.25


class Listeners:
    """Who waits in this process for events that are recorded here: they need not wait until they look again."""

    def __init__(self) -> None:
        self._listeners: WeakSet[threading.Event] = WeakSet()
        self._lock = threading.Lock()

    def add(self, listener: threading.Event) -> None:
        with self._lock:
            self._listeners.add(listener)

    def wake(self) -> None:
        with self._lock:
            for listener in self._listeners:
                listener.set()


class ChronosSubscription(Subscription["ChronosApplicationRecorder"]):
    """An iterator over an application's notifications, which waits for further ones."""

    def __init__(self, recorder: ChronosApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(recorder, gt, topics)
        self._read: deque[Notification] = deque()
        self._woken = threading.Event()
        recorder.listeners.add(self._woken)

    def stop(self) -> None:
        super().stop()
        self._woken.set()

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if self._read:
                return self._read.popleft()
            self._woken.clear()
            self._read.extend(
                self._recorder.select_notifications(
                    self._last_notification_id or 0, _PAGE, topics=self._topics, inclusive_of_start=False
                )
            )
            if self._read:
                self._last_notification_id = self._read[-1].id
            elif not self._has_been_stopped:
                self._woken.wait(_INTERVAL)
        raise StopIteration
