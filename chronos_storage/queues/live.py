"""Streams and subscriptions, the same over all that other processes publish on too."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from .. import codec
from ..exceptions import CursorExpired, InvalidRecord
from ..forks import PerProcess
from ..records import QueueEntry
from . import entries
from .base import EventQueue, Handler, page_size
from .cursors import cursor_of, number_of
from .entries import KeptTopic, NewEntry
from .notifiers import Notifier, Wake
from .readers import Readers
from .subscriptions import DELAY, FAILURES, Subscription

T = TypeVar("T")

logger = logging.getLogger("chronos_storage.queue")

_PAGE = 100


class LiveQueue(EventQueue, PerProcess):
    """What follows from a topic's last number, the last that retention removed, and the entries between.

    Args:
        notifier: who wakes those who wait.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._readers = Readers()
        super().__init__()

    def begin(self) -> None:
        self._subscriptions: set[Subscription] = set()
        #: Another one after each `close`.
        self._era = object()

    @abstractmethod
    def _attempt(self, call: Callable[[], T]) -> T:
        """What `call` returns, which is called again where the store was away."""

    @abstractmethod
    def _head(self, topic: str) -> tuple[int, int]:
        """The topic's last number, and the last that retention removed."""

    @abstractmethod
    def _entries(self, topic: str, after: int | None, limit: int | None) -> list[QueueEntry]:
        """The topic's entries after a number, or all, ascending."""

    @abstractmethod
    def _acknowledged(self, consumer: str, topic: str) -> int | None:
        """The number that a consumer has acknowledged; both names are checked."""

    def _last_given(self, topic: str) -> int:
        """The topic's last number, whatever the caller's transaction sees of it."""
        return self._head(topic)[0]

    @abstractmethod
    def _topics(self) -> Iterable[str]:
        """All topics."""

    @abstractmethod
    def _keyed(self, topic: str, after: int, limit: int) -> list[NewEntry]:
        """The first entries after a number, with their keys: fewer where they are large, but one at least."""

    @abstractmethod
    def _consumers(self, topic: str) -> Iterable[tuple[str, int, datetime]]:
        """The names of a topic's consumers, what each has acknowledged, and when it was last heard of."""

    @abstractmethod
    def _load(self, kept: KeptTopic, base: int) -> int:
        """Store entries that come after the topic's end, which is this number at least; how many these were."""

    @abstractmethod
    def _acknowledge(self, consumer: str, topic: str, number: int, now: datetime) -> None:
        """Note what a consumer is done with, and when it was heard of; neither moves back."""

    # Copying

    def topics(self) -> list[str]:
        return self._attempt(lambda: sorted(self._topics()))

    def kept(self, topic: str, after: str | None = None, limit: int = 500) -> KeptTopic:
        number = 0 if after is None else number_of(after, "after")
        return self._attempt(partial(self._kept, entries.topic_name(topic), number, page_size(limit)))

    def _kept(self, topic: str, after: int, limit: int) -> KeptTopic:
        base = self._head(topic)[1]
        consumers = {name: (cursor_of(number), seen) for name, number, seen in self._consumers(topic)}
        return KeptTopic(topic, cursor_of(base), self._keyed(topic, max(after, base), limit), consumers)

    def load(self, kept: KeptTopic) -> int:
        return self._attempt(partial(self._load_all, kept))

    def _load_all(self, kept: KeptTopic) -> int:
        count = self._load(kept, number_of(kept.base, "base"))
        for name, (cursor, seen) in kept.consumers.items():
            self._acknowledge(name, kept.topic, number_of(cursor, "cursor"), seen)
        return count

    # Reading

    def recover(self, topic: str, after: str | None = None, limit: int | None = 1000) -> list[QueueEntry]:
        topic = entries.topic_name(topic)
        number = None if after is None else number_of(after, "after")
        count = None if limit is None else codec.integer(limit, "limit")
        return self._attempt(partial(self._entries_after, topic, number, count))

    def _entries_after(self, topic: str, after: int | None, limit: int | None) -> list[QueueEntry]:
        found = self._entries(topic, after, limit)
        self._require_kept(topic, after, found)
        return found

    def _require_kept(self, topic: str, after: int | None, found: list[QueueEntry]) -> None:
        """Raise an error where entries that came after the number are missing, or it is none of the topic's."""
        if after is None or (found and found[0].cursor == cursor_of(after + 1)):
            return
        # Numbers have no gap: nothing is there yet, or not any more. To be asked second, as it only ever grows.
        if after < self._require_given(topic, after, "after"):
            raise CursorExpired

    def _require_given(self, topic: str, number: int, argument: str) -> int:
        """The last number that retention removed; raises where the topic has not given this one yet."""
        last, base = self._head(topic)
        if number > last and number > self._last_given(topic):
            raise InvalidRecord(argument, f"is no cursor that {topic!r} has given")
        return base

    def last_cursor(self, topic: str) -> str:
        topic = entries.topic_name(topic)
        return cursor_of(self._attempt(partial(self._head, topic))[0])

    # Live

    def stream(self, topic: str, after: str | None = None) -> AsyncGenerator[QueueEntry, None]:
        return self._stream(entries.topic_name(topic), None if after is None else number_of(after, "after"))

    async def _stream(self, topic: str, after: int | None) -> AsyncGenerator[QueueEntry, None]:
        era, news, has_read = self._era, asyncio.Event(), False
        with self._notifier.waiting([topic], partial(asyncio.get_running_loop().call_soon_threadsafe, news.set)):
            while self._era is era:
                news.clear()
                # Not Django's own threads: each request has one of its own under ASGI, and so a connection.
                try:
                    page, after = await asyncio.wrap_future(self._readers.submit(partial(self._page, topic, after)))
                except FAILURES as error:
                    logger.warning("A stream of %r can't read; trying again: %s", topic, error)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), DELAY)
                    continue
                except InvalidRecord:
                    if not has_read:
                        raise
                    logger.error("The topic %r began anew under a stream, which goes on from there", topic)
                    after = None
                    continue
                has_read = True
                for entry in page:
                    yield entry
                if len(page) < _PAGE:
                    await news.wait()

    def _page(self, topic: str, after: int | None) -> tuple[list[QueueEntry], int]:
        """The next entries, and the number to go on after."""
        return self._attempt(partial(self._page_now, topic, after))

    def _page_now(self, topic: str, after: int | None) -> tuple[list[QueueEntry], int]:
        page = self._entries_after(topic, after, _PAGE)
        if page:
            return page, number_of(page[-1].cursor, "cursor")
        return page, self._head(topic)[1] if after is None else after

    def watching(self, topics: list[str], wake: Wake) -> AbstractContextManager[None]:
        """Within the block, have `wake` called, in any thread, when there may be something new on one of the topics."""
        return self._notifier.waiting([*map(entries.topic_name, topics)], wake)

    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        topic = entries.topic_name(topic)
        if not callable(handler):
            raise InvalidRecord("handler", f"must be callable, not {type(handler).__name__}")

        def read(after: int | None) -> tuple[list[QueueEntry], int]:
            return self._readers.submit(partial(self._page, topic, after)).result()

        # Asked in another thread, whose connection sees what is committed, and nothing of the caller's transaction.
        last, _ = self._readers.submit(partial(self._attempt, partial(self._head, topic))).result()
        subscription = Subscription(topic, handler, read, last)
        self._subscriptions.add(subscription)
        subscription.start(self._notifier)

        def unsubscribe() -> None:
            self._subscriptions.discard(subscription)
            subscription.stop()

        return unsubscribe

    # Consumers

    def get_cursor(self, consumer: str, topic: str) -> str | None:
        consumer, topic = entries.named(consumer, "consumer"), entries.topic_name(topic)
        number = self._attempt(partial(self._acknowledged, consumer, topic))
        return None if number is None else cursor_of(number)

    def unread_count(self, consumer: str, topic: str) -> int:
        consumer, topic = entries.named(consumer, "consumer"), entries.topic_name(topic)
        return self._attempt(partial(self._unread, consumer, topic))

    def _unread(self, consumer: str, topic: str) -> int:
        acknowledged = self._acknowledged(consumer, topic) or 0
        last, base = self._head(topic)
        return last - max(acknowledged, base)

    # Care

    def close(self) -> None:
        self._era = object()
        subscriptions, self._subscriptions = self._subscriptions, set()
        for subscription in subscriptions:
            subscription.stop()
        self._notifier.close()
        self._readers.close()
