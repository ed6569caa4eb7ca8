"""What every notifier has in common: who waits, and a thread that listens while someone does."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from django.db import reset_queries

from ...compat.connections import close_connections
from ...forks import PerProcess

logger = logging.getLogger("chronos_storage.queue")

#: Called, in any thread, when there may be something new; it must return at once.
Wake = Callable[[], object]
#: Asks the database for the last numbers of topics, in one statement.
Numbers = Callable[[list[str]], dict[str, int]]
#: Waits for so many seconds at most; returns the topics that were heard of.
Listen = Callable[[float], Iterable[str]]

_SHORTEST, _LONGEST = 0.1, 5.0


class StopEvent:
    """Ends the wait of one thread, for good."""

    def __init__(self) -> None:
        self.is_set: bool = False
        self._inside, self._outside = socket.socketpair()

    def set(self) -> None:
        """End the wait, and every later one."""
        self._outside.send(b"!")
        self.is_set = True  # last, as whoever sees it may close the sockets

    def wait(self, seconds: float, *others: Any) -> None:
        """Wait until the event is set or one of the others, which are sockets, has something to read."""
        with selectors.DefaultSelector() as selector:
            for each in (self._inside, *others):
                selector.register(each, selectors.EVENT_READ)
            selector.select(seconds)

    def close(self) -> None:
        """Close its sockets; it must not be set any more."""
        self._inside.close()
        self._outside.close()


class Notifier(PerProcess):
    """Wakes those who wait for topics. One thread listens for all of them, while there are any.

    Args:
        numbers: how to look at the topics themselves.
    """

    #: Seconds between two looks at the topics themselves.
    interval: float = 30.0
    #: Whether the thread keeps its connection with the database from one look to the next.
    keeps_connection = False
    #: PostgreSQL's channel, where the statement that publishes tells of it.
    channel: str | None = None

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        super().__init__()

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Wake]] = {}
        self._stop_event: StopEvent | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def announce(self, using: str, topics: Iterable[str]) -> None:
        """Wake those who wait for these topics, in all processes, once the current transaction is committed."""

    @abstractmethod
    def listening(self, stop: StopEvent) -> AbstractContextManager[Listen]:
        """Listen, within the block: after it was entered, nothing that is announced goes unheard."""

    @contextmanager
    def waiting(self, topics: list[str], wake: Wake) -> Iterator[None]:
        """Within the block, have `wake` called when there may be something new on one of the topics."""
        with self._lock:
            for topic in topics:
                self._waiting.setdefault(topic, []).append(wake)
            if self._stop_event is None:
                self._stop_event = StopEvent()
                self._thread = threading.Thread(
                    target=self._listen, args=[self._stop_event], name="chronos-queue-notifier", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            self._remove(topics, wake)

    def _remove(self, topics: list[str], wake: Wake) -> None:
        with self._lock:
            for topic in topics:
                wakes = self._waiting.get(topic, [])
                with suppress(ValueError):  # the queue was closed
                    wakes.remove(wake)
                if not wakes:
                    self._waiting.pop(topic, None)
            if not self._waiting:
                self._stop()

    def _stop(self) -> None:
        """Have the thread end. The lock is held."""
        if self._stop_event:
            self._stop_event.set()
            self._stop_event = None

    def wake(self, topics: Iterable[str]) -> None:
        """Wake those of this process who wait for these topics."""
        for topic in topics:
            with self._lock:
                wakes = list(self._waiting.get(topic, ()))
            for wake in wakes:
                try:
                    wake()
                except RuntimeError:  # its event loop was closed under it
                    self._remove([topic], wake)

    def close(self) -> None:
        """Wake everyone for the last time, and end the thread."""
        with self._lock:
            wakes = [wake for wakes in self._waiting.values() for wake in wakes]
            self._waiting.clear()
            self._stop()
            thread = self._thread
        for wake in wakes:
            with suppress(RuntimeError):
                wake()
        if thread and thread is not threading.current_thread():
            thread.join()

    def _listen(self, stop: StopEvent) -> None:
        """The thread: listens until it is to stop, again and again, however often that fails."""
        known: dict[str, int] = {}
        delay = _SHORTEST
        try:
            while not stop.is_set:
                try:
                    with self.listening(stop) as listen:
                        # What came before, and while nobody listened.
                        self._look(known)
                        delay = _SHORTEST
                        self._follow(stop, listen, known)
                except Exception as error:
                    if stop.is_set:
                        return
                    logger.warning("The queue hears nothing; trying again in %.1f seconds: %s", delay, error)
                    with suppress(Exception):
                        self._look(known)
                    stop.wait(delay)
                    delay = min(2 * delay, _LONGEST)
        finally:
            close_connections()
            stop.close()

    def _follow(self, stop: StopEvent, listen: Listen, known: dict[str, int]) -> None:
        due = time.monotonic() + self.interval
        while not stop.is_set:
            self.wake(listen(max(0.0, due - time.monotonic())))
            if time.monotonic() >= due:
                self._look(known)
                due = time.monotonic() + self.interval

    def _look(self, known: dict[str, int]) -> None:
        """Wake those who wait for topics whose last number is another than at the last look."""
        with self._lock:
            topics = list(self._waiting)
        try:
            numbers = self._numbers(topics)
        except Exception:
            close_connections()
            raise
        finally:
            reset_queries()  # which Django keeps under DEBUG
            if not self.keeps_connection:
                close_connections()
        moved = [topic for topic, number in numbers.items() if known.get(topic) != number]
        known.clear()
        known.update(numbers)
        self.wake(moved)
