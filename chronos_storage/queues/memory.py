"""The queue in this process's memory: the same promises, without a database, until the process ends."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from .. import codec, records
from ..exceptions import AlreadyExists, CursorExpired, InvalidRecord
from ..forks import PerProcess
from ..records import QueueEntry
from .base import HARD_LIMIT, RETENTION, SILENCE, EventQueue, Handler, Lag, age_of, page_size
from .cursors import cursor_of, number_of
from .entries import KeptTopic, NewEntry, cursor_of_repeat, named, new_entry, topic_name
from .subscriptions import Subscription

_PAGE = 100


@dataclass(slots=True)
class _Topic:
    """What a topic has: its last number, the last that retention removed, the entries between, and its consumers."""

    last: int = 0
    base: int = 0
    entries: deque[NewEntry] = field(default_factory=deque)
    #: Those that have a key, by it.
    entries_by_key: dict[str, NewEntry] = field(default_factory=dict)
    #: How far each consumer has acknowledged, and when it was last heard of.
    consumers: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def last_before(self, timestamp: datetime) -> int:
        """The number of the last entry before the first that is not older."""
        for number, entry in enumerate(self.entries, self.base):
            if entry.created_at and entry.created_at >= timestamp:
                return number
        return self.last

    def remove(self, through: int) -> int:
        """Remove the entries up to and including a number; returns how many."""
        count = max(0, through - self.base)
        for _ in range(count):
            if (key := self.entries.popleft().key) is not None:
                del self.entries_by_key[key]
        self.base += count
        return count


class _Topics(PerProcess):
    """The topics of a queue, which all queues of the same name share, and who waits for news of them."""

    def __init__(self) -> None:
        self.named: dict[str, _Topic] = {}
        super().__init__()

    def begin(self) -> None:
        self.lock = threading.RLock()
        self._waiting: dict[str, list[Callable[[], object]]] = {}

    def get(self, name: str) -> _Topic:
        """The topic; an empty one, if nothing was done with it yet."""
        return self.named.get(name) or _Topic()

    @contextmanager
    def waiting(self, topics: list[str], wake: Callable[[], object]) -> Iterator[None]:
        """Within the block, have `wake` called when something is published on one of the topics."""
        with self.lock:
            for topic in topics:
                self._waiting.setdefault(topic, []).append(wake)
        try:
            yield
        finally:
            with self.lock:
                for topic in topics:
                    wakes = self._waiting.get(topic, [])
                    with suppress(ValueError):  # this process is a fork of the one that waited
                        wakes.remove(wake)
                    if not wakes:
                        self._waiting.pop(topic, None)

    def wake(self, topic: str) -> None:
        """Call those who wait for the topic. The lock is held, so that none leaves meanwhile."""
        for wake in self._waiting.get(topic, ()):
            try:
                wake()
            except RuntimeError:  # its event loop was closed under it
                continue


_named: dict[str, _Topics] = {}


class MemoryQueue(EventQueue):
    """`EventQueue` in this process's memory, for threads and event loops: for tests, and for what may be forgotten.

    It joins no transaction: what is published is there at once.

    Args:
        name: queues of the same name share what they keep, until the process ends; without one it is this object's.
    """

    def __init__(self, name: str = "") -> None:
        self._topics = _named.setdefault(name, _Topics()) if name else _Topics()
        self._live: set[Subscription] = set()
        self._streams: set[Callable[[], object]] = set()
        #: Another one after each `close`.
        self._era = object()

    def publish(self, topic: str, event: Any, *, user_id: str = "", key: str | None = None) -> str:
        entry = new_entry(topic, event, user_id, key)
        with self._topics.lock:
            kept = self._topics.named.setdefault(entry.topic, _Topic())
            if entry.key is not None:
                if stored := kept.entries_by_key.get(entry.key):
                    return cursor_of_repeat(entry, stored)
                kept.entries_by_key[entry.key] = entry
            kept.last += 1
            entry.cursor, entry.created_at = cursor_of(kept.last), records.now()
            kept.entries.append(entry)
            self._topics.wake(entry.topic)
        return entry.cursor

    def recover(self, topic: str, after: str | None = None, limit: int | None = 1000) -> list[QueueEntry]:
        topic = topic_name(topic)
        number = None if after is None else number_of(after, "after")
        return self._entries_after(topic, number, None if limit is None else codec.integer(limit, "limit"))

    def _entries_after(self, topic: str, after: int | None, limit: int | None) -> list[QueueEntry]:
        with self._topics.lock:
            kept = self._topics.get(topic)
            if after is not None and after > kept.last:
                raise InvalidRecord("after", f"is no cursor that {topic!r} has given")
            if after is not None and after < kept.base:
                raise CursorExpired
            start = 0 if after is None else after - kept.base
            stop = None if limit is None else min(start + limit, codec.MAX_INTEGER)
            found = list(islice(kept.entries, start, stop))
        # A reader may do with its copy what it likes.
        return [replace(QueueEntry.of(entry, "entry"), event=codec.json_value(entry.event, "event")) for entry in found]

    def last_cursor(self, topic: str) -> str:
        with self._topics.lock:
            return cursor_of(self._topics.get(topic_name(topic)).last)

    def stream(self, topic: str, after: str | None = None) -> AsyncGenerator[QueueEntry, None]:
        return self._stream(topic_name(topic), None if after is None else number_of(after, "after"))

    async def _stream(self, topic: str, after: int | None) -> AsyncGenerator[QueueEntry, None]:
        era, news = self._era, asyncio.Event()
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, news.set)
        self._streams.add(wake)
        try:
            with self._topics.waiting([topic], wake):
                while self._era is era:
                    news.clear()
                    page, after = self._page(topic, after)
                    for entry in page:
                        yield entry
                    if not page:
                        await news.wait()
        finally:
            self._streams.discard(wake)

    def _page(self, topic: str, after: int | None) -> tuple[list[QueueEntry], int]:
        """The next entries, and the number to go on after."""
        with self._topics.lock:
            page = self._entries_after(topic, after, _PAGE)
            last = self._topics.get(topic).last if after is None else after
        return page, number_of(page[-1].cursor, "cursor") if page else last

    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        topic = topic_name(topic)
        if not callable(handler):
            raise InvalidRecord("handler", f"must be callable, not {type(handler).__name__}")
        last = number_of(self.last_cursor(topic), "cursor")
        subscription = Subscription(topic, handler, partial(self._page, topic), last)
        self._live.add(subscription)
        subscription.start(self._topics)

        def unsubscribe() -> None:
            self._live.discard(subscription)
            subscription.stop()

        return unsubscribe

    def ack(self, consumer: str, topic: str, cursor: str) -> None:
        consumer, topic = named(consumer, "consumer"), topic_name(topic)
        number, now = number_of(cursor, "cursor"), records.now()
        with self._topics.lock:
            if number > self._topics.get(topic).last:
                raise InvalidRecord("cursor", f"is no cursor that {topic!r} has given")
            consumers = self._topics.named.setdefault(topic, _Topic()).consumers
            before, seen = consumers.get(consumer, (number, now))
            consumers[consumer] = max(before, number), max(seen, now)

    def get_cursor(self, consumer: str, topic: str) -> str | None:
        consumer = named(consumer, "consumer")
        with self._topics.lock:
            acknowledged = self._topics.get(topic_name(topic)).consumers.get(consumer)
        return None if acknowledged is None else cursor_of(acknowledged[0])

    def unread_count(self, consumer: str, topic: str) -> int:
        consumer = named(consumer, "consumer")
        with self._topics.lock:
            kept = self._topics.get(topic_name(topic))
            acknowledged, _ = kept.consumers.get(consumer, (0, None))
            return kept.last - max(acknowledged, kept.base)

    def lags(self) -> list[Lag]:
        with self._topics.lock:
            return sorted(
                Lag(topic, consumer, kept.last - max(number, kept.base), seen)
                for topic, kept in self._topics.named.items()
                for consumer, (number, seen) in kept.consumers.items()
                if kept.last
            )

    def topics(self) -> list[str]:
        with self._topics.lock:
            return sorted(name for name, kept in self._topics.named.items() if kept.last)

    def kept(self, topic: str, after: str | None = None, limit: int = 500) -> KeptTopic:
        number = 0 if after is None else number_of(after, "after")
        with self._topics.lock:
            kept = self._topics.get(topic_name(topic))
            start = max(number - kept.base, 0)
            found = list(islice(kept.entries, start, start + page_size(limit)))
            consumers = {name: (cursor_of(last), seen) for name, (last, seen) in kept.consumers.items()}
            copies = [replace(entry, event=codec.json_value(entry.event, "event")) for entry in found]
            return KeptTopic(topic, cursor_of(kept.base), copies, consumers)

    def load(self, kept: KeptTopic) -> int:
        base = number_of(kept.base, "base")
        with self._topics.lock:
            topic = self._topics.named.setdefault(kept.topic, _Topic())
            if base > topic.last:
                topic.remove(topic.last)
                topic.last = topic.base = base
            new = [entry.cleaned() for entry in kept.after(topic.last)]
            if any(entry.key in topic.entries_by_key for entry in new):
                raise AlreadyExists(f"a key of an entry to load is another entry's on {kept.topic!r}")
            for entry in new:
                if entry.key is not None:
                    topic.entries_by_key[entry.key] = entry
                topic.entries.append(entry)
                topic.last = number_of(entry.cursor, "cursor")
            for name, (cursor, seen) in kept.consumers.items():
                before, heard = topic.consumers.get(name, (0, seen))
                topic.consumers[name] = max(before, number_of(cursor, "cursor")), max(heard, seen)
            self._topics.wake(kept.topic)
        return len(new)

    def cleanup(self, *, older_than: timedelta = RETENTION) -> int:
        older_than = age_of(older_than)
        now = records.now()
        with self._topics.lock:
            return sum(_clean(topic, now, older_than) for topic in self._topics.named.values())

    def list_user_entries(self, user_id: str) -> list[QueueEntry]:
        user_id = named(user_id, "user_id")
        with self._topics.lock:
            found = [each for _, kept in sorted(self._topics.named.items()) for each in kept.entries]
        mine = (QueueEntry.of(each, "entry") for each in found if each.user_id == user_id)
        return [replace(each, event=codec.json_value(each.event, "event")) for each in mine]

    def erase_user(self, user_id: str, *, but: Collection[str] = ()) -> int:
        user_id, count = named(user_id, "user_id"), 0
        with self._topics.lock:
            for topic, kept in self._topics.named.items():
                for entry in kept.entries if topic not in but else ():
                    if entry.user_id == user_id:
                        kept.entries_by_key.pop(entry.key or "", None)
                        entry.event, entry.user_id, entry.key = None, "", None
                        count += 1
        return count

    def erase_topic(self, topic: str) -> int:
        with self._topics.lock:
            return len(self._topics.named.pop(topic_name(topic), _Topic()).entries)

    def close(self) -> None:
        self._era = object()
        subscriptions, self._live = self._live, set()
        for subscription in subscriptions:
            subscription.stop()
        for wake in list(self._streams):
            try:
                wake()
            except RuntimeError:  # its event loop is closed
                continue


def _clean(topic: _Topic, now: datetime, older_than: timedelta) -> int:
    """Remove a topic's entries that are old, and not held back by a live consumer."""
    through = topic.last_before(now - older_than)
    alive = [number for number, seen in topic.consumers.values() if seen >= now - SILENCE]
    if alive and min(alive) < through:
        through = max(min(alive), topic.last_before(now - max(older_than, HARD_LIMIT)))
    return topic.remove(through)
